import type { Abortable, Health } from "../../core/types.ts";

/** Answers by key, for a while. A miss is `null`; losing an entry is never an error. */
export interface Cache {
  get(o: { key: string } & Abortable): Promise<string | null>;
  set(o: { key: string; value: string; ttl_ms: number } & Abortable): Promise<void>;
  health(o?: Abortable): Promise<Health>;
  close(): Promise<void>;
}
