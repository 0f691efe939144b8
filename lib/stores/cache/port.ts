import type { Health } from "../../core/types.ts";

/** Answers by key, for a while. A miss is `null`; losing an entry is never an error. */
export interface Cache {
  get(o: { key: string }): Promise<string | null>;
  set(o: { key: string; value: string; ttl_ms: number }): Promise<void>;
  health(): Promise<Health>;
  close(): Promise<void>;
}
