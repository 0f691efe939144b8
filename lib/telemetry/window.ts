import { iso } from "../core/clock.ts";
import type { ServingMinute } from "../core/types.ts";

const MINUTE_MS = 60_000;
/** How many minutes are kept, the current one among them. */
const MINUTES = 60;

/** Latency buckets: so many for each doubling, from a microsecond on, so that a quantile is right within 5 %. */
const PER_DOUBLING = 8;
const BUCKETS = 28 * PER_DOUBLING;

/** What one request counts for. */
export interface Answered {
  readonly ms: number;
  readonly error: boolean;
  readonly hit: boolean;
  readonly degraded: boolean;
}

class Minute {
  number = -1;
  requests = 0;
  errors = 0;
  hits = 0;
  degraded = 0;
  readonly latencies = new Uint32Array(BUCKETS);

  restart(number: number): void {
    this.number = number;
    this.requests =
      this.errors =
      this.hits =
      this.degraded =
        0;
    this.latencies.fill(0);
  }

  quantile(share: number): number | null {
    let left = share * this.requests;
    if (left === 0) return null;
    const bucket = this.latencies.findIndex((count) => (left -= count) <= 0);
    return Math.round(2 ** ((bucket + 0.5) / PER_DOUBLING)) / 1_000;
  }
}

/** The answers of the last hour by minute, in 60 KB that never grow. Of this process, since it started. */
export class ServingWindow {
  private readonly ring = Array.from({ length: MINUTES }, () => new Minute());

  add(answered: Answered, now: number): void {
    const minute = this.minuteAt(Math.floor(now / MINUTE_MS));
    minute.requests++;
    if (answered.error) minute.errors++;
    if (answered.hit) minute.hits++;
    if (answered.degraded) minute.degraded++;
    minute.latencies[bucketOf(answered.ms)]!++;
  }

  /** Minutes with requests, oldest first. The last one is under way where it began less than a minute before `now`. */
  minutes(now: number): ServingMinute[] {
    const oldest = Math.floor(now / MINUTE_MS) - MINUTES + 1;
    return this.ring.filter(({ number }) => number >= oldest)
      .sort((a, b) => a.number - b.number)
      .map((minute) => ({
        at: iso(minute.number * MINUTE_MS),
        requests: minute.requests,
        errors: minute.errors,
        hits: minute.hits,
        degraded: minute.degraded,
        p50_ms: minute.quantile(0.5),
        p95_ms: minute.quantile(0.95),
      }));
  }

  private minuteAt(number: number): Minute {
    const minute = this.ring[number % MINUTES]!;
    if (minute.number !== number) minute.restart(number);
    return minute;
  }
}

function bucketOf(ms: number): number {
  const bucket = Math.floor(PER_DOUBLING * Math.log2(Math.max(1, 1_000 * ms)));
  return Math.min(BUCKETS - 1, bucket);
}
