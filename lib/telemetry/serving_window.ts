import { iso } from "../core/clock.ts";
import type { ServingSpan } from "../core/types.ts";

const MINUTE_MS = 60_000;
/** How many minutes are stored, including the current one. */
const MAX_MINUTES = 120;
/** How many of them {@link ServingWindow.minutes} returns. */
const MINUTES_PER_HOUR = 60;

/** Latency buckets: so many for each doubling, from a microsecond on, so that a quantile is right within 5 %. */
const PER_DOUBLING = 8;
const BUCKETS = 28 * PER_DOUBLING;

interface RequestSample {
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
  /** Counts by latency bucket, of answers from the cache and of computed ones. */
  readonly hit = new Uint32Array(BUCKETS);
  readonly computed = new Uint32Array(BUCKETS);

  restart(number: number): void {
    this.number = number;
    this.requests =
      this.errors =
      this.hits =
      this.degraded =
        0;
    this.hit.fill(0);
    this.computed.fill(0);
  }
}

/** The answers of this process in the last two hours by minute, in a fixed 220 KB. */
export class ServingWindow {
  private readonly ring = Array.from({ length: MAX_MINUTES }, () => new Minute());

  add(sample: RequestSample, now: number): void {
    const minute = this.minuteAt(Math.floor(now / MINUTE_MS));
    minute.requests++;
    if (sample.error) minute.errors++;
    if (sample.hit) minute.hits++;
    if (sample.degraded) minute.degraded++;
    (sample.hit ? minute.hit : minute.computed)[bucketOf(sample.ms)]!++;
  }

  /** The last hour's minutes with requests, oldest first. One that began less than a minute before `now` is in progress. */
  minutes(now: number): ServingSpan[] {
    return this.spans(now, 1, MINUTES_PER_HOUR).filter(({ requests }) => requests > 0);
  }

  /**
   * Spans of `minutes` minutes each, oldest first; the last one is in progress. Empty spans after the first request are
   * included, so that a stop of traffic shows.
   */
  spans(now: number, minutes: number, maxMinutes = MAX_MINUTES): ServingSpan[] {
    const current = Math.floor(now / MINUTE_MS);
    const live = this.ring.filter(({ number }) => number > current - maxMinutes && number <= current);
    const bySpan = Map.groupBy(live, ({ number }) => Math.floor(number / minutes));
    const last = Math.floor(current / minutes), first = Math.min(last + 1, ...bySpan.keys());
    return Array.from(
      { length: last + 1 - first },
      (_, i) => summed(iso((first + i) * minutes * MINUTE_MS), bySpan.get(first + i) ?? []),
    );
  }

  private minuteAt(number: number): Minute {
    const minute = this.ring[number % MAX_MINUTES]!;
    if (minute.number !== number) minute.restart(number);
    return minute;
  }
}

function summed(at: string, minutes: readonly Minute[]): ServingSpan {
  const sum = (key: "requests" | "errors" | "hits" | "degraded") =>
    minutes.reduce((total, minute) => total + minute[key], 0);
  const [hit, computed] = [minutes.map((minute) => minute.hit), minutes.map((minute) => minute.computed)];
  const all = [...hit, ...computed];
  return {
    at,
    requests: sum("requests"),
    errors: sum("errors"),
    hits: sum("hits"),
    degraded: sum("degraded"),
    p50_ms: quantile(all, 0.5),
    p95_ms: quantile(all, 0.95),
    hit_p95_ms: quantile(hit, 0.95),
    made_p95_ms: quantile(computed, 0.95),
  };
}

/** Quantile in milliseconds over several histograms; null if they are empty. */
function quantile(histograms: readonly Uint32Array[], share: number): number | null {
  const counts = Array.from(
    { length: BUCKETS },
    (_, i) => histograms.reduce((sum, buckets) => sum + buckets[i]!, 0),
  );
  let remaining = share * counts.reduce((sum, count) => sum + count, 0);
  if (remaining === 0) return null;
  const bucket = counts.findIndex((count) => (remaining -= count) <= 0);
  return Math.round(2 ** ((bucket + 0.5) / PER_DOUBLING)) / 1_000;
}

function bucketOf(ms: number): number {
  const bucket = Math.floor(PER_DOUBLING * Math.log2(Math.max(1, 1_000 * ms)));
  return Math.min(BUCKETS - 1, bucket);
}
