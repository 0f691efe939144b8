import { BASE_ROWS_REFILL, type SqliteOptions } from "../../engines/sqlite/sqlite.ts";
import { SqliteDatabase } from "../../engines/sqlite/sqlite_database.ts";
import { ANALYTICS_MIGRATIONS } from "../schema.ts";
import { SqlAnalytics } from "../sql_analytics.ts";

const NEWEST_EVENTS = `WHERE rowid IN (
    SELECT newest.rowid FROM (SELECT DISTINCT value AS user_id FROM json_each($1)) AS input
    JOIN events AS newest ON newest.rowid IN (
      SELECT rowid FROM events WHERE user_id = input.user_id ORDER BY timestamp DESC, event_id DESC LIMIT $2))
  ORDER BY user_id, timestamp, event_id`;

/** Analytics in one SQLite file. */
export class SqliteAnalytics extends SqlAnalytics {
  /** Opens or creates the file. The folder must exist; `:memory:` is a store that ends with the process. */
  constructor(options: Pick<SqliteOptions, "path" | "busy_ms" | "create" | "synchronous">) {
    super(
      new SqliteDatabase({ ...options, migrations: ANALYTICS_MIGRATIONS, refill: BASE_ROWS_REFILL }),
      NEWEST_EVENTS,
    );
  }
}
