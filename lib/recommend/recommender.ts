import type { Clock } from "../core/clock.ts";
import { iso } from "../core/clock.ts";
import { ParleyError } from "../core/errors.ts";
import type { Published } from "../core/types.ts";
import type { AnalyticsStore } from "../stores/analytics/port.ts";
import type { Cache } from "../stores/cache/port.ts";
import type { Answer, Question } from "./answer.ts";
import { ANSWER_MS, createGuards, type Guarded, type Guards } from "./guard.ts";
import { PopularReader } from "./popular.ts";
import { PublishedReader } from "./published.ts";
import { type AnswerStores, type Made, recommend } from "./recommend.ts";
import { type Stage, Trace } from "./trace.ts";

/** How long an answer is kept, in milliseconds; one with parts missing is asked for again soon. */
const KEEP_MS = Object.freeze({ whole: 60_000, degraded: 2_000 });

export interface RecommenderStores extends AnswerStores {
  readonly analytics: AnswerStores["analytics"] & Pick<AnalyticsStore, "epoch" | "popular" | "published">;
  readonly cache: Pick<Cache, "get" | "set">;
}

/** An {@link Answer} as JSON text, and how it came about. */
export interface Served {
  readonly body: string;
  /** `bypass` where the cache or the user's epoch could not be read. */
  readonly cache: "hit" | "miss" | "bypass";
  readonly timings: ReadonlyMap<Stage, number>;
  /** Stores that failed, with what they failed with. */
  readonly failures: ReadonlyMap<Guarded, unknown>;
}

/** What looking for a kept answer found. `key` is null where nothing can be kept. */
interface Lookup {
  readonly key: string | null;
  readonly body: string | null;
}
const NO_LOOKUP: Lookup = Object.freeze({ key: null, body: null });

/** Answers questions from the cache or afresh. One an app: it keeps the stores' circuit breakers and the published row. */
export class Recommender {
  private readonly guards: Guards;
  private readonly answer_ms: number;
  private readonly published: PublishedReader;
  private readonly computing = new Map<string, Promise<Served>>();
  private readonly popular: PopularReader;

  /** `answer_ms` is how long an answer may take in all; default {@link ANSWER_MS}. */
  constructor(private readonly o: { stores: RecommenderStores; clock: Clock; answer_ms?: number }) {
    this.answer_ms = o.answer_ms ?? ANSWER_MS;
    this.guards = createGuards(this.answer_ms);
    this.popular = new PopularReader(o.stores.analytics);
    this.published = new PublishedReader({ analytics: o.stores.analytics, clock: o.clock });
  }

  /** Throws `unavailable` where no data has been published yet, and nothing for a store's sake. */
  async serve(question: Question): Promise<Served> {
    const trace = new Trace(this.guards, this.answer_ms);
    const start = performance.now();
    const published = this.published.recent() ?? await this.current(trace);
    const { key, body } = published === null
      ? NO_LOOKUP
      : await this.lookup(question, published.version, trace);
    trace.timings.set("cache", performance.now() - start);
    if (body !== null) return this.served(trace, { body, cache: "hit" });
    return await this.once(key, () => this.compute(question, published, key, trace));
  }

  /** One computes and the others wait: many who ask the same at once cost one computation. */
  private once(key: string | null, compute: () => Promise<Served>): Promise<Served> {
    if (key === null) return compute();
    const running = this.computing.get(key) ?? compute().finally(() => this.computing.delete(key));
    this.computing.set(key, running);
    return running;
  }

  private async compute(
    question: Question,
    published: Published | null,
    key: string | null,
    trace: Trace,
  ): Promise<Served> {
    // Without analytics no campaign has a title: nothing that the other stores could add would be shown.
    const made = published === null || trace.failures.has("analytics")
      ? { answer: this.nothing(question, published?.version ?? null), holds_until: null }
      : await recommend({ ...question, ...this.o, popular: this.popular, published, trace });
    const text = JSON.stringify(made.answer);
    if (key !== null) await this.keep(key, text, made, trace);
    return this.served(trace, { body: text, cache: key === null ? "bypass" : "miss" });
  }

  private served(trace: Trace, o: Pick<Served, "body" | "cache">): Served {
    return { ...o, timings: trace.timings, failures: trace.failures };
  }

  /** What is published; null where analytics cannot tell. */
  private async current(trace: Trace): Promise<Published | null> {
    const published: Published | null | "unknown" = await trace.guarded(
      "analytics",
      "unknown" as const,
      () => this.published.current(),
    );
    if (published === "unknown") return null;
    if (published !== null) return published;
    throw new ParleyError("unavailable", "no data has been published yet: run `deno task pipeline`");
  }

  private async lookup(question: Question, version: number, trace: Trace): Promise<Lookup> {
    const { analytics, cache } = this.o.stores;
    const { user_id, k, intent } = question;
    const epoch = await trace.guarded("analytics", null, () => analytics.epoch({ user_id }));
    if (epoch === null) return NO_LOOKUP;
    const key = `recommendations ${version} ${epoch} ${k} ${
      intent === undefined ? "" : JSON.stringify(intent)
    } ${user_id}`;
    const body = await trace.guarded("cache", null, () => cache.get({ key }));
    return trace.failures.has("cache") ? NO_LOOKUP : { key, body };
  }

  private async keep(key: string, value: string, made: Made, trace: Trace): Promise<void> {
    const longest = made.answer.degraded.length > 0 ? KEEP_MS.degraded : KEEP_MS.whole;
    const holds = made.holds_until === null ? Infinity : Date.parse(made.holds_until) - this.o.clock.now();
    const ttl_ms = Math.min(longest, holds);
    if (ttl_ms <= 0) return;
    await trace.timed(
      "cache",
      () => trace.guarded("cache", undefined, () => this.o.stores.cache.set({ key, value, ttl_ms })),
    );
  }

  private nothing(question: Question, version: number | null): Answer {
    const generated_at = iso(this.o.clock.now());
    const { user_id } = question;
    return { user_id, strategy: "popular", version, generated_at, degraded: ["analytics"], items: [] };
  }
}
