import { withTimeout } from "../core/abort.ts";
import type { Clock } from "../core/clock.ts";

/** How long a value is cached, and how long a read may take, in milliseconds. */
const TTL_MS = 5_000;
const READ_TIMEOUT_MS = 1_000;

/** A value that is read at most every 5 s, shared by all callers, and waited for at most `timeout_ms` (1 s). */
export class CachedRead<Value> {
  private last: Promise<Value | null> = Promise.resolve(null);
  private readAt = -Infinity;

  constructor(
    private readonly clock: Clock,
    private readonly read: () => Promise<Value>,
    private readonly timeout_ms = READ_TIMEOUT_MS,
  ) {}

  /** Null while it cannot be read. */
  get(): Promise<Value | null> {
    const now = this.clock.now();
    if (Math.abs(now - this.readAt) < TTL_MS) return this.last;
    this.readAt = now;
    // `/readyz` and each degraded answer report the failure; here the value is missing.
    return this.last = withTimeout(this.timeout_ms, () => this.read()).catch(() => null);
  }
}
