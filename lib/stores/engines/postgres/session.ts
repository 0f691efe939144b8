import type { PgClient, PgQuery, PgResult } from "../../../../deps.ts";
import type { Abortable } from "../../../core/types.ts";
import { type Result, type Statement, storable, storableJson } from "../sql.ts";
import { brokenError, isBroken, postgresError } from "./errors.ts";

type Scalar = string | number | null;
/** What a statement takes: `$1` may be an array, for `unnest` or `ANY`, or bytes. */
export type SqlValue = Scalar | readonly Scalar[] | Uint8Array;

/** A database or a transaction. Every failure is a ParleyError. */
export interface Queryable {
  all<Row>(sql: string, values?: readonly SqlValue[]): Promise<Row[]>;
  get<Row>(sql: string, values?: readonly SqlValue[]): Promise<Row | null>;
  /** Returns how many rows it changed. */
  run(sql: string, values?: readonly SqlValue[]): Promise<number>;
}

/** One connection. Statements are prepared once on each, under a name by their text. */
export class PgSession implements Queryable {
  private readonly client: PgClient;
  private readonly where: string;
  private readonly names: Map<string, string>;
  private readonly timeout_ms: number;
  private readonly signal: AbortSignal | undefined;

  constructor(
    options: { client: PgClient; where: string; names: Map<string, string>; timeout_ms: number } & Abortable,
  ) {
    this.client = options.client;
    this.where = options.where;
    this.names = options.names;
    this.timeout_ms = options.timeout_ms;
    this.signal = options.signal;
  }

  async all<Row>(sql: string, values: readonly SqlValue[] = []): Promise<Row[]> {
    return (await this.query(sql, values)).rows as Row[];
  }

  async get<Row>(sql: string, values: readonly SqlValue[] = []): Promise<Row | null> {
    return (await this.all<Row>(sql, values))[0] ?? null;
  }

  async run(sql: string, values: readonly SqlValue[] = []): Promise<number> {
    return (await this.query(sql, values)).rowCount ?? 0;
  }

  /** One of the statements of {@link Steps}. */
  async execute({ sql, values, input }: Statement): Promise<Result> {
    const all = input === undefined ? values : [...values, toJson(input.rows)];
    const { rows, rowCount } = await this.query(sql, all);
    return { rows, changes: rowCount ?? 0 };
  }

  /** Several statements at once, without values. */
  async script(sql: string): Promise<void> {
    await this.send({ text: sql });
  }

  /** Undoes a transaction, of an aborted call too; a connection on which that fails counts as broken. */
  async rollback(): Promise<void> {
    await this.script("ROLLBACK").catch(() => {
      throw brokenError(this.where);
    });
  }

  private async query(sql: string, values: readonly SqlValue[]): Promise<PgResult> {
    this.signal?.throwIfAborted();
    return await this.send({ name: this.nameOf(sql), text: sql, values: values.map(storableValue) });
  }

  private async send(query: PgQuery): Promise<PgResult> {
    const timed: PgQuery & { query_timeout: number } = { ...query, query_timeout: this.timeout_ms };
    try {
      return await this.client.query(timed);
    } catch (error) {
      throw postgresError(error, this.where);
    }
  }

  private nameOf(sql: string): string {
    let name = this.names.get(sql);
    if (name === undefined) {
      name = `parley_${this.names.size}`;
      this.names.set(sql, name);
    }
    return name;
  }
}

/** Runs `body` between `begin` and COMMIT; rolls back if it throws. `timeout_ms` is for each statement. */
export async function transaction<T>(
  session: PgSession,
  begin: string,
  { timeout_ms }: { readonly timeout_ms?: number },
  body: (session: PgSession) => Promise<T>,
): Promise<T> {
  await session.script(
    timeout_ms === undefined ? begin : `${begin}; SET LOCAL statement_timeout = ${timeout_ms}`,
  );
  try {
    const result = await body(session);
    await session.run("COMMIT");
    return result;
  } catch (error) {
    if (!isBroken(error)) await session.rollback();
    throw error;
  }
}

/** Rows as a JSON array of objects; bytes as the text that PostgreSQL reads them from. */
function toJson(rows: readonly object[]): string {
  const hasBytes = rows.some((row) => Object.values(row).some((value) => value instanceof Uint8Array));
  return storableJson(hasBytes ? rows.map(printable) : rows);
}

function printable(row: object): object {
  const hex = (value: unknown) => value instanceof Uint8Array ? `\\x${value.toHex()}` : value;
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, hex(value)]));
}

function storableValue(value: SqlValue): SqlValue {
  if (Array.isArray(value)) return value.map((item: Scalar) => storableValue(item) as Scalar);
  return typeof value === "string" ? storable(value) : value;
}

/** An array for each column, as `unnest` takes them. `width` is the number of columns. */
export function transposed(rows: readonly (readonly Scalar[])[], width: number): Scalar[][] {
  return Array.from({ length: width }, (_, column) => rows.map((row) => row[column] ?? null));
}
