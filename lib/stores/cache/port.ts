import type { Abortable, Health } from "../../core/types.ts";

/** Answers by key, for a while. A miss is `null`; losing an entry is never an error. */
export interface Cache {
  get(options: { key: string } & Abortable): Promise<string | null>;
  set(options: { key: string; value: string; ttl_ms: number } & Abortable): Promise<void>;
  /**
   * Takes a key for `ttl_ms` (above 0): true for one caller, false for all others until then, whatever process they are
   * in. Entries and claims share their keys.
   */
  tryLock(options: { key: string; ttl_ms: number } & Abortable): Promise<boolean>;
  health(options?: Abortable): Promise<Health>;
  close(): Promise<void>;
}
