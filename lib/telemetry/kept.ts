import { inTime } from "../core/abort.ts";
import type { Clock } from "../core/clock.ts";

/** How long what a scrape has read is taken as it was, and how long it waits for any store, in milliseconds. */
const TTL_MS = 5_000;
const READ_TIMEOUT_MS = 1_000;

/** A value that is read anew every 5 s at most and waited for 1 s at most, however many ask and whatever the store does. */
export class CachedRead<Value> {
  private last: Promise<Value | null> = Promise.resolve(null);
  private readAt = -Infinity;

  constructor(private readonly clock: Clock, private readonly read: () => Promise<Value>) {}

  /** Null while it cannot be read. */
  get(): Promise<Value | null> {
    const now = this.clock.now();
    if (Math.abs(now - this.readAt) < TTL_MS) return this.last;
    this.readAt = now;
    // Why it failed is told by `/readyz`, by each degraded answer, and here by the figure that is missing.
    return this.last = inTime(READ_TIMEOUT_MS, () => this.read()).catch(() => null);
  }
}
