import { hash } from "../../../../deps.ts";
import { yieldToEventLoop } from "../../../core/abort.ts";
import type { Abortable } from "../../../core/types.ts";
import type { Sqlite } from "../../engines/sqlite/sqlite.ts";
import { DamagedIndex } from "./index_file.ts";
import type { Indexed } from "../port.ts";
import { floatsOf, type StoredRow, vectorHash } from "../rows.ts";
import { ROWS_PER_TURN } from "./table.ts";

/** Bytes of a SHA-256. */
const CHECKSUM = 32;
/** Rows read before other work gets its turn: a few milliseconds. */
const PAGE = 2_000;
/** Repeats a condition of the index `vectors_by_vector`, without which SQLite cannot use it. */
const OF_COLLECTION = "collection = ? AND collection <> 'messages'";

/** Stores the hashes of the rows that were written since the last build. */
export async function hashVectors(sql: Sqlite, collection: Indexed, { signal }: Abortable): Promise<void> {
  const hashSome = () => {
    const rows = sql.all<Pick<StoredRow, "rowid" | "vector">>(
      `SELECT rowid, vector FROM vectors WHERE ${OF_COLLECTION} AND vector_hash IS NULL LIMIT ${ROWS_PER_TURN}`,
      collection,
    );
    for (const { rowid, vector } of rows) {
      sql.run("UPDATE vectors SET vector_hash = ? WHERE rowid = ?", vectorHash(floatsOf(vector)), rowid);
    }
    return rows.length;
  };
  while (await sql.write(hashSome, { signal }) === ROWS_PER_TURN);
}

/** A vector with this hash; null if no row has it any more. */
export function vectorOfHash(sql: Sqlite, collection: Indexed, vector_hash: number): Float32Array | null {
  const row = sql.get<Pick<StoredRow, "vector">>(
    `SELECT vector FROM vectors WHERE ${OF_COLLECTION} AND vector_hash = ? ORDER BY id LIMIT 1`,
    collection,
    vector_hash,
  );
  return row && floatsOf(row.vector);
}

/** Which rows share a vector, as a build found them: rowids by {@link vectorHash}. */
export class Groups {
  /** Both have an element per row, in ascending hash, then ascending id. */
  private constructor(private readonly hashes: Float64Array, private readonly rowids: Float64Array) {}

  /** Groups the rows whose vectors are hashed. */
  static async read(sql: Sqlite, collection: Indexed, { signal }: Abortable): Promise<Groups> {
    const hashes: number[] = [], rowids: number[] = [];
    let [after, id] = [-1, ""];
    while (true) {
      const rows = sql.all<{ rowid: number; vector_hash: number; id: string }>(
        `SELECT rowid, vector_hash, id FROM vectors WHERE ${OF_COLLECTION} AND (vector_hash, id) > (?, ?)
         ORDER BY vector_hash, id LIMIT ${PAGE}`,
        collection,
        after,
        id,
      );
      for (const row of rows) {
        hashes.push(row.vector_hash);
        rowids.push(row.rowid);
        [after, id] = [row.vector_hash, row.id];
      }
      if (rows.length < PAGE) return new Groups(Float64Array.from(hashes), Float64Array.from(rowids));
      await yieldToEventLoop({ signal });
    }
  }

  /** The inverse of {@link bytes}. Throws {@link DamagedIndex} for damaged bytes. */
  static parse(bytes: Uint8Array): Groups {
    const content = bytes.slice(CHECKSUM);
    if (hash("sha256", content, "hex") !== bytes.subarray(0, CHECKSUM).toHex()) {
      throw new DamagedIndex("its groups have other bytes than were written");
    }
    const numbers = new Float64Array(content.buffer);
    const rows = numbers.length / 2;
    return new Groups(numbers.subarray(0, rows), numbers.subarray(rows));
  }

  /** A SHA-256 of what follows it: all hashes, then all rowids. */
  bytes(): Uint8Array {
    const bytes = new Uint8Array(CHECKSUM + 16 * this.rows);
    const numbers = new Float64Array(bytes.buffer, CHECKSUM);
    numbers.set(this.hashes);
    numbers.set(this.rowids, this.rows);
    bytes.set(hash("sha256", bytes.subarray(CHECKSUM), "buffer"));
    return bytes;
  }

  get rows(): number {
    return this.rowids.length;
  }

  /** Each hash once. */
  *keys(): Generator<number> {
    for (let i = 0; i < this.hashes.length; i++) {
      if (i === 0 || this.hashes[i] !== this.hashes[i - 1]) yield this.hashes[i]!;
    }
  }

  has(key: number): boolean {
    return this.hashes[this.find(key)] === key;
  }

  /** The rows of a group, at most `limit`, in ascending id. */
  members(key: number, limit: number): Float64Array {
    const start = this.find(key);
    let end = start;
    while (end < start + limit && this.hashes[end] === key) end++;
    return this.rowids.subarray(start, end);
  }

  /** Where a hash begins, or would. */
  private find(key: number): number {
    let [low, high] = [0, this.hashes.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.hashes[middle]! < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
