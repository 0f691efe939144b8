import type { Abortable, DirtyUser, PageOptions } from "../../core/types.ts";
import type { SchemaDialect } from "./migration.ts";
import { all, type Counter, run, runRows, type SqlDatabase, type Steps } from "./sql.ts";

/** The names of a store's table of marks, and of the counter of its writes: stores may share a schema on PostgreSQL. */
export interface DirtyUserNames {
  readonly marks: string;
  readonly counter: string;
}

/** What {@link DirtyUsers} needs, for a store's first migration. */
export const dirtyUsersSchema = ({ marks, counter }: DirtyUserNames) => (sql: SchemaDialect) => `
CREATE TABLE ${marks} (user_id ${sql.text} PRIMARY KEY, token ${sql.integer} NOT NULL) ${sql.strictKeyed};
${
  sql.engine === "postgres"
    ? `CREATE SEQUENCE ${counter};`
    : `CREATE TABLE ${counter} (last INTEGER NOT NULL) STRICT; INSERT INTO ${counter} VALUES (0);`
}`;

/** Users that one transaction of `markAll` marks. */
const PAGE = 500;
const USER = { user_id: "text", token: "bigint" } as const;

/**
 * Users with writes that nothing was derived from yet. Tokens come from one counter that never goes back, so that a
 * user who is cleared and marked again never has a token twice.
 */
export class DirtyUsers {
  private readonly marks: string;
  private readonly counter: Counter;

  constructor(private readonly db: SqlDatabase, names: DirtyUserNames) {
    this.marks = names.marks;
    this.counter = db.dialect.counter(names.counter);
  }

  /**
   * Marks users as dirty within the transaction that writes their rows. `others` are tables of a user and a number that get
   * a number of the counter too.
   */
  *mark(user_ids: readonly string[], others: Readonly<Record<string, string>> = {}): Steps<void> {
    if (user_ids.length === 0) return;
    const { advance, next } = this.counter;
    if (advance !== null) yield* run(advance);
    // In an order that all writers share, so that no two wait for each other.
    const users = JSON.stringify([...user_ids].sort());
    for (const [table, column] of Object.entries({ [this.marks]: "token", ...others })) {
      // On a conflict the number is taken once the row is locked, so that it is greater than all that were committed for it.
      yield* run(
        `INSERT INTO ${table} (user_id, ${column}) SELECT text, ${next} FROM ${
          this.db.dialect.texts("$1")
        } AS input WHERE true
         ON CONFLICT (user_id) DO UPDATE SET ${column} = ${next}`,
        users,
      );
    }
  }

  /** Marks all users with rows in this table as dirty, page by page. */
  async markAll(table: "messages" | "events", options: Abortable = {}): Promise<void> {
    const sql = `SELECT DISTINCT user_id FROM ${table} WHERE user_id > $1 ORDER BY user_id LIMIT $2`;
    const markPage = function* (this: DirtyUsers, after: string): Steps<string | undefined> {
      const page = (yield* all<{ user_id: string }>(sql, after, PAGE)).map(({ user_id }) => user_id);
      yield* this.mark(page);
      return page.at(-1);
    };
    for (let after: string | undefined = ""; after !== undefined;) {
      const from: string = after;
      after = await this.db.write(() => markPage.call(this, from), options);
    }
  }

  /** In ascending id, after `after`. */
  page({ after, limit, signal }: PageOptions): Promise<DirtyUser[]> {
    const sql = `SELECT user_id, CAST(token AS TEXT) AS token FROM ${this.marks}
      WHERE user_id > $1 ORDER BY user_id LIMIT $2`;
    return this.db.query(() => all<DirtyUser>(sql, after ?? "", limit), { signal });
  }

  /** Clears users whose token is still the newest. */
  async clear(users: readonly DirtyUser[], options: Abortable = {}): Promise<void> {
    const sql = this.db.dialect.deleteRows(this.marks, Object.keys(USER));
    await this.db.writeEach(users, (group) => runRows(sql, [], USER, group), options);
  }

  /** Clears users who are erased, within the caller's transaction. */
  *forget(user_ids: readonly string[]): Steps<void> {
    const sql = `DELETE FROM ${this.marks} WHERE user_id IN ${this.db.dialect.texts("$1")}`;
    yield* run(sql, JSON.stringify(user_ids));
  }
}
