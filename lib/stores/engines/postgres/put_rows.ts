import type { WriteCounts } from "../../../core/types.ts";
import {
  allRows,
  type Columns,
  type PutOptions,
  type PutRows,
  runRows,
  type SqlDatabase,
  type Steps,
  storable,
  storableJson,
  type TableByKey,
} from "../sql.ts";
import { isIn, recordset } from "./recordset.ts";

/** Rows, and characters in them, that one transaction writes at most. */
const MAX_BATCH_ROWS = 1_000;
const MAX_BATCH_LENGTH = 4_000_000;

/** Keys of the rows of a batch that were new, and that differed, these with their owners before. */
interface WrittenKeys {
  readonly inserted: ReadonlySet<string>;
  readonly changed: ReadonlyMap<string, string | null>;
}

/** A row with all columns. */
type EncodedRow = Readonly<Record<string, string | null>>;

/** As `SqlDatabase.putRows`. */
export function putRows<Row>(db: Pick<SqlDatabase, "write">, table: TableByKey<Row>): PutRows<Row> {
  const putBatch = batchWriter(table);
  return async (rows, { beforeCommit, onOutcome, signal }) => {
    const sum: Record<keyof WriteCounts, number> = { inserted: 0, changed: 0, same: 0 };
    for (const batch of batches(rows, table)) {
      const { inserted, changed } = await db.write(() => putBatch(batch, { beforeCommit }), { signal });
      for (const row of batch) {
        const id = row[table.key]!;
        const outcome = inserted.has(id) ? "inserted" : changed.has(id) ? "changed" : "same";
        sum[outcome]++;
        onOutcome?.(id, outcome, changed.get(id) ?? null);
      }
    }
    return sum;
  };
}

/** Groups rows, each key once in a group, and sorts them, so that two writers lock keys in the same order. */
function* batches<Row>(rows: readonly Row[], table: TableByKey<Row>): Generator<EncodedRow[]> {
  let batch = new Map<string, EncodedRow>();
  let length = 0;
  const sorted = () => [...batch].sort(([a], [b]) => a < b ? -1 : 1).map(([, row]) => row);
  for (const row of rows) {
    const values = table.encode(row);
    const encoded = Object.fromEntries(table.columns.map((name, i) => [name, values[i]!]));
    // As the server returns it.
    const key = encoded[table.key] = storable(encoded[table.key]!);
    if (batch.has(key) || batch.size === MAX_BATCH_ROWS || length > MAX_BATCH_LENGTH) {
      yield sorted();
      batch = new Map();
      length = 0;
    }
    batch.set(key, encoded);
    for (const value of values) length += value?.length ?? 0;
  }
  if (batch.size > 0) yield sorted();
}

/**
 * Writes a batch in three statements, because each sees what was committed before it: a row that another writer inserts
 * meanwhile is not inserted here, but found by the next statement, with its owner, and locked.
 */
function batchWriter(table: Omit<TableByKey<never>, "encode">) {
  const columns: Columns = Object.fromEntries(table.columns.map((name) => [name, "text"]));
  const sql = statements(table, columns);
  const keyOf = (row: EncodedRow) => row[table.key]!;
  const keysOf = (rows: readonly EncodedRow[]) => [storableJson(rows.map(keyOf))];
  const ownerOf = (row: EncodedRow) => table.owner === null ? null : row[table.owner]!;
  return function* (batch: readonly EncodedRow[], { beforeCommit }: PutOptions): Steps<WrittenKeys> {
    const added = yield* allRows<{ key: string }>(sql.insert, [], columns, batch);
    const inserted = new Set(added.map(({ key }) => key));
    const rest = inserted.size === batch.length ? [] : batch.filter((row) => !inserted.has(keyOf(row)));
    const differing = rest.length === 0
      ? []
      : yield* allRows<{ key: string; owner: string | null }>(sql.differing, keysOf(rest), columns, rest);
    const changed = new Map(differing.map(({ key, owner }) => [key, owner]));
    const replaced = rest.filter((row) => changed.has(keyOf(row)));
    if (replaced.length > 0) yield* runRows(sql.replace, keysOf(replaced), columns, replaced);
    const written = batch.filter((row) => inserted.has(keyOf(row)) || changed.has(keyOf(row)));
    const owners = new Set([...written.map(ownerOf), ...changed.values()]);
    const users = [...owners].filter((owner) => owner !== null).sort();
    if (beforeCommit !== undefined && users.length > 0) yield* beforeCommit(users);
    return { inserted, changed };
  };
}

/**
 * What joins the input has its keys as $1 as well, since the server takes any input for 100 rows: without them it would go through
 * a table of some 10,000 rows for a single one.
 */
function statements(
  { table, key, owner, columns: names }: Omit<TableByKey<never>, "encode">,
  columns: Columns,
) {
  const list = names.join(", ");
  const others = names.filter((name) => name !== key);
  const of = (alias: string) => others.map((name) => `${alias}.${name}`).join(", ");
  const input = recordset("$2", columns);
  const isGiven = isIn(`old.${key}`, "$1");
  return {
    insert: `INSERT INTO ${table} (${list}) SELECT ${list} FROM ${recordset("$1", columns)}
      ON CONFLICT (${key}) DO NOTHING RETURNING ${key} AS key`,
    differing: `SELECT old.${key} AS key, ${owner === null ? "NULL" : `old.${owner}`} AS owner
      FROM ${table} old JOIN ${input} USING (${key})
      WHERE ${isGiven} AND (${of("old")}) IS DISTINCT FROM (${of("input")}) FOR UPDATE OF old`,
    replace: `UPDATE ${table} old SET ${others.map((name) => `${name} = input.${name}`).join(", ")}
      FROM ${input} WHERE ${isGiven} AND old.${key} = input.${key}`,
  };
}
