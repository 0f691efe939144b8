import { yieldToEventLoop } from "../../core/abort.ts";
import { paged } from "../../core/batches.ts";
import { canonicalJson } from "../../core/json.ts";
import type { Abortable, Json, OnOutcome, WriteCounts } from "../../core/types.ts";
import {
  all,
  get,
  type Limits,
  type PutRows,
  run,
  type SqlDatabase,
  type SqlValue,
  type Steps,
  storable,
} from "./sql.ts";

/** Rows that are read at once. */
const PAGE = 500;

/** How a field is stored: as it is, or as canonical JSON text. */
type Encoding = "plain" | "json";

export interface KeyedTableOptions<Row> {
  readonly table: string;
  readonly key: keyof Row & string;
  /** The field with the user that the row belongs to; null for rows without a user. */
  readonly owner: (keyof Row & string) | null;
  readonly columns: Readonly<Record<keyof Row & string, Encoding>>;
  /** Further columns, which are made of a row and only searched. A row that an earlier version of Parley wrote has null in them. */
  readonly derived?: Readonly<Record<string, (row: Row) => string | null>>;
}

/** Rows of one noun in one table, a text column a field, inserted or replaced by their key. */
export class KeyedTable<Row extends object> {
  private readonly names: readonly (keyof Row & string)[];
  private readonly json: readonly (keyof Row & string)[];
  private readonly derived: readonly (readonly [name: string, value: (row: Row) => string | null])[];
  private readonly put: PutRows<Row>;

  constructor(private readonly db: SqlDatabase, private readonly options: KeyedTableOptions<Row>) {
    this.names = Object.keys(options.columns) as (keyof Row & string)[];
    this.json = this.names.filter((name) => options.columns[name] === "json");
    this.derived = Object.entries(options.derived ?? {});
    const columns = [...this.names, ...this.derived.map(([name]) => name)];
    this.put = db.putRows({ ...options, columns, encode: (row) => this.encode(row) });
  }

  /**
   * Writes rows in short transactions. `markDirty` runs at the end of each that inserted or changed rows, with their owners, old
   * and new, if they have any.
   */
  upsert(
    options: {
      rows: readonly Row[];
      markDirty?: (owners: readonly string[]) => Steps<void>;
      onOutcome?: OnOutcome | undefined;
    } & Abortable,
  ): Promise<WriteCounts> {
    const { rows, markDirty: beforeCommit, onOutcome, signal } = options;
    return this.put(rows, { beforeCommit, onOutcome, signal });
  }

  /**
   * Replaces a row by what `change` makes of it, in one transaction that locks it; null if it does not exist. `markDirty` runs at its
   * end if the row is another one. What `change` throws is thrown, and nothing is written; it may run again.
   */
  change(
    { id, change, markDirty, signal }: {
      id: string;
      change: (before: Row) => Row;
      markDirty: () => Steps<void>;
    } & Abortable,
  ): Promise<Row | null> {
    const { table, key } = this.options;
    const columns = [...this.names, ...this.derived.map(([name]) => name)];
    const read = `SELECT ${this.names.join(", ")} FROM ${table} WHERE ${key} = $1 ${
      this.db.dialect.lockRows(table)
    }`;
    const replace = `UPDATE ${table} SET ${
      columns.map((name, at) => `${name} = $${at + 2}`).join(", ")
    } WHERE ${key} = $1`;
    const steps = function* (this: KeyedTable<Row>): Steps<Row | null> {
      const stored = yield* get<Record<string, unknown>>(read, id);
      if (stored === null) return null;
      const before = this.decode(stored);
      const after = change(before);
      const values = this.encode(after);
      if (canonicalJson(values) === canonicalJson(this.encode(before))) return before;
      yield* run(replace, id, ...values.map((value) => value === null ? null : storable(value)));
      yield* markDirty();
      return after;
    };
    return this.db.write(() => steps.call(this), { signal });
  }

  private decode(row: Record<string, unknown>): Row {
    for (const name of this.json) if (row[name] !== null) row[name] = JSON.parse(row[name] as string);
    return row as Row;
  }

  private encode(row: Row): (string | null)[] {
    const values = this.names.map((name) => {
      // A row that an earlier version of Parley has validated lacks fields that were added since.
      const value = row[name] ?? null;
      if (value === null || this.options.columns[name] === "plain") return value as string | null;
      return canonicalJson(value as Json);
    });
    return [...values, ...this.derived.map(([, value]) => value(row))];
  }

  /** Reads rows by a clause that follows `FROM table`. */
  async select(clause: string, values: readonly SqlValue[], options: Limits = {}): Promise<Row[]> {
    const sql = `SELECT ${this.names.join(", ")} FROM ${this.options.table} ${clause}`;
    const steps = () => all<Record<string, unknown>>(sql, ...values);
    const rows =
      await (options.timeout_ms === undefined ? this.db.query(steps, options) : this.db.read(steps, options));
    return rows.map((row) => this.decode(row));
  }

  /** Rows in ascending key, after `after`. */
  page({ after, limit, signal }: { after: string | null; limit: number } & Abortable): Promise<Row[]> {
    const { key } = this.options;
    return this.select(`WHERE ${key} > $1 ORDER BY ${key} LIMIT $2`, [after ?? "", limit], { signal });
  }

  /** All rows in ascending key, read in pages, so that other work gets its turn. */
  rows(options: Abortable = {}): AsyncGenerator<Row> {
    return paged(PAGE, (row) => row[this.options.key] as string, async (after, limit) => {
      await yieldToEventLoop(options);
      return this.page({ after, limit, ...options });
    });
  }
}
