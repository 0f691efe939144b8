import type { Abortable, JsonObject } from "../../core/types.ts";
import { SetDigest } from "./set_digest.ts";
import { all, type Columns, run, runRows, type SqlDatabase, type SqlValue, type Steps } from "./sql.ts";

export interface TableSpec {
  /** The columns that rows are read in the order of and replaced by. */
  readonly key: readonly string[];
  /** Whether several rows may have one key; these are in the order in which they were inserted. */
  readonly repeats?: boolean;
  /** Rows that are read at once, if they are large. */
  readonly page?: number;
  /** The column with numbers that grow: those of this counter, or of null those that the table generates. */
  readonly numbered?: { readonly column: string; readonly counter: string | null };
}

type TableRow = Readonly<Record<string, SqlValue>>;

/** Rows that are read at once. */
const PAGE = 1_000;

/** The rows of a store as they are, to be copied into another one of its kind, on either engine. */
export class SqlTables {
  readonly names: readonly string[];

  constructor(
    private readonly db: SqlDatabase,
    private readonly tables: Readonly<Record<string, TableSpec>>,
  ) {
    this.names = Object.keys(tables);
  }

  async *read({ table, signal, ...options }: { table: string; after: string | null } & Abortable) {
    for (let { after } = options;;) {
      const from = after;
      const rows = await this.db.read(() => this.page(table, from), { signal });
      if (rows.length === 0) return;
      after = this.keyOf(table, rows.at(-1)!);
      yield { rows, after };
    }
  }

  /** Some keys with all of their rows: the last one, which may have more, is left to the next page. */
  private *page(table: string, after: string | null): Steps<TableRow[]> {
    const { repeats = false, page = PAGE } = this.tables[table]!;
    const rows = yield* this.select(table, after === null ? null : [">", after], `LIMIT ${page}`);
    if (!repeats || rows.length < page) return rows;
    const last = this.keyOf(table, rows.at(-1)!);
    const whole = rows.filter((row) => this.keyOf(table, row) !== last);
    return whole.length > 0 ? whole : yield* this.select(table, ["=", last], "");
  }

  private *select(
    table: string,
    where: readonly [">" | "=", string] | null,
    limit: string,
  ): Steps<TableRow[]> {
    const { key, repeats = false } = this.tables[table]!;
    const { insertionOrder } = this.db.dialect;
    const columns = key.map(quoted).join(", ");
    const parameters = key.map((_, at) => `$${at + 1}`).join(", ");
    const rows = yield* all<Record<string, SqlValue>>(
      `SELECT * FROM ${table} ${where === null ? "" : `WHERE (${columns}) ${where[0]} (${parameters})`}
       ORDER BY ${columns}${repeats ? `, ${insertionOrder}` : ""} ${limit}`,
      ...where === null ? [] : JSON.parse(where[1]) as SqlValue[],
    );
    if (repeats) { for (const row of rows) delete row[insertionOrder]; }
    return rows;
  }

  private keyOf(table: string, row: TableRow): string {
    return JSON.stringify(this.tables[table]!.key.map((name) => row[name]));
  }

  async restore(
    { table, rows, signal }: { table: string; rows: readonly TableRow[] } & Abortable,
  ): Promise<void> {
    if (rows.length === 0) return;
    const { key, numbered } = this.tables[table]!;
    const { deleteRows, insertRows, continueAfter } = this.db.dialect;
    const columns = columnsOf(Object.keys(rows[0]!));
    const keys = [...new Map(rows.map((row) => [this.keyOf(table, row), row])).values()];
    await this.db.write(function* () {
      yield* runRows(deleteRows(table, key.map(quoted)), [], columnsOf(key), keys);
      yield* runRows(insertRows(table, Object.keys(columns).map(quoted)), [], columns, rows);
      const next = numbered && continueAfter({ table, ...numbered });
      if (next) yield* run(next);
    }, { signal });
  }

  async digest(options: Abortable = {}): Promise<string> {
    const digest = new SetDigest();
    for (const table of this.names) {
      const seen = new Map<string, number>();
      for await (const { rows } of this.read({ table, after: null, ...options })) {
        seen.clear();
        for (const row of rows) {
          const key = this.keyOf(table, row);
          // Rows of a digest are distinct: those of one key are numbered.
          const at = seen.get(key) ?? 0;
          seen.set(key, at + 1);
          digest.add([table, at, printable(row)]);
        }
      }
    }
    return digest.hex();
  }
}

function columnsOf(names: readonly string[]): Columns {
  return Object.fromEntries(names.map((name) => [name, "text"]));
}

function quoted(name: string): string {
  return `"${name}"`;
}

function printable(row: TableRow): JsonObject {
  const hex = (value: SqlValue) => value instanceof Uint8Array ? value.toHex() : value;
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, hex(value)]));
}
