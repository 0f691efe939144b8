import { iso } from "../core/clock.ts";
import type { ServingSpan } from "../core/types.ts";

const MINUTE_MS = 60_000;
/** How many minutes are kept, the current one among them. */
const KEPT_MINUTES = 120;
/** How many of them {@link ServingWindow.minutes} gives: the last hour. */
const HOUR = 60;

/** Latency buckets: so many for each doubling, from a microsecond on, so that a quantile is right within 5 %. */
const PER_DOUBLING = 8;
const BUCKETS = 28 * PER_DOUBLING;

/** What one request counts for. */
interface Answered {
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
  /** By bucket, of the answers from the cache and of the others. */
  readonly hit = new Uint32Array(BUCKETS);
  readonly made = new Uint32Array(BUCKETS);

  restart(number: number): void {
    this.number = number;
    this.requests =
      this.errors =
      this.hits =
      this.degraded =
        0;
    this.hit.fill(0);
    this.made.fill(0);
  }
}

/** The answers of the last two hours by minute, in 220 KB that never grow. Of this process, since it started. */
export class ServingWindow {
  private readonly ring = Array.from({ length: KEPT_MINUTES }, () => new Minute());

  add(answered: Answered, now: number): void {
    const minute = this.minuteAt(Math.floor(now / MINUTE_MS));
    minute.requests++;
    if (answered.error) minute.errors++;
    if (answered.hit) minute.hits++;
    if (answered.degraded) minute.degraded++;
    (answered.hit ? minute.hit : minute.made)[bucketOf(answered.ms)]!++;
  }

  /** The last hour's minutes with requests, oldest first. One that began less than a minute before `now` is under way. */
  minutes(now: number): ServingSpan[] {
    return this.spans(now, 1, HOUR).filter(({ requests }) => requests > 0);
  }

  /**
   * All that is kept, in spans of so many minutes of the clock, oldest first; the last is under way. From the first one
   * with requests on none is left out: that nobody asks any more is to be seen too.
   */
  spans(now: number, minutes: number, kept = KEPT_MINUTES): ServingSpan[] {
    const current = Math.floor(now / MINUTE_MS);
    const live = this.ring.filter(({ number }) => number > current - kept && number <= current);
    const bySpan = Map.groupBy(live, ({ number }) => Math.floor(number / minutes));
    const last = Math.floor(current / minutes), first = Math.min(last + 1, ...bySpan.keys());
    return Array.from(
      { length: last + 1 - first },
      (_, i) => summed(iso((first + i) * minutes * MINUTE_MS), bySpan.get(first + i) ?? []),
    );
  }

  private minuteAt(number: number): Minute {
    const minute = this.ring[number % KEPT_MINUTES]!;
    if (minute.number !== number) minute.restart(number);
    return minute;
  }
}

function summed(at: string, minutes: readonly Minute[]): ServingSpan {
  const sum = (key: "requests" | "errors" | "hits" | "degraded") =>
    minutes.reduce((total, minute) => total + minute[key], 0);
  const [hit, made] = [minutes.map((minute) => minute.hit), minutes.map((minute) => minute.made)];
  const all = [...hit, ...made];
  return {
    at,
    requests: sum("requests"),
    errors: sum("errors"),
    hits: sum("hits"),
    degraded: sum("degraded"),
    p50_ms: quantile(all, 0.5),
    p95_ms: quantile(all, 0.95),
    hit_p95_ms: quantile(hit, 0.95),
    made_p95_ms: quantile(made, 0.95),
  };
}

/** Of histograms taken together; null where they are empty. */
function quantile(histograms: readonly Uint32Array[], share: number): number | null {
  const counts = Array.from(
    { length: BUCKETS },
    (_, i) => histograms.reduce((sum, each) => sum + each[i]!, 0),
  );
  let left = share * counts.reduce((sum, count) => sum + count, 0);
  if (left === 0) return null;
  const bucket = counts.findIndex((count) => (left -= count) <= 0);
  return Math.round(2 ** ((bucket + 0.5) / PER_DOUBLING)) / 1_000;
}

function bucketOf(ms: number): number {
  const bucket = Math.floor(PER_DOUBLING * Math.log2(Math.max(1, 1_000 * ms)));
  return Math.min(BUCKETS - 1, bucket);
}
