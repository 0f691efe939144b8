import type { SQLInputValue } from "../../../deps.ts";
import { yieldToEventLoop } from "../../core/abort.ts";
import { paged } from "../../core/batches.ts";
import { canonicalJson } from "../../core/json.ts";
import type { Abortable, Json, WriteCounts } from "../../core/types.ts";
import type { Sqlite } from "./sqlite/sqlite.ts";

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
}

/** Rows of one noun in one table, a column a field, inserted or replaced by their key. */
export class KeyedTable<Row extends object> {
  readonly table: string;
  private readonly key: keyof Row & string;
  private readonly names: readonly (keyof Row & string)[];
  private readonly json: readonly (keyof Row & string)[];
  private readonly sql: { readonly insert: string; readonly differing: string; readonly replace: string };

  constructor(private readonly db: Sqlite, private readonly options: KeyedTableOptions<Row>) {
    this.table = options.table;
    this.key = options.key;
    this.names = Object.keys(options.columns) as (keyof Row & string)[];
    this.json = this.names.filter((name) => options.columns[name] === "json");
    this.sql = statements(options, this.names);
  }

  /**
   * Writes rows in short transactions. `markDirty` is called at the end of each with the owners, old and new, of the rows
   * that were inserted or changed in it.
   */
  async upsert(
    options: { rows: readonly Row[]; markDirty?: (owners: readonly string[]) => void } & Abortable,
  ): Promise<WriteCounts> {
    const counts = { inserted: 0, changed: 0, same: 0 };
    let owners = new Set<string>();
    const beforeCommit = () => {
      options.markDirty?.([...owners]);
      owners = new Set();
    };
    const put = (row: Row) => counts[this.put(row, owners)]++;
    await this.db.writeEach(options.rows, put, { beforeCommit, signal: options.signal });
    return counts;
  }

  private put(row: Row, owners: Set<string>): keyof WriteCounts {
    const values = this.names.map((name) => this.encode(row, name));
    const owner = this.options.owner === null ? null : row[this.options.owner] as string;
    if (this.db.run(this.sql.insert, ...values) === 1) {
      if (owner !== null) owners.add(owner);
      return "inserted";
    }
    const before = this.db.get<{ owner: string | null }>(this.sql.differing, ...values);
    if (before === null) return "same";
    this.db.run(this.sql.replace, ...values);
    for (const each of [before.owner, owner]) if (each !== null) owners.add(each);
    return "changed";
  }

  private encode(row: Row, name: keyof Row & string): SQLInputValue {
    // A row that an earlier version of Parley has validated lacks fields that were added since.
    const value = row[name] ?? null;
    if (value === null || this.options.columns[name] === "plain") return value as SQLInputValue;
    return canonicalJson(value as Json);
  }

  /** Reads rows by a clause that follows `FROM table`. */
  select(clause: string, ...values: SQLInputValue[]): Row[] {
    const rows = this.db.all<Record<string, unknown>>(
      `SELECT ${this.names.join(", ")} FROM ${this.table} ${clause}`,
      ...values,
    );
    for (const row of rows) {
      for (const name of this.json) if (row[name] !== null) row[name] = JSON.parse(row[name] as string);
    }
    return rows as Row[];
  }

  /** Rows in ascending key, after `after`. */
  page(options: { after: string | null; limit: number }): Row[] {
    return this.select(
      `WHERE ${this.key} > ? ORDER BY ${this.key} LIMIT ?`,
      options.after ?? "",
      options.limit,
    );
  }

  /** All rows in ascending key, read in pages, so that other work gets its turn. */
  rows(options: Abortable = {}): AsyncGenerator<Row> {
    return paged(PAGE, (row) => row[this.key] as string, async (after, limit) => {
      await yieldToEventLoop(options);
      return this.page({ after, limit });
    });
  }
}

/** Statements that take all columns in order, so that `?n` is the n-th column. */
function statements<Row>(options: KeyedTableOptions<Row>, names: readonly string[]) {
  const parameter = (name: string) => `?${names.indexOf(name) + 1}`;
  const others = names.filter((name) => name !== options.key);
  const key = `${options.key} = ${parameter(options.key)}`;
  const differs = `(${others.join(", ")}) IS NOT (${others.map(parameter).join(", ")})`;
  return {
    insert: `INSERT INTO ${options.table} (${names.join(", ")}) VALUES (${names.map(parameter).join(", ")})
      ON CONFLICT (${options.key}) DO NOTHING`,
    differing: `SELECT ${options.owner ?? "NULL"} AS owner FROM ${options.table} WHERE ${key} AND ${differs}`,
    replace: `UPDATE ${options.table} SET ${
      others.map((name) => `${name} = ${parameter(name)}`).join(", ")
    } WHERE ${key}`,
  };
}
