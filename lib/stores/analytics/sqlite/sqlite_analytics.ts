import type { Abortable } from "../../../core/types.ts";
import { BASE_ROWS_REFILL, type Sqlite, type SqliteOptions } from "../../engines/sqlite/sqlite.ts";
import { SqliteDatabase } from "../../engines/sqlite/sqlite_database.ts";
import type { Epochs } from "../port.ts";
import { ANALYTICS_MIGRATIONS } from "../schema.ts";
import { SqlAnalytics } from "../sql_analytics.ts";

const NEWEST_EVENTS = `WHERE rowid IN (
    SELECT newest.rowid FROM (SELECT DISTINCT value AS user_id FROM json_each($1)) AS input
    JOIN events AS newest ON newest.rowid IN (
      SELECT rowid FROM events WHERE user_id = input.user_id ORDER BY timestamp DESC, event_id DESC LIMIT $2))
  ORDER BY user_id, timestamp, event_id`;

/** Changes by this connection. It reads no file, so it takes a tenth of a query that does. */
const OWN_CHANGES = "SELECT total_changes() AS count";
/** Another number after each commit of another connection. */
const OTHERS_CHANGES = "PRAGMA data_version";
/** Users whose epochs are in memory. */
const MAX_USERS = 10_000;

/** Epochs by user, read since the file was opened or last changed. */
interface KnownEpochs {
  readonly byUser: Map<string, Epochs>;
  readonly db: unknown;
  readonly own: number;
  readonly others: number;
  /** When other processes' changes are looked for, on the clock of `performance.now()`. */
  readonly until: number;
}

/** Analytics in one SQLite file. */
export class SqliteAnalytics extends SqlAnalytics {
  private readonly sqlite: Sqlite;
  private known: KnownEpochs | null = null;

  private readonly notice_ms: number;

  /** Opens or creates the file. The folder must exist; `:memory:` is a store that ends with the process. */
  constructor(
    { notice_ms = 0, ...options }:
      & Pick<SqliteOptions, "path" | "busy_ms" | "create" | "synchronous">
      & {
        /** How long {@link epochs} may miss a write of another process, in milliseconds. Default 0. */
        notice_ms?: number;
      },
  ) {
    const database = new SqliteDatabase({
      ...options,
      migrations: ANALYTICS_MIGRATIONS,
      refill: BASE_ROWS_REFILL,
    });
    super(database, NEWEST_EVENTS);
    this.sqlite = database.sqlite;
    this.notice_ms = notice_ms;
  }

  /** From memory until this process writes, and for `notice_ms` after another one does: each cached answer asks. */
  override async epochs(options: { user_id: string } & Abortable): Promise<Epochs> {
    options.signal?.throwIfAborted();
    const { byUser } = await this.currentEpochs();
    const known = byUser.get(options.user_id);
    if (known !== undefined) return known;
    const epochs = await super.epochs(options);
    if (byUser.size >= MAX_USERS) byUser.clear();
    // If the file has changed meanwhile, these are no longer the current ones.
    byUser.set(options.user_id, epochs);
    return epochs;
  }

  private async currentEpochs(): Promise<KnownEpochs> {
    const { sqlite, known } = this;
    const { db } = sqlite;
    const own = sqlite.get<{ count: number }>(OWN_CHANGES)!.count;
    const isOwn = known !== null && known.db === db && known.own === own;
    if (isOwn && performance.now() < known.until) return known;
    const others = await sqlite.query(() =>
      sqlite.get<{ data_version: number }>(OTHERS_CHANGES)!.data_version
    );
    const until = performance.now() + this.notice_ms;
    const byUser = isOwn && known.others === others ? known.byUser : new Map<string, Epochs>();
    return this.known = { db, own, others, until, byUser };
  }
}
