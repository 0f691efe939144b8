import type { SqliteOptions } from "../../engines/sqlite/sqlite.ts";
import { SqliteDatabase } from "../../engines/sqlite/sqlite_database.ts";
import { GRAPH_MIGRATIONS } from "../schema.ts";
import { SqlGraph } from "../sql_graph.ts";

/** Edges are recounts of rows in documents and analytics. */
const REFILL = "run `deno task pipeline --all`, which fills a new one from the other stores";

/** A graph in one SQLite file. */
export class SqliteGraph extends SqlGraph {
  /** Opens or creates the file. The folder must exist; `:memory:` is a store that ends with the process. */
  constructor(options: Pick<SqliteOptions, "path" | "busy_ms" | "create" | "synchronous">) {
    const database = new SqliteDatabase({ ...options, migrations: GRAPH_MIGRATIONS, refill: REFILL });
    super(database, { isIndexedByCampaign: false });
  }
}
