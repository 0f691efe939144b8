import { ParleyError } from "../../core/errors.ts";
import type { ModelIdentity, Role } from "../../core/types.ts";
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
