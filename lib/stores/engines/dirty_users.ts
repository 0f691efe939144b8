import type { Abortable, DirtyUser, PageOptions } from "../../core/types.ts";
import type { SchemaDialect } from "./migration.ts";
import {
  all,
  type Counter,
  type Dialect,
  run,
  runRows,
  type SqlDatabase,
  type Steps,
  storableJson,
} from "./sql.ts";

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
  /** Its numbers are the tokens. */
  readonly counter: Counter;
  private readonly sql: ReturnType<typeof statements>;

  constructor(private readonly db: SqlDatabase, names: DirtyUserNames) {
    this.counter = db.dialect.counter(names.counter);
    this.sql = statements(db.dialect, this.counter, names.marks);
  }

  /**
   * Marks users as dirty within the transaction that writes their rows. They are sorted, since writers that lock the same rows
   * in different orders wait for each other.
   */
  *mark(user_ids: readonly string[]): Steps<void> {
    if (user_ids.length === 0) return;
    if (this.counter.advance !== null) yield* run(this.counter.advance);
    yield* run(this.sql.mark, storableJson(user_ids));
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
    return this.db.query(() => all<DirtyUser>(this.sql.page, after ?? "", limit), { signal });
  }

  /** Those of these users that are dirty. */
  among(user_ids: readonly string[], { signal }: Abortable): Promise<DirtyUser[]> {
    return this.db.query(() => all<DirtyUser>(this.sql.among, storableJson(user_ids)), { signal });
  }

  /** Clears users whose token is still the newest. */
  async clear(users: readonly DirtyUser[], options: Abortable = {}): Promise<void> {
    await this.db.writeEach(users, (group) => runRows(this.sql.clear, [], USER, group), options);
  }

  /** Clears users who are erased, within the caller's transaction. */
  *forget(user_ids: readonly string[]): Steps<void> {
    yield* run(this.sql.forget, storableJson(user_ids));
  }
}

/**
 * Gives each user of the JSON array $1 a number of the counter in this column of a table. On a conflict it is taken once the row
 * is locked, so that it is greater than all that were committed for it.
 */
export function numberUsers(dialect: Dialect, { next }: Counter, table: string, column: string): string {
  return `INSERT INTO ${table} (user_id, ${column}) SELECT text, ${next} FROM ${dialect.texts("$1")} AS input
    WHERE true ON CONFLICT (user_id) DO UPDATE SET ${column} = ${next}`;
}

function statements(dialect: Dialect, counter: Counter, marks: string) {
  return {
    mark: numberUsers(dialect, counter, marks, "token"),
    page: `SELECT user_id, CAST(token AS TEXT) AS token FROM ${marks}
      WHERE user_id > $1 ORDER BY user_id LIMIT $2`,
    among: `SELECT user_id, CAST(token AS TEXT) AS token FROM ${marks} WHERE ${
      dialect.isIn("user_id", "$1")
    }`,
    clear: dialect.deleteRows(marks, Object.keys(USER)),
    forget: `DELETE FROM ${marks} WHERE ${dialect.isIn("user_id", "$1")}`,
  };
}
