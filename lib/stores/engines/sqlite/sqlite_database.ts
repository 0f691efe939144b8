import type { Abortable, Health, HealthOptions } from "../../../core/types.ts";
import { messageOf, ParleyError } from "../../../core/errors.ts";
import type { Dialect, SqlDatabase, Steps } from "../sql.ts";
import { Sqlite, type SqliteOptions } from "./sqlite.ts";

/** How long a read waits for a lock before the file counts as unavailable. */
const LOCK_TIMEOUT_MS = 10_000;

/** A write has the file to itself, so that it locks no rows. */
const DIALECT: Dialect = {
  input: (columns, parameters) =>
    `(SELECT ${
      Object.keys(columns).map((name, at) => `$${parameters + at + 1} AS ${name}`).join(", ")
    }) AS input`,
  table: (json, columns) =>
    `(SELECT ${
      Object.keys(columns).map((name) => `value ->> '${name}' AS ${name}`).join(", ")
    } FROM json_each(${json})) AS input`,
  texts: (json) => `(SELECT value FROM json_each(${json}))`,
  jsonRows: (expressions, order) => `json_group_array(json_array(${expressions}) ORDER BY ${order})`,
  insertionOrder: "rowid",
  lockRow: "",
  lockRows: () => "",
};

/** {@link SqlDatabase} in one SQLite file. */
export class SqliteDatabase implements SqlDatabase {
  readonly dialect = DIALECT;
  private readonly sqlite: Sqlite;

  constructor(options: SqliteOptions) {
    this.sqlite = new Sqlite(options);
  }

  query<T>(steps: () => Steps<T>, options: Abortable = {}): Promise<T> {
    return this.read(steps, options);
  }

  /** Another process that recovers or empties its log may lock readers out for a moment: that is waited for without blocking. */
  async read<T>(steps: () => Steps<T>, { signal }: Abortable = {}): Promise<T> {
    const deadline = performance.now() + LOCK_TIMEOUT_MS;
    while (true) {
      signal?.throwIfAborted();
      try {
        return this.sqlite.readOnce(() => this.execute(steps()));
      } catch (error) {
        if (!messageOf(error).includes("database is locked")) throw error;
        if (performance.now() > deadline) {
          throw new ParleyError("unavailable", "the file was locked by another process for 10 s; try again", {
            cause: error,
          });
        }
      }
      await new Promise((resume) => setTimeout(resume, 10));
    }
  }

  write<T>(steps: () => Steps<T>, options: Abortable = {}): Promise<T> {
    return this.sqlite.write(() => this.execute(steps()), options);
  }

  private execute<T>(steps: Steps<T>): T {
    for (let step = steps.next();;) {
      if (step.done) return step.value;
      step = steps.next(this.sqlite.execute(step.value));
    }
  }

  // deno-lint-ignore require-await -- the port is asynchronous, this engine is not
  async health(options: HealthOptions = {}): Promise<Health> {
    return this.sqlite.health(options);
  }

  // deno-lint-ignore require-await -- as above
  async close(): Promise<void> {
    this.sqlite.close();
  }
}
