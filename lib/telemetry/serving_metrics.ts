import type { Clock } from "../core/clock.ts";
import type { ServingSpan } from "../core/types.ts";
import {
  type Count,
  counter,
  counts,
  gauge,
  Histogram,
  histogram,
  histograms,
  type MetricFamily,
} from "./metric_families.ts";
import { ServingWindow } from "./serving_window.ts";

/** Upper bounds in seconds: from an answer out of the cache to one that has used up its time. */
const ANSWER_SECONDS = [0.0002, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];
const STAGE_SECONDS = [0.00005, 0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5];

/** All other methods have one label, since a caller can send any. */
const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

/** Counted from 0: a rate does not show an outage with which its series begins. */
const DEGRADABLE = ["cache", "vectors", "graph", "analytics", "time"];

export interface RequestOutcome {
  readonly method: string;
  readonly status: number;
  readonly ms: number;
}

/** How one answer came about. */
interface AnswerOutcome {
  readonly cache: "hit" | "stale" | "miss" | "bypass";
  /** Milliseconds by stage. */
  readonly timings: ReadonlyMap<string, number>;
  /** By store, the error of this request. */
  readonly failures: ReadonlyMap<string, unknown>;
  /** Stores that the answer lacks, because they failed now or when it was cached. */
  readonly degraded: readonly string[];
}

/** One stage of answers: since the process started, and by minute of the last two hours. */
interface StageTimes {
  readonly histogram: Histogram;
  readonly window: ServingWindow;
}

/** Metrics of one serving process. Recording takes well under a microsecond and never waits. */
export class ServingMetrics {
  readonly window = new ServingWindow();
  private readonly requests = histograms(ANSWER_SECONDS);
  private readonly stages = histograms(STAGE_SECONDS);
  private readonly degraded = counts();
  private readonly cache = counts();
  private readonly lookups: Readonly<Record<AnswerOutcome["cache"], Count>>;
  private readonly stage = new Map<string, StageTimes>();

  constructor(private readonly clock: Clock) {
    const lookup = (result: AnswerOutcome["cache"]) => this.cache.withLabels({ result });
    this.lookups = {
      hit: lookup("hit"),
      stale: lookup("stale"),
      miss: lookup("miss"),
      bypass: lookup("bypass"),
    };
    for (const store of DEGRADABLE) this.degraded.withLabels({ store });
  }

  /** Records the requests of one route, given by its pattern. */
  route(route: string): (request: RequestOutcome) => void {
    const bound = new Map<string, Map<number, Histogram>>();
    const bind = (method: string, status: number) => {
      const byStatus = bound.get(method) ?? new Map<number, Histogram>();
      const histogram = this.requests.withLabels({ route, method, status: String(status) });
      bound.set(method, byStatus.set(status, histogram));
      return histogram;
    };
    return ({ method, status, ms }) => {
      const label = METHODS.has(method) ? method : "other";
      (bound.get(label)?.get(status) ?? bind(label, status)).observe(ms / 1_000);
    };
  }

  /** Records one answer. A request that shared another's computation counts its stages too. */
  recordAnswer({ cache, timings, failures, degraded }: AnswerOutcome): void {
    this.lookups[cache].n++;
    const now = this.clock.now();
    for (const [stage, ms] of timings) {
      const { histogram, window } = this.stage.get(stage) ?? this.bindStage(stage);
      histogram.observe(ms / 1_000);
      window.add({ ms, error: false, hit: false, degraded: false }, now);
    }
    if (failures.size + degraded.length === 0) return;
    for (const store of new Set([...failures.keys(), ...degraded])) this.degraded.withLabels({ store }).n++;
  }

  addToWindow(request: RequestOutcome, answer: { cache?: string | undefined; degraded?: unknown }): void {
    const { status, ms } = request;
    const hit = answer.cache === "hit" || answer.cache === "stale";
    const degraded = answer.degraded !== undefined;
    this.window.add({ ms, error: status >= 500, hit, degraded }, this.clock.now());
  }

  /** Counts and latencies of one stage by minute of the last hour; empty if it never ran. */
  stageMinutes(stage: string): Pick<ServingSpan, "at" | "requests" | "p50_ms" | "p95_ms">[] {
    return this.stage.get(stage)?.window.minutes(this.clock.now()) ?? [];
  }

  private bindStage(stage: string): StageTimes {
    const times = { histogram: this.stages.withLabels({ stage }), window: new ServingWindow() };
    this.stage.set(stage, times);
    return times;
  }

  families(): MetricFamily[] {
    return [
      histogram("parley_http_request_duration_seconds", "Time to answer requests", this.requests),
      histogram("parley_stage_duration_seconds", "Time of each stage of answers", this.stages),
      counter("parley_cache_lookups_total", "Answers by what the cache gave", this.cache),
      counter(
        "parley_answers_degraded_total",
        "Answers by store that failed for them, also where they were kept",
        this.degraded,
      ),
    ];
  }
}

/** Whether each store's circuit breaker keeps calls from it. */
export function breakerFamily(open: Readonly<Record<string, boolean>>): MetricFamily {
  const points = Object.entries(open).map(([store, isOpen]) => ({
    labels: { store },
    value: isOpen ? 1 : 0,
  }));
  return gauge("parley_breaker_open", "1 while a store's circuit breaker keeps calls from it", points);
}

/** What was written online and waits to be derived. */
export function derivationQueueFamily(waiting: Readonly<Record<string, number>>): MetricFamily {
  const points = Object.entries(waiting).map(([kind, value]) => ({ labels: { kind }, value }));
  return gauge(
    "parley_derivation_queue_depth",
    "Users and campaigns written online that wait to be derived",
    points,
  );
}
