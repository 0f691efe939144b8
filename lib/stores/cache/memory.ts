import { LRUCache } from "../../../deps.ts";
import type { Health } from "../../core/types.ts";
import type { Cache } from "./port.ts";

/** V8 holds text in one or two bytes a UTF-16 unit; an entry's node costs some hundred bytes more. */
const BYTES_PER_UNIT = 2;
const BYTES_PER_ENTRY = 128;

/** Answers in this process, the least recently used dropped first once `max_bytes` are held. */
export class MemoryCache implements Cache {
  private readonly entries: LRUCache<string, string>;

  constructor(o: { max_bytes: number }) {
    this.entries = new LRUCache<string, string>({
      maxSize: o.max_bytes,
      sizeCalculation: (value, key) => BYTES_PER_ENTRY + BYTES_PER_UNIT * (key.length + value.length),
      // Above 0 the library keeps a timer running, which would hold up a process that wants to end.
      ttlResolution: 0,
    });
  }

  get(o: { key: string }): Promise<string | null> {
    return Promise.resolve(this.entries.get(o.key) ?? null);
  }

  /** An entry without time to live, or larger than the whole cache, only replaces what was there by nothing. */
  set(o: { key: string; value: string; ttl_ms: number }): Promise<void> {
    if (o.ttl_ms > 0) this.entries.set(o.key, o.value, { ttl: Math.ceil(o.ttl_ms) });
    else this.entries.delete(o.key);
    return Promise.resolve();
  }

  claim(o: { key: string; ttl_ms: number }): Promise<boolean> {
    const free = !this.entries.has(o.key);
    if (free) this.entries.set(o.key, "", { ttl: Math.ceil(o.ttl_ms) });
    return Promise.resolve(free);
  }

  health(): Promise<Health> {
    return Promise.resolve({ adapter: "memory", version: "1", latency_ms: 0 });
  }

  close(): Promise<void> {
    this.entries.clear();
    return Promise.resolve();
  }
}
