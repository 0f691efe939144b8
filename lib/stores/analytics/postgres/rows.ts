import { paged } from "../../../core/batches.ts";
import { canonicalJson } from "../../../core/json.ts";
import type { Abortable, Json, WriteCounts } from "../../../core/types.ts";
import type { KeyedTableOptions } from "../../engines/keyed_table.ts";
import type { Postgres } from "../../engines/postgres/postgres.ts";
import { type Queryable, type SqlValue, transposed, unnestOf } from "../../engines/postgres/session.ts";
import { storable } from "../../engines/sql.ts";

/** Rows that are read at once. */
const PAGE_ROWS = 1_000;
/** Rows, and characters in them, that one transaction writes at most. */
const MAX_BATCH_ROWS = 1_000;
const MAX_BATCH_LENGTH = 4_000_000;

/** A row as its columns, in the order of the table's. */
type EncodedRow = readonly (string | null)[];

type MarkDirty = (session: Queryable, owners: readonly string[]) => Promise<void>;

/** Rows of one noun in one table, with a text column for each field, inserted or replaced by their key. */
export class PostgresRows<Row extends object> {
  private readonly names: readonly (keyof Row & string)[];
  private readonly json: readonly (keyof Row & string)[];
  /** The indexes of the key and the owner among the columns. */
  private readonly at: { readonly key: number; readonly owner: number };
  private readonly sql: { readonly insert: string; readonly differing: string; readonly replace: string };

  constructor(private readonly db: Postgres, private readonly options: KeyedTableOptions<Row>) {
    this.names = Object.keys(options.columns) as (keyof Row & string)[];
    this.json = this.names.filter((name) => options.columns[name] === "json");
    this.at = {
      key: this.names.indexOf(options.key),
      owner: options.owner === null ? -1 : this.names.indexOf(options.owner),
    };
    this.sql = statements(options, this.names);
  }

  /**
   * Writes rows in several transactions. `markDirty` is called at the end of each with the owners, old and new, of what
   * was inserted or changed in it.
   */
  async upsert(options: { rows: readonly Row[]; markDirty?: MarkDirty } & Abortable): Promise<WriteCounts> {
    const sum = { inserted: 0, changed: 0, same: 0 };
    for (const batch of this.batches(options.rows)) {
      const counts = await this.db.write((session) => this.put(session, batch, options.markDirty), options);
      sum.inserted += counts.inserted;
      sum.changed += counts.changed;
      sum.same += counts.same;
    }
    return sum;
  }

  /** Groups rows, each key once in a group, and sorts them, so that two writers lock keys in the same order. */
  private *batches(rows: readonly Row[]): Generator<EncodedRow[]> {
    let batch = new Map<string, EncodedRow>();
    let length = 0;
    const sorted = () => [...batch].sort(([a], [b]) => a < b ? -1 : 1).map(([, row]) => row);
    for (const row of rows) {
      const encoded = this.names.map((name) => this.encode(row, name));
      const key = encoded[this.at.key]!;
      if (batch.has(key) || batch.size === MAX_BATCH_ROWS || length > MAX_BATCH_LENGTH) {
        yield sorted();
        batch = new Map();
        length = 0;
      }
      batch.set(key, encoded);
      for (const value of encoded) length += value?.length ?? 0;
    }
    if (batch.size > 0) yield sorted();
  }

  private encode(row: Row, name: keyof Row & string): string | null {
    // A row that an earlier version of Parley has validated lacks fields that were added since.
    const value = row[name] ?? null;
    if (value === null) return null;
    return this.options.columns[name] === "plain" ? storable(value as string) : canonicalJson(value as Json);
  }

  /**
   * Three statements, because each sees what was committed before it: a row that another writer inserts meanwhile is not
   * inserted here, but found by the next statement, with its owner, and locked.
   */
  private async put(
    session: Queryable,
    batch: readonly EncodedRow[],
    markDirty?: MarkDirty,
  ): Promise<WriteCounts> {
    const columns = (rows: readonly EncodedRow[]) => transposed(rows, this.names.length);
    const added = await session.all<{ key: string }>(this.sql.insert, columns(batch));
    const inserted = new Set(added.map(({ key }) => key));
    const rest = inserted.size === batch.length ? [] : batch.filter((row) => !inserted.has(this.keyOf(row)));
    const differing = rest.length === 0
      ? []
      : await session.all<{ key: string; owner: string | null }>(this.sql.differing, columns(rest));
    const changed = new Map(differing.map(({ key, owner }) => [key, owner]));
    const replaced = rest.filter((row) => changed.has(this.keyOf(row)));
    if (replaced.length > 0) await session.run(this.sql.replace, columns(replaced));
    await markDirty?.(
      session,
      this.owners(batch.filter((row) => inserted.has(this.keyOf(row))), replaced, changed),
    );
    return { inserted: inserted.size, changed: changed.size, same: rest.length - changed.size };
  }

  private keyOf(row: EncodedRow): string {
    return row[this.at.key]!;
  }

  /** The owners of the written rows, before and after, in an order that all writers share. */
  private owners(
    inserted: readonly EncodedRow[],
    replaced: readonly EncodedRow[],
    before: ReadonlyMap<string, string | null>,
  ): string[] {
    const after = [...inserted, ...replaced].map((row) => row[this.at.owner]);
    return [...new Set([...after, ...before.values()])].filter((owner) => owner != null).sort();
  }

  /** Reads rows by a clause that follows `FROM table`. */
  async select(clause: string, values: readonly SqlValue[], options: Abortable): Promise<Row[]> {
    const rows = await this.db.all<Record<string, unknown>>(
      `SELECT ${this.names.join(", ")} FROM ${this.options.table} ${clause}`,
      values,
      options,
    );
    for (const row of rows) {
      for (const name of this.json) if (row[name] !== null) row[name] = JSON.parse(row[name] as string);
    }
    return rows as Row[];
  }

  /** Rows in ascending key, after `after`. */
  page(options: { after: string | null; limit: number } & Abortable): Promise<Row[]> {
    const { key } = this.options;
    return this.select(
      `WHERE ${key} > $1 ORDER BY ${key} LIMIT $2`,
      [options.after ?? "", options.limit],
      options,
    );
  }

  /** All rows in ascending key, read in pages. */
  rows({ signal }: Abortable): AsyncGenerator<Row> {
    const page = (after: string | null, limit: number) => this.page({ after, limit, signal });
    return paged(PAGE_ROWS, (row) => row[this.options.key] as string, page);
  }
}

/** Statements that take an array for each column, in order. */
function statements<Row>(options: KeyedTableOptions<Row>, names: readonly string[]) {
  const columns = names.join(", ");
  const rows = unnestOf(Object.fromEntries(names.map((name) => [name, "text" as const])));
  const others = names.filter((name) => name !== options.key);
  const of = (table: string) => others.map((name) => `${table}.${name}`).join(", ");
  return {
    insert: `INSERT INTO ${options.table} (${columns}) SELECT ${columns} FROM ${rows}
      ON CONFLICT (${options.key}) DO NOTHING RETURNING ${options.key} AS key`,
    differing: `SELECT old.${options.key} AS key, ${
      options.owner === null ? "NULL" : `old.${options.owner}`
    } AS owner
      FROM ${options.table} old JOIN ${rows} USING (${options.key})
      WHERE (${of("old")}) IS DISTINCT FROM (${of("input")}) FOR UPDATE OF old`,
    replace: `UPDATE ${options.table} old SET ${others.map((name) => `${name} = input.${name}`).join(", ")}
      FROM ${rows} WHERE old.${options.key} = input.${options.key}`,
  };
}
