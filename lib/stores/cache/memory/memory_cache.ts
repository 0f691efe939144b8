// deno-lint-ignore-file require-await -- the port is asynchronous, this engine is not
import { LRUCache } from "../../../../deps.ts";
import { ParleyError } from "../../../core/errors.ts";
import type { Abortable, Health } from "../../../core/types.ts";
import type { Cache } from "../port.ts";

/** V8 stores text in one or two bytes for each UTF-16 unit; an entry costs some hundred bytes more. */
const BYTES_PER_UNIT = 2;
const BYTES_PER_ENTRY = 128;

/** Answers in this process; beyond `max_bytes` the least recently used are dropped. */
export class MemoryCache implements Cache {
  private readonly entries: LRUCache<string, string>;
  private closed = false;

  constructor(options: { max_bytes: number }) {
    this.entries = new LRUCache<string, string>({
      maxSize: options.max_bytes,
      sizeCalculation: (value, key) => BYTES_PER_ENTRY + BYTES_PER_UNIT * (key.length + value.length),
      // Above 0 the library keeps a timer running, which keeps the process from ending.
      ttlResolution: 0,
    });
  }

  async get(options: { key: string } & Abortable): Promise<string | null> {
    this.check(options);
    return this.entries.get(options.key) ?? null;
  }

  /** An entry without time to live, or larger than the whole cache, only removes the one before it. */
  async set(options: { key: string; value: string; ttl_ms: number } & Abortable): Promise<void> {
    this.check(options);
    if (options.ttl_ms > 0) this.entries.set(options.key, options.value, { ttl: Math.ceil(options.ttl_ms) });
    else this.entries.delete(options.key);
  }

  async tryLock(options: { key: string; ttl_ms: number } & Abortable): Promise<boolean> {
    this.check(options);
    const free = !this.entries.has(options.key);
    if (free) this.entries.set(options.key, "", { ttl: Math.ceil(options.ttl_ms) });
    return free;
  }

  async health(options: Abortable = {}): Promise<Health> {
    this.check(options);
    return { adapter: "memory", version: "1", latency_ms: 0, bytes: this.entries.calculatedSize };
  }

  async close(): Promise<void> {
    this.closed = true;
    this.entries.clear();
  }

  private check({ signal }: Abortable): void {
    signal?.throwIfAborted();
    if (this.closed) throw new ParleyError("unavailable", "the cache was closed");
  }
}
