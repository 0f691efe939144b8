import type { Abortable, Health, HealthOptions } from "../../../core/types.ts";
import type { Dialect, SqlDatabase, Steps } from "../sql.ts";
import { Sqlite, type SqliteOptions } from "./sqlite.ts";

/** A write has the file to itself, so that it locks no rows. */
const DIALECT: Dialect = {
  input: (columns, parameters) =>
    `(SELECT ${
      Object.keys(columns).map((name, at) => `$${parameters + at + 1} AS ${name}`).join(", ")
    }) AS input`,
  update: (table, columns, keys) => {
    const names = Object.keys(columns);
    const equal = (name: string) => `${name} = $${names.indexOf(name) + 1}`;
    const set = names.filter((name) => !keys.includes(name)).map(equal);
    return `UPDATE ${table} SET ${set.join(", ")} WHERE ${keys.map(equal).join(" AND ")}`;
  },
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

  read<T>(steps: () => Steps<T>, options: Abortable = {}): Promise<T> {
    return this.sqlite.read(() => this.execute(steps()), options);
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
