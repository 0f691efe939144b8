import type { Abortable, Health } from "../../core/types.ts";

/** Answers by key, for a limited time. A miss is `null`; losing an entry is never an error. */
export interface Cache {
  get(options: { key: string } & Abortable): Promise<string | null>;
  set(options: { key: string; value: string; ttl_ms: number } & Abortable): Promise<void>;
  /**
   * Locks a key for `ttl_ms` (above 0): true for one caller, false for all others in all processes until then. Entries and
   * locks share their keys.
   */
  tryLock(options: { key: string; ttl_ms: number } & Abortable): Promise<boolean>;
  /**
   * Runs a Lua script on the server that all processes share, and gives its result. Keys get the cache's namespace. Absent if
   * the cache is the process's own.
   */
  evaluate?(options: { script: string; keys: readonly string[]; args: readonly string[] }): Promise<unknown>;
  health(options?: Abortable): Promise<Health>;
  close(): Promise<void>;
}
