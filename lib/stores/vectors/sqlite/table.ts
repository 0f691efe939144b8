import type { WriteCounts } from "../../../core/types.ts";
import type { Sqlite } from "../../engines/sqlite/sqlite.ts";
import type { Collection, VectorRow } from "../port.ts";
import { bytesOf, isSame, type StoredRow } from "../rows.ts";

/** Rows that are written, deleted or read before other work gets its turn: a few milliseconds. */
export const ROWS_PER_TURN = 250;

const UPDATE =
  "UPDATE vectors SET user_id=?, role=?, timestamp=?, content_hash=?, vector=?, vector_hash=NULL WHERE rowid=?";
const INSERT =
  "INSERT INTO vectors (user_id, role, timestamp, content_hash, vector, collection, id) VALUES (?,?,?,?,?,?,?)";

/** Inserts or replaces rows in the caller's transaction; returns the outcome of each. */
export function putRows(
  sql: Sqlite,
  collection: Collection,
  rows: readonly VectorRow[],
): (keyof WriteCounts)[] {
  return rows.map((row) => {
    const before = sql.get<StoredRow>(
      "SELECT rowid, user_id, role, timestamp, content_hash FROM vectors WHERE collection = ? AND id = ?",
      collection,
      row.id,
    );
    if (before && isSame(before, row)) return "same";
    const values = [row.user_id, row.role, row.timestamp, row.content_hash, bytesOf(row.vector)];
    if (before) sql.run(UPDATE, ...values, before.rowid);
    else sql.run(INSERT, ...values, collection, row.id);
    return before ? "changed" : "inserted";
  });
}

/** Removes the rows of a collection whose `column` is among `values`, a few at a time; returns how many. */
export async function eraseRows(
  sql: Sqlite,
  options: {
    collection: Collection;
    column: "user_id" | "id";
    values: readonly string[];
    signal: AbortSignal | undefined;
  },
): Promise<number> {
  let total = 0;
  while (true) {
    options.signal?.throwIfAborted();
    const deleted = await sql.write(() => eraseSome(sql, options));
    total += deleted;
    if (deleted < ROWS_PER_TURN) return total;
  }
}

function eraseSome(
  sql: Sqlite,
  options: { collection: Collection; column: "user_id" | "id"; values: readonly string[] },
): number {
  return sql.run(
    `DELETE FROM vectors WHERE rowid IN (SELECT rowid FROM vectors WHERE collection = ?
       AND ${options.column} IN (SELECT value FROM json_each(?)) LIMIT ${ROWS_PER_TURN})`,
    options.collection,
    JSON.stringify(options.values),
  );
}
