/**
 * SQL that SQLite and PostgreSQL both understand, written once. Parameters are `$1`, `$2` …, and may be used several times; a
 * parameter that may be null is cast (`CAST($1 AS TEXT) IS NULL`), since PostgreSQL has to know its type. What the engines say
 * differently is in {@link Dialect}.
 */
import type { Abortable, Health, HealthOptions, OnOutcome, WriteCounts } from "../../core/types.ts";

export type SqlValue = string | number | null | Uint8Array;

export interface Statement {
  readonly sql: string;
  readonly values: readonly SqlValue[];
  /** For a statement with {@link Dialect.input}: its rows, of which these columns count. */
  readonly input?: { readonly columns: Columns; readonly rows: readonly object[] };
}

/** What a statement gave: its rows, and how many it changed. */
export interface Result {
  readonly rows: readonly unknown[];
  readonly changes: number;
}

/**
 * The statements of one transaction, and what comes of them. A generator, so that the same code runs at once on SQLite, which
 * holds the file's lock until it ends, and awaits each statement on PostgreSQL. It may run again, if the engine gave another
 * transaction precedence: outside the database it changes nothing.
 */
export type Steps<T> = Generator<Statement, T, Result>;

export function* all<Row>(sql: string, ...values: SqlValue[]): Steps<Row[]> {
  return (yield { sql, values }).rows as Row[];
}

export function* get<Row>(sql: string, ...values: SqlValue[]): Steps<Row | null> {
  return ((yield { sql, values }).rows[0] ?? null) as Row | null;
}

/** Returns how many rows changed. */
export function* run(sql: string, ...values: SqlValue[]): Steps<number> {
  return (yield { sql, values }).changes;
}

/** Runs a statement with {@link Dialect.input} on these rows; returns how many it changed. */
export function* runRows(
  sql: string,
  values: readonly SqlValue[],
  columns: Columns,
  rows: readonly object[],
): Steps<number> {
  return (yield { sql, values, input: { columns, rows } }).changes;
}

/** As {@link runRows}; returns what the statement selects or returns. */
export function* allRows<T>(
  sql: string,
  values: readonly SqlValue[],
  columns: Columns,
  rows: readonly object[],
): Steps<T[]> {
  return (yield { sql, values, input: { columns, rows } }).rows as T[];
}

export type Columns = Readonly<Record<string, "text" | "bigint" | "double precision">>;

/** Ends an insert: a row with the same key is replaced. */
export function replacing(columns: Columns, keys: readonly string[]): string {
  const others = Object.keys(columns).filter((name) => !keys.includes(name));
  return `ON CONFLICT (${keys.join(", ")}) DO UPDATE SET ${
    others.map((name) => `${name} = excluded.${name}`).join(", ")
  }`;
}

/** How an engine says what the other says differently. */
export interface Dialect {
  /**
   * The rows of {@link runRows} as the table `input`, for a statement with so many other parameters. On SQLite the statement runs
   * once for each row, on PostgreSQL once for all.
   */
  input(columns: Columns, parameters: number): string;
  /**
   * For {@link runRows}: sets the columns of a table in the rows that have these keys, which are columns as well. Ends in a
   * condition that may be continued by `AND`, where names of the table's columns need its name before them.
   */
  update(table: string, columns: Columns, keys: readonly string[]): string;
  /**
   * For {@link runRows} with the columns {@link KEEP_LIST}: deletes the rows of each owner in which the column `other` is not one of
   * its texts.
   */
  deleteOthers(table: string, owner: string, other: string): string;
  /** A JSON array of objects as the table `input`. */
  table(json: string, columns: Columns): string;
  /** The texts of a JSON array, as a query in brackets with the column `text`, which is ordered by code point. */
  texts(json: string): string;
  /** The value of a text column as an expression that no index has, so that a query uses another one. */
  unindexed(column: string): string;
  /** Whether a column is one of the texts of a JSON array; PostgreSQL would scan a table for `IN` {@link Dialect.texts}. */
  isIn(column: string, json: string): string;
  /** Whether a text column contains a text, compared by code point. */
  contains(column: string, text: string): string;
  /** Expressions of all rows as one JSON array of arrays, in this order; `[]` if there are none. */
  jsonRows(expressions: string, order: string): string;
  /** The text under a name of a JSON object, as an expression; null if there is no text. */
  jsonText(object: string, name: string): string;
  /** The column that numbers rows of a table without a key of their own in the order of their insertion. */
  readonly insertionOrder: string;
  /** Ends a query for one row that the transaction is going to change. */
  readonly lockRow: string;
  /** Ends a query for rows of this alias; `skipLocked` leaves out what another transaction has locked. */
  lockRows(alias: string, options?: { skipLocked: boolean }): string;
  /** See {@link Counter}. */
  counter(name: string): Counter;
  /** For {@link runRows} of whole rows, whatever the types of their columns: inserts them; `ON CONFLICT` may follow. */
  insertRows(table: string, columns: readonly string[]): string;
  /** For {@link runRows}: deletes the rows that have these values. */
  deleteRows(table: string, columns: readonly string[]): string;
  /**
   * Makes a counter, or with null the numbers that the table generates, continue after the greatest of a column; null if they
   * do by themselves.
   */
  continueAfter(options: { table: string; column: string; counter: string | null }): string | null;
  /**
   * Makes the transaction wait until no other one of the schema has locked one of these names, which need not be of rows: to
   * begin a transaction that replaces whatever rows an owner has. SQLite has nothing to lock.
   */
  lockNames(names: readonly string[]): Steps<void>;
}

/** An owner of rows, and the texts by which it keeps some, as a JSON array. */
export const KEEP_LIST = { owner: "text", texts: "text" } as const;
export type KeepList = Readonly<Record<keyof typeof KEEP_LIST, string>>;

/**
 * Numbers that never go back: one that is taken for a row is greater than all that were taken for it before. `advance` runs
 * first, if it is not null; `next` is the number as an expression. On PostgreSQL it is a sequence, since each writer would
 * have to wait for the one before it to commit if it were a row, and each use of `next` is another number.
 */
export interface Counter {
  readonly advance: string | null;
  readonly next: string;
}

/** Rows of a table with text columns, one of them the key. */
export interface TableByKey<Row> {
  readonly table: string;
  readonly key: string;
  /** The column with the user that a row belongs to; null for rows without a user. */
  readonly owner: string | null;
  readonly columns: readonly string[];
  /** A row as its columns, in order. */
  encode(row: Row): (string | null)[];
}

export interface PutOptions extends Abortable {
  /**
   * Runs at the end of each transaction that inserted or changed rows, with their owners, old and new, in an order that all
   * writers share.
   */
  readonly beforeCommit?: ((owners: readonly string[]) => Steps<void>) | undefined;
  readonly onOutcome?: OnOutcome | undefined;
}

/** Inserts or replaces rows by their key, in short transactions. */
export type PutRows<Row> = (rows: readonly Row[], options: PutOptions) => Promise<WriteCounts>;

export interface Limits extends Abortable {
  /** How long a server may take for each statement. Default 5 s. */
  readonly timeout_ms?: number;
}

export interface WriteEachOptions<Row, T> extends Limits {
  /** How many rows come with this one, about: they bound a group. Default 1. */
  readonly size?: (row: Row) => number;
  /** Runs at the end of each transaction, on what its groups gave. */
  readonly beforeCommit?: (results: readonly T[]) => Steps<void>;
}

/** One store's tables in one engine. */
export interface SqlDatabase {
  readonly dialect: Dialect;
  /** One statement that reads. */
  query<T>(steps: () => Steps<T>, options?: Abortable): Promise<T>;
  /** Statements that read, and see the same state. */
  read<T>(steps: () => Steps<T>, options?: Limits): Promise<T>;
  /** One transaction, whole or not at all. */
  write<T>(steps: () => Steps<T>, options?: Limits): Promise<T>;
  /** See `BulkWriter`. */
  inBulk<T>(work: () => Promise<T>): Promise<T>;
  /**
   * Applies `each` to groups of rows, in their order and in as many transactions as it takes for none to be long: groups of some
   * 50 rows for about 10 ms on SQLite, where a transaction has the file to itself, and one of some 1,000 on PostgreSQL. Returns
   * what the groups gave.
   */
  writeEach<Row, T>(
    rows: readonly Row[],
    each: (group: readonly Row[]) => Steps<T>,
    options?: WriteEachOptions<Row, T>,
  ): Promise<T[]>;
  /**
   * The hot path of a bulk load, and therefore each engine's own: prepared statements row by row on SQLite, where steps would
   * cost as much again as the statements, and one statement for many rows on PostgreSQL.
   */
  putRows<Row>(table: TableByKey<Row>): PutRows<Row>;
  /**
   * Repeats a transaction that changes at most `limit` rows, and returns how many, until it changes fewer; returns the sum.
   * Default limits are 500 rows on SQLite and 10,000 on PostgreSQL.
   */
  writeAll(
    steps: (limit: number) => Steps<number>,
    options?: Limits & { readonly limit?: number },
  ): Promise<number>;
  /** Takes erased bytes out of the files, as far as that is in this side's power. */
  scrub(): Promise<void>;
  /** The same for what copies of deleted rows the pages may still have. It takes time by the size of the database. */
  compact(options?: Abortable): Promise<void>;
  health(options?: HealthOptions): Promise<Health>;
  close(): Promise<void>;
}

/** A text as every engine can store it: U+0000 and lone surrogates are replaced by U+FFFD. */
export function storable(text: string): string {
  return text.includes("\0") ? text.replaceAll("\0", "\ufffd").toWellFormed() : text.toWellFormed();
}

/** A value as JSON text whose texts every engine can store, see {@link storable}. */
export function storableJson(value: unknown): string {
  const json = JSON.stringify(value);
  // U+0000 and lone surrogates are escaped; most texts have none.
  if (!/\\u(0000|d[89a-f])/.test(json)) return json;
  return JSON.stringify(value, (_, each) => typeof each === "string" ? storable(each) : each);
}
