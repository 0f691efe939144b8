import { yieldToEventLoop } from "../../core/abort.ts";
import { paged } from "../../core/batches.ts";
import { canonicalJson } from "../../core/json.ts";
import type { Abortable, Json, OnOutcome, WriteCounts } from "../../core/types.ts";
import { all, type Limits, type PutRows, type SqlDatabase, type SqlValue, type Steps } from "./sql.ts";

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
  readonly derived?: Readonly<Record<string, (row: Row) => string>>;
}

/** Rows of one noun in one table, a text column a field, inserted or replaced by their key. */
export class KeyedTable<Row extends object> {
  private readonly names: readonly (keyof Row & string)[];
  private readonly json: readonly (keyof Row & string)[];
  private readonly derived: readonly (readonly [name: string, value: (row: Row) => string])[];
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
    for (const row of rows) {
      for (const name of this.json) if (row[name] !== null) row[name] = JSON.parse(row[name] as string);
    }
    return rows as Row[];
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
