import type { Abortable, DirtyUser, PageOptions } from "../../../core/types.ts";
import type { Sqlite } from "./sqlite.ts";

/** The tables of {@link DirtyUsers}, for a store's first migration. */
export const DIRTY_USERS_SCHEMA = `
CREATE TABLE touched (user_id TEXT PRIMARY KEY, token INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE writes (last INTEGER NOT NULL) STRICT;
INSERT INTO writes VALUES (0);
`;

/** Users that one transaction of `markAll` marks. */
const PAGE = 500;

/**
 * Users with writes that nothing was derived from yet. Tokens come from one counter that never goes back, so that a
 * user who is cleared and marked again never has a token twice.
 */
export class DirtyUsers {
  constructor(private readonly db: Sqlite) {}

  /** Marks users as dirty within the transaction that writes their rows; returns the token. */
  mark(user_ids: readonly string[]): number | null {
    if (user_ids.length === 0) return null;
    const token = this.db.get<{ last: number }>("UPDATE writes SET last = last + 1 RETURNING last")!.last;
    this.db.run(
      `INSERT INTO touched SELECT value, ? FROM json_each(?) WHERE true
       ON CONFLICT (user_id) DO UPDATE SET token = excluded.token`,
      token,
      JSON.stringify(user_ids),
    );
    return token;
  }

  /** Marks all users with rows in this table as dirty, page by page. */
  async markAll(table: "messages" | "events", options: Abortable = {}): Promise<void> {
    for (let after: string | undefined = ""; after !== undefined;) {
      after = await this.db.write(() => {
        const page = this.db.all<{ user_id: string }>(
          `SELECT DISTINCT user_id FROM ${table} WHERE user_id > ? ORDER BY user_id LIMIT ?`,
          after!,
          PAGE,
        );
        this.mark(page.map(({ user_id }) => user_id));
        return page.at(-1)?.user_id;
      }, options);
    }
  }

  /** In ascending id, after `after`. */
  page(options: PageOptions): DirtyUser[] {
    return this.db.all<DirtyUser>(
      `SELECT user_id, CAST(token AS TEXT) AS token FROM touched
       WHERE user_id > ? ORDER BY user_id LIMIT ?`,
      options.after ?? "",
      options.limit,
    );
  }

  /** Clears users whose token is still the newest. */
  async clear(users: readonly DirtyUser[], options: Abortable = {}): Promise<void> {
    const sql = "DELETE FROM touched WHERE user_id = ? AND token = CAST(? AS INTEGER)";
    await this.db.writeEach(users, ({ user_id, token }) => this.db.run(sql, user_id, token), options);
  }

  /** Clears users who are erased, within the caller's transaction. */
  forget(user_ids: readonly string[]): void {
    this.db.run(
      "DELETE FROM touched WHERE user_id IN (SELECT value FROM json_each(?))",
      JSON.stringify(user_ids),
    );
  }
}
