import { PostgresDatabase } from "../../engines/postgres/postgres_database.ts";
import { GRAPH_MIGRATIONS } from "../schema.ts";
import { SqlGraph } from "../sql_graph.ts";

/** A graph in one schema of a PostgreSQL database. */
export class PostgresGraph extends SqlGraph {
  /** Connects at the first call. `url` is as `Postgres` takes it. */
  constructor({ url }: { url: URL }) {
    const database = new PostgresDatabase({ url, store: "graph", migrations: GRAPH_MIGRATIONS });
    super(database, { isIndexedByCampaign: true });
  }
}
