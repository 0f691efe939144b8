import { sha256 } from "../../core/hash.ts";
import { canonicalJson } from "../../core/json.ts";
import type { Json } from "../../core/types.ts";

/**
 * A hash of a set of rows that does not depend on their order: the sum of the rows' SHA-256 modulo 2^256, as 64 hex
 * digits. Rows must be distinct, which keys make sure of. See Bellare and Micciancio, "A New Paradigm for
 * Collision-Free Hashing" (1997), for sums of hashes as a set hash.
 */
export class SetDigest {
  private sum = 0n;

  /** Adds a row. Floating-point vectors are given as hex of their bytes. */
  add(row: Json): void {
    const hash = sha256(canonicalJson(row));
    this.sum = (this.sum + BigInt(`0x${hash}`)) & ((1n << 256n) - 1n);
  }

  hex(): string {
    return this.sum.toString(16).padStart(64, "0");
  }
}
