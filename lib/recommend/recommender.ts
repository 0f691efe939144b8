import type { Clock } from "../core/clock.ts";
import { iso } from "../core/clock.ts";
import { ParleyError } from "../core/errors.ts";
import type { Published } from "../core/types.ts";
import type { AnalyticsStore } from "../stores/analytics/port.ts";
import type { Cache } from "../stores/cache/port.ts";
import { withSpan } from "../telemetry/tracing.ts";
import type { Answer, AnswerStore, RecommendationRequest } from "./answer.ts";
import { AnswerCache, type CachedAnswer, type DataState } from "./answer_cache.ts";
import { ANSWER_MS, createStorePolicies, type StoreName, type StorePolicies } from "./store_policy.ts";
import { LastPopular } from "./last_popular.ts";
import { PopularReader } from "./candidates/popularity.ts";
import { PublishedReader } from "./published.ts";
import { type AnswerStores, type ComputedAnswer, recommend } from "./recommend.ts";
import { RequestTrace, type Stage, type Step } from "./request_trace.ts";
import { VersionData } from "./version_data.ts";

export interface RecommenderStores extends AnswerStores {
  readonly analytics:
    & AnswerStores["analytics"]
    & Pick<AnalyticsStore, "epoch" | "file" | "popular" | "published">;
  readonly cache: Pick<Cache, "get" | "set" | "tryLock">;
}

/** An {@link Answer} as JSON text, and how it came about. */
export interface ServedAnswer {
  readonly body: string;
  /**
   * `stale` while another request computes it again, or if analytics does not respond; `bypass` if it was computed without the
   * cache, or without analytics.
   */
  readonly cache: "hit" | "stale" | "miss" | "bypass";
  /** The parts that it was made without, be it just now or when it was cached. */
  readonly degraded: readonly AnswerStore[];
  readonly timings: ReadonlyMap<Stage, number>;
  /** Stores that failed just now, with what they failed with. */
  readonly failures: ReadonlyMap<StoreName, unknown>;
}

/** An {@link Answer} with what led to it. */
export interface Explained extends ComputedAnswer {
  readonly published: Published | null;
  readonly steps: readonly Step[];
  /** Stores that failed, with what they failed with. */
  readonly failures: ReadonlyMap<StoreName, unknown>;
}

/** What is held of the published data, by version. */
interface Memory {
  readonly popular: PopularReader;
  readonly last_popular: LastPopular;
  readonly version_data: VersionData;
}

/** What analytics and the cache say before an answer is computed. */
interface Lookup {
  /** Null if analytics does not respond. */
  readonly published: Published | null;
  readonly state: DataState | null;
  /** Of whatever data. */
  readonly cached: CachedAnswer | null;
}

/** Answers questions from the cache, or computes. One per app: it has the stores' circuit breakers and the published row. */
export class Recommender {
  private readonly guards: StorePolicies;
  private readonly answer_ms: number;
  private readonly published: PublishedReader;
  private readonly computing = new Map<string, Promise<ServedAnswer>>();
  private memory: Memory;
  private readonly answers: AnswerCache;

  /** `answer_ms` is how long an answer may take in all; default {@link ANSWER_MS}. */
  constructor(
    private readonly options: {
      stores: RecommenderStores;
      clock: Clock;
      answer_ms?: number;
      random?: () => number;
      /** As `recommend()` takes it; default null. */
      repurchase_days?: number | null;
      /** Gets a line about what is left out of answers although no store is down. */
      warn?: (line: string) => void;
    },
  ) {
    const { clock, random = Math.random, stores: { analytics, cache } } = options;
    const onReplaced = () => this.memory = this.emptyMemory();
    this.answer_ms = options.answer_ms ?? ANSWER_MS;
    this.answers = new AnswerCache({ cache, clock, random, answer_ms: this.answer_ms });
    this.guards = createStorePolicies(this.answer_ms);
    this.memory = this.emptyMemory();
    this.published = new PublishedReader({ analytics, clock, onReplaced });
  }

  private emptyMemory(): Memory {
    const { clock, stores: { analytics }, warn = () => {} } = this.options;
    const popular = new PopularReader(analytics);
    return {
      popular,
      last_popular: new LastPopular({ analytics, popular, clock }),
      version_data: new VersionData({ analytics, clock, answer_ms: this.answer_ms, warn }),
    };
  }

  /** Whose circuit breaker is open, by store. */
  breakers(): Record<StoreName, boolean> {
    const { cache, vectors, graph, analytics } = this.guards;
    return {
      cache: cache.isOpen,
      vectors: vectors.isOpen,
      graph: graph.isOpen,
      analytics: analytics.isOpen,
    };
  }

  /** Throws `unavailable` if nothing has been published yet. Never throws because a store is down. */
  async serve(question: RecommendationRequest): Promise<ServedAnswer> {
    const trace = new RequestTrace(this.guards, this.answer_ms);
    const start = performance.now();
    const { published, state, cached } = await withSpan("cache", {}, () => this.lookUp(question, trace));
    trace.timings.set("cache", performance.now() - start);
    if (state === null) return await this.withoutAnalytics(question, cached, trace);
    const compute = () => this.compute(question, { published, state, cached, trace });
    if (trace.failures.has("cache")) return await compute();
    const freshness = cached && this.answers.freshness(cached, state);
    if (cached !== null && freshness === "fresh") return this.served(trace, cached, "hit");
    if (cached !== null && freshness === "stale" && !await this.answers.tryLock(question, state, trace)) {
      return this.served(trace, cached, "stale");
    }
    return await this.once(JSON.stringify([question, state]), async () => {
      if (freshness === "stale") return await compute();
      const other = await trace.timed("cache", () => this.answers.await(question, state, trace));
      return other === null ? await compute() : this.served(trace, other, "hit");
    });
  }

  /** One computes and the others wait: many who ask the same at once cost one computation. */
  private once(key: string, compute: () => Promise<ServedAnswer>): Promise<ServedAnswer> {
    const running = this.computing.get(key) ?? compute().finally(() => this.computing.delete(key));
    this.computing.set(key, running);
    return running;
  }

  /**
   * The answer of this very moment, made as {@link serve} makes it and not cached, with what it was made from.
   * Throws `unavailable` if nothing has been published yet. Never throws because a store is down.
   */
  async explain(question: RecommendationRequest): Promise<Explained> {
    const trace = new RequestTrace(this.guards, this.answer_ms);
    const published = await trace.timed("analytics", () => this.current(trace));
    const made = await this.make(question, published, trace);
    return { ...made, published, steps: trace.steps, failures: trace.failures };
  }

  /**
   * Reads, if that is due, what answers are computed from while analytics does not respond, and what they need of the published version.
   * Throws if analytics does not respond now.
   */
  async prepare(): Promise<void> {
    const published = await this.published.current();
    if (published === null) return;
    const { version } = published;
    await Promise.all([this.memory.last_popular.refresh(version), this.memory.version_data.load(version)]);
  }

  private async compute(
    question: RecommendationRequest,
    { published, state, cached, trace }: Lookup & { state: DataState; trace: RequestTrace },
  ): Promise<ServedAnswer> {
    const bypass = trace.failures.has("cache");
    const made = await this.make(question, published, trace);
    if (trace.failures.has("analytics")) return await this.withoutAnalytics(question, cached, trace);
    const body = JSON.stringify(made.answer);
    const stored = { body, made, trace };
    if (!bypass) await trace.timed("cache", () => this.answers.store(question, state, stored));
    return this.served(trace, { body, degraded: made.answer.degraded }, bypass ? "bypass" : "miss");
  }

  private async make(
    question: RecommendationRequest,
    published: Published | null,
    trace: RequestTrace,
  ): Promise<ComputedAnswer> {
    // Without analytics no campaign has a title: nothing that the other stores could add would be shown.
    if (published !== null && !trace.failures.has("analytics")) {
      const made = await recommend({
        ...question,
        ...this.options,
        repurchase_days: this.options.repurchase_days ?? null,
        popular: this.memory.popular,
        version_data: this.memory.version_data,
        published,
        trace,
      });
      // An empty store may have taken the place of the published one since the row was read.
      if (made.answer.items.length === 0) {
        await trace.callStore("analytics", null, (signal) => this.published.reread({ signal }));
      }
      if (!trace.failures.has("analytics")) return made;
    }
    return this.lastPopular(question, trace);
  }

  /** The cached answer if it may be served, marked as unchecked; else the campaigns that were popular last. */
  private async withoutAnalytics(
    question: RecommendationRequest,
    cached: CachedAnswer | null,
    trace: RequestTrace,
  ): Promise<ServedAnswer> {
    const known_version = this.published.known()?.version ?? 0;
    if (cached !== null && await this.answers.servesUnchecked(question, { cached, known_version, trace })) {
      const degraded = [...cached.degraded, "analytics" as const];
      const body = JSON.stringify({ ...JSON.parse(cached.body), degraded });
      return this.served(trace, { body, degraded }, "stale");
    }
    const { answer } = this.lastPopular(question, trace);
    return this.served(trace, { body: JSON.stringify(answer), degraded: answer.degraded }, "bypass");
  }

  private lastPopular(question: RecommendationRequest, trace: RequestTrace): ComputedAnswer {
    const { version, items } = this.memory.last_popular.answer(question);
    const generated_at = iso(this.options.clock.now());
    const degraded = trace.missing();
    const { user_id } = question;
    const led_by = items.length === 0 ? null : "popularity";
    const answer: Answer = { user_id, strategy: "popular", led_by, version, generated_at, degraded, items };
    return { answer, holds_until: null, provenance: null };
  }

  private served(
    { timings, failures }: RequestTrace,
    { body, degraded }: Pick<ServedAnswer, "body" | "degraded">,
    cache: ServedAnswer["cache"],
  ): ServedAnswer {
    return { body, degraded, cache, timings, failures };
  }

  /** What is published; null where analytics cannot tell. */
  private async current(trace: RequestTrace): Promise<Published | null> {
    const published: Published | null | "unknown" = await trace.callStore(
      "analytics",
      "unknown" as const,
      (signal) => this.published.current({ signal }),
    );
    if (published === "unknown") return null;
    if (published === null) {
      throw new ParleyError("unavailable", "no data has been published yet: run `deno task pipeline`");
    }
    // A reading that fails is repeated by the next request, whose own questions tell of the failure.
    this.memory.last_popular.refresh(published.version).catch(() => {});
    return published;
  }

  /** What analytics and the cache say, both asked at once: the cache is needed all the more if analytics does not respond. */
  private async lookUp(question: RecommendationRequest, trace: RequestTrace): Promise<Lookup> {
    const [known, cached] = await Promise.all([
      this.dataState(question, trace),
      this.answers.find(question, trace),
    ]);
    return { ...known, cached };
  }

  private async dataState(
    { user_id }: RecommendationRequest,
    trace: RequestTrace,
  ): Promise<Pick<Lookup, "published" | "state">> {
    const { analytics } = this.options.stores;
    const published = this.published.recent() ?? await this.current(trace);
    if (published === null) return { published, state: null };
    const epoch = await trace.callStore("analytics", null, (signal) => analytics.epoch({ user_id, signal }));
    return {
      published,
      state: epoch === null ? null : { version: published.version, run_id: published.run_id, epoch },
    };
  }
}
