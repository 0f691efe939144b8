import { BASE_ROWS_REFILL, type SqliteOptions } from "../../engines/sqlite/sqlite.ts";
import { SqliteDatabase } from "../../engines/sqlite/sqlite_database.ts";
import { DOCUMENT_MIGRATIONS } from "../schema.ts";
import { SqlDocuments } from "../sql_documents.ts";

/** Documents in one SQLite file. */
export class SqliteDocuments extends SqlDocuments {
  /** Opens or creates the file. The folder must exist; `:memory:` is a store that ends with the process. */
  constructor(options: Pick<SqliteOptions, "path" | "busy_ms" | "create" | "synchronous">) {
    super(new SqliteDatabase({ ...options, migrations: DOCUMENT_MIGRATIONS, refill: BASE_ROWS_REFILL }));
  }
}
