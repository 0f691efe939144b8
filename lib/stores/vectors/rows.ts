import { hash } from "../../../deps.ts";
import { ParleyError } from "../../core/errors.ts";
import type { ModelIdentity, Role, WriteCounts } from "../../core/types.ts";
import type { Hit, VectorRow } from "./port.ts";

/** A row of the table `vectors` in SQLite. */
export interface StoredRow {
  readonly rowid: number;
  readonly collection: string;
  readonly id: string;
  readonly user_id: string | null;
  readonly role: Role;
  readonly timestamp: string | null;
  readonly content_hash: string;
  readonly vector: Uint8Array;
}

/** Little-endian float32, as on every platform that Deno runs on. */
export function bytesOf(vector: Float32Array): Uint8Array {
  return new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength);
}

/** The inverse of {@link bytesOf}; a copy, because a blob may start where no float can. */
export function floatsOf(blob: Uint8Array): Float32Array {
  return new Float32Array(blob.slice(0, blob.length - blob.length % 4).buffer);
}

/** Why a vector must not be stored, or null. */
export function faultOf(vector: Float32Array, dimension: number): string | null {
  if (vector.length !== dimension) return `has ${vector.length} dimensions and the model has ${dimension}`;
  const norm = normOf(vector);
  if (Number.isNaN(norm)) return "holds NaN";
  return Math.abs(norm - 1) > 1e-3 ? `has norm ${norm} instead of 1` : null;
}

/** Throws `invalid` if one of these rows must not be stored. */
export function refuseFaults(rows: readonly VectorRow[], { dimension }: ModelIdentity): void {
  for (const { id, vector } of rows) {
    const fault = faultOf(vector, dimension);
    if (fault) throw new ParleyError("invalid", `the vector of ${id} ${fault}; nothing was written`);
  }
}

/**
 * Distinct vectors of a collection up to which it is scanned whole, which is exact: a scan of so many with 384 dimensions takes
 * about a millisecond. More get an index, which is approximate.
 */
export const FLAT_MAX = 2_000;

/** Components are compared to 2^-16: the mean of equal vectors may differ from them in its last bits. */
const STEPS = 2 ** 16;

/**
 * Rows with equal vectors share one entry of an index, under this hash. Thousands of equal entries would link to each other
 * alone in a graph, and a search that meets them would find nothing else.
 *
 * 53 bits of SHA-256, as many as a number holds exactly. That any two of a million vectors share them by chance has a
 * probability of 6e-5, and would cost one user the right neighbours.
 */
export function vectorHash(vector: Float32Array): number {
  const rounded = new Int32Array(vector.length);
  for (let i = 0; i < vector.length; i++) rounded[i] = Math.round(vector[i]! * STEPS);
  return Number(hash("sha256", new Uint8Array(rounded.buffer), "buffer").readBigUInt64BE() >> 11n);
}

type Scalars = Omit<VectorRow, "vector">;

/** Whether an upsert leaves the row as it is: all but the vector is equal. */
export function isSame(a: Omit<Scalars, "id">, b: Omit<Scalars, "id">): boolean {
  return a.content_hash === b.content_hash && a.user_id === b.user_id && a.role === b.role &&
    a.timestamp === b.timestamp;
}

/** Compares rows, in their order, with stored ones by id; `written` has the last of each id that changes anything. */
export function compareRows(
  rows: readonly VectorRow[],
  stored: ReadonlyMap<string, Omit<Scalars, "id">>,
): { counts: WriteCounts; written: Map<string, VectorRow> } {
  const counts = { inserted: 0, changed: 0, same: 0 };
  const written = new Map<string, VectorRow>();
  for (const row of rows) {
    const before = written.get(row.id) ?? stored.get(row.id);
    if (before !== undefined && isSame(before, row)) counts.same++;
    else {
      counts[before === undefined ? "inserted" : "changed"]++;
      written.set(row.id, row);
    }
  }
  return { counts, written };
}

/** A query scaled to norm 1; `invalid` for one of another dimension, of zeros or with values that are not finite. */
export function unit(vector: Float32Array, dimension: number): Float32Array {
  const norm = normOf(vector);
  if (vector.length !== dimension || !(norm > 0) || norm === Infinity) {
    throw new ParleyError("invalid", `a query needs ${dimension} finite numbers, not all zero`);
  }
  return vector.map((value) => value / norm);
}

/** Best first, ties by id in code-unit order. */
export function bestFirst(a: Hit, b: Hit): number {
  return b.score - a.score || (a.id < b.id ? -1 : 1);
}

function normOf(vector: Float32Array): number {
  let sum = 0;
  for (const value of vector) sum += value * value;
  return Math.sqrt(sum);
}
