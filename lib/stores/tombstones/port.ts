import type { Abortable, PageOptions } from "../../core/types.ts";

/**
 * The erased users of whom a store has no rows, each by the keyed hash of the id. A store that was restored from a backup lacks
 * those of later erasures, by which they are noticed and applied again.
 */
export interface TombstoneStore {
  /** Adds hashes; one that exists stays. */
  add(options: { hashes: readonly string[] } & Abortable): Promise<void>;
  /** All hashes in ascending order. */
  page(options: PageOptions): Promise<string[]>;
  /** Those of these hashes that exist, in ascending order. */
  among(options: { hashes: readonly string[] } & Abortable): Promise<string[]>;
  remove(options: { hashes: readonly string[] } & Abortable): Promise<void>;
}
