import { PostgresDatabase } from "../../engines/postgres/postgres_database.ts";
import { ANALYTICS_MIGRATIONS } from "../schema.ts";
import { SqlAnalytics } from "../sql_analytics.ts";

const NEWEST_EVENTS = `WHERE event_id IN (
    SELECT newest.event_id
    FROM (SELECT DISTINCT text AS user_id FROM json_array_elements_text($1::json) AS text) AS input
    CROSS JOIN LATERAL (SELECT event_id FROM events WHERE events.user_id = input.user_id
      ORDER BY timestamp DESC, event_id DESC LIMIT $2) AS newest)
  ORDER BY user_id, timestamp, event_id`;

/**
 * Analytics in PostgreSQL. Erased rows are gone for every query at once; their bytes leave the server's files with the next
 * vacuum, and its backups when those expire.
 */
export class PostgresAnalytics extends SqlAnalytics {
  /** Connects at the first call. `url` is as `Postgres` takes it. */
  constructor({ url }: { url: URL }) {
    super(new PostgresDatabase({ url, store: "analytics", migrations: ANALYTICS_MIGRATIONS }), NEWEST_EVENTS);
  }
}
