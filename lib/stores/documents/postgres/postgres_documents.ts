import { PostgresDatabase } from "../../engines/postgres/postgres_database.ts";
import { DOCUMENT_MIGRATIONS } from "../schema.ts";
import { SqlDocuments } from "../sql_documents.ts";

/** Documents in one schema of a PostgreSQL database. */
export class PostgresDocuments extends SqlDocuments {
  /** Connects at the first call. `url` is as `Postgres` takes it. */
  constructor({ url }: { url: URL }) {
    super(new PostgresDatabase({ url, store: "documents", migrations: DOCUMENT_MIGRATIONS }));
  }
}
