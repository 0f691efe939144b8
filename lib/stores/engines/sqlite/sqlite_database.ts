import { sleep } from "../../../core/abort.ts";
import { groupRows } from "../../../core/batches.ts";
import type { Abortable, Health, HealthOptions } from "../../../core/types.ts";
import {
  type Dialect,
  type PutRows,
  type SqlDatabase,
  type Steps,
  type TableByKey,
  type WriteEachOptions,
} from "../sql.ts";
import { putRows } from "./put_rows.ts";
import { Sqlite, type SqliteOptions } from "./sqlite.ts";

/** Rows in a group of `writeEach`: so many for steps to cost little, so few that a group takes a millisecond at most. */
const GROUP_ROWS = 50;
/** Rows that one transaction of `writeAll` changes at most. */
const WRITE_LIMIT = 500;

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
  deleteOthers: (table, owner, other) =>
    `DELETE FROM ${table} WHERE ${owner} = $1 AND ${other} NOT IN (SELECT value FROM json_each($2))`,
  table: (json, columns) =>
    `(SELECT ${
      Object.keys(columns).map((name) => `value ->> '${name}' AS ${name}`).join(", ")
    } FROM json_each(${json})) AS input`,
  texts: (json) => `(SELECT value AS text FROM json_each(${json}))`,
  unindexed: (column) => `+${column}`,
  isIn: (column, json) => `${column} IN (SELECT value FROM json_each(${json}))`,
  contains: (column, text) => `instr(${column}, ${text}) > 0`,
  jsonRows: (expressions, order) => `json_group_array(json_array(${expressions}) ORDER BY ${order})`,
  jsonText: (object, name) =>
    `CASE json_type(${object}, '$.${name}') WHEN 'text' THEN ${object} ->> '${name}' END`,
  insertionOrder: "rowid",
  lockRow: "",
  lockRows: () => "",
  counter: (name) => ({
    advance: `UPDATE ${name} SET last = last + 1`,
    next: `(SELECT last FROM ${name})`,
  }),
  insertRows: (table, columns) =>
    `INSERT INTO ${table} (${columns.join(", ")}) VALUES (${
      columns.map((_, at) => `$${at + 1}`).join(", ")
    })`,
  deleteRows: (table, columns) =>
    `DELETE FROM ${table} WHERE ${columns.map((name, at) => `${name} = $${at + 1}`).join(" AND ")}`,
  continueAfter: ({ table, column, counter }) =>
    counter === null ? null : `UPDATE ${counter} SET last = (SELECT max(last, max(${column})) FROM ${table})`,
  *lockNames() {},
};

/** {@link SqlDatabase} in one SQLite file. */
export class SqliteDatabase implements SqlDatabase {
  readonly dialect = DIALECT;
  /** The database itself, for a store that one engine has. */
  readonly sqlite: Sqlite;

  constructor(options: SqliteOptions) {
    this.sqlite = new Sqlite(options);
  }

  query<T>(steps: () => Steps<T>, options: Abortable = {}): Promise<T> {
    return this.sqlite.query(() => this.execute(steps()), options);
  }

  read<T>(steps: () => Steps<T>, options: Abortable = {}): Promise<T> {
    return this.sqlite.read(() => this.execute(steps()), options);
  }

  write<T>(steps: () => Steps<T>, options: Abortable = {}): Promise<T> {
    return this.sqlite.write(() => this.execute(steps()), options);
  }

  inBulk<T>(work: () => Promise<T>): Promise<T> {
    return this.sqlite.inBulk(work);
  }

  async writeEach<Row, T>(
    rows: readonly Row[],
    each: (group: readonly Row[]) => Steps<T>,
    { size, beforeCommit, signal }: WriteEachOptions<Row, T> = {},
  ): Promise<T[]> {
    const results: T[] = [];
    let committed = 0;
    const groups = [...groupRows(rows, GROUP_ROWS, size)];
    await this.sqlite.writeEach(groups, (group) => void results.push(this.execute(each(group))), {
      beforeCommit: () => {
        if (beforeCommit !== undefined) this.execute(beforeCommit(results.slice(committed)));
        committed = results.length;
      },
      signal,
    });
    return results;
  }

  putRows<Row>(table: TableByKey<Row>): PutRows<Row> {
    return putRows({ sqlite: this.sqlite, execute: (steps) => this.execute(steps) }, table);
  }

  async writeAll(
    steps: (limit: number) => Steps<number>,
    { limit = WRITE_LIMIT, signal }: Abortable & { limit?: number } = {},
  ): Promise<number> {
    for (let sum = 0;;) {
      const changes = await this.write(() => steps(limit), { signal });
      sum += changes;
      if (changes < limit) return sum;
      // As `Sqlite.writeEach`: a writer in another process gets its turn.
      await sleep(1);
    }
  }

  scrub(): Promise<void> {
    return this.sqlite.scrub();
  }

  compact(options: Abortable = {}): Promise<void> {
    return this.sqlite.compact(options);
  }

  private execute<T>(steps: Steps<T>): T {
    for (let step = steps.next();;) {
      if (step.done) return step.value;
      step = steps.next(this.sqlite.execute(step.value));
    }
  }

  // deno-lint-ignore require-await -- the port is asynchronous, this engine is not
  async health(options: HealthOptions = {}): Promise<Health> {
    options.signal?.throwIfAborted();
    return this.sqlite.health(options);
  }

  // deno-lint-ignore require-await -- as above
  async close(): Promise<void> {
    this.sqlite.close();
  }
}
