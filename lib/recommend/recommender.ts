import type { Clock } from "../core/clock.ts";
import { iso } from "../core/clock.ts";
import { ParleyError } from "../core/errors.ts";
import type { Published } from "../core/types.ts";
import type { AnalyticsStore } from "../stores/analytics/port.ts";
import type { Cache } from "../stores/cache/port.ts";
import { spanned } from "../telemetry/spans.ts";
import type { Answer, Part, Question } from "./answer.ts";
import { ANSWER_MS, createGuards, type Guarded, type Guards } from "./guard.ts";
import { type Kept, KeptAnswers } from "./kept.ts";
import { PopularReader } from "./popular.ts";
import { PublishedReader } from "./published.ts";
import { type AnswerStores, type Made, recommend } from "./recommend.ts";
import { type Stage, type Step, Trace } from "./trace.ts";

export interface RecommenderStores extends AnswerStores {
  readonly analytics: AnswerStores["analytics"] & Pick<AnalyticsStore, "epoch" | "popular" | "published">;
  readonly cache: Pick<Cache, "get" | "set" | "claim">;
}

/** An {@link Answer} as JSON text, and how it came about. */
export interface Served {
  readonly body: string;
  /** `stale` while another makes it anew; `bypass` where the cache or the user's epoch could not be read. */
  readonly cache: "hit" | "stale" | "miss" | "bypass";
  /** The parts that it was made without, be it just now or when it was kept. */
  readonly degraded: readonly Part[];
  readonly timings: ReadonlyMap<Stage, number>;
  /** Stores that failed just now, with what they failed with. */
  readonly failures: ReadonlyMap<Guarded, unknown>;
}

/** An {@link Answer} with what led to it. */
export interface Explained extends Made {
  readonly published: Published | null;
  readonly steps: readonly Step[];
  /** Stores that failed, with what they failed with. */
  readonly failures: ReadonlyMap<Guarded, unknown>;
}

/** What looking for a kept answer found. `key` is null where nothing can be kept. */
interface Lookup {
  readonly key: string | null;
  readonly found: Kept | null;
}
const NO_LOOKUP: Lookup = Object.freeze({ key: null, found: null });

/** Answers questions from the cache or afresh. One an app: it keeps the stores' circuit breakers and the published row. */
export class Recommender {
  private readonly guards: Guards;
  private readonly answer_ms: number;
  private readonly published: PublishedReader;
  private readonly computing = new Map<string, Promise<Served>>();
  private readonly popular: PopularReader;
  private readonly kept: KeptAnswers;

  /** `answer_ms` is how long an answer may take in all; default {@link ANSWER_MS}. */
  constructor(
    private readonly o: {
      stores: RecommenderStores;
      clock: Clock;
      answer_ms?: number;
      random?: () => number;
    },
  ) {
    const { clock, random = Math.random, stores: { cache } } = o;
    this.answer_ms = o.answer_ms ?? ANSWER_MS;
    this.kept = new KeptAnswers({ cache, clock, random, answer_ms: this.answer_ms });
    this.guards = createGuards(this.answer_ms);
    this.popular = new PopularReader(o.stores.analytics);
    this.published = new PublishedReader({ analytics: o.stores.analytics, clock: o.clock });
  }

  /** Whose circuit breaker is open, by store. */
  breakers(): Record<Guarded, boolean> {
    const { cache, vectors, graph, analytics } = this.guards;
    return {
      cache: cache.isOpen,
      vectors: vectors.isOpen,
      graph: graph.isOpen,
      analytics: analytics.isOpen,
    };
  }

  /** Throws `unavailable` where no data has been published yet, and nothing for a store's sake. */
  async serve(question: Question): Promise<Served> {
    const trace = new Trace(this.guards, this.answer_ms);
    const start = performance.now();
    const { published, key, found } = await spanned("cache", {}, () => this.find(question, trace));
    trace.timings.set("cache", performance.now() - start);
    if (found?.fresh) return this.served(trace, found, "hit");
    if (key === null) return await this.compute(question, published, key, trace);
    if (found !== null && !await this.kept.claim(key, trace)) {
      return this.served(trace, found, "stale");
    }
    return await this.once(key, async () => {
      const kept = found === null ? await trace.timed("cache", () => this.kept.await(key, trace)) : null;
      if (kept !== null) return this.served(trace, kept, "hit");
      return await this.compute(question, published, key, trace);
    });
  }

  /** One computes and the others wait: many who ask the same at once cost one computation. */
  private once(key: string, compute: () => Promise<Served>): Promise<Served> {
    const running = this.computing.get(key) ?? compute().finally(() => this.computing.delete(key));
    this.computing.set(key, running);
    return running;
  }

  /**
   * The answer of this very moment, made as {@link serve} makes it and kept nowhere, with what it was made from.
   * Throws `unavailable` where no data has been published yet, and nothing for a store's sake.
   */
  async explain(question: Question): Promise<Explained> {
    const trace = new Trace(this.guards, this.answer_ms);
    const published = await trace.timed("analytics", () => this.current(trace));
    const made = await this.make(question, published, trace);
    return { ...made, published, steps: trace.steps, failures: trace.failures };
  }

  private async compute(
    question: Question,
    published: Published | null,
    key: string | null,
    trace: Trace,
  ): Promise<Served> {
    const made = await this.make(question, published, trace);
    const { degraded } = made.answer;
    const body = JSON.stringify(made.answer);
    if (key !== null) await trace.timed("cache", () => this.kept.keep(key, body, made, trace));
    return this.served(trace, { body, degraded }, key === null ? "bypass" : "miss");
  }

  private async make(question: Question, published: Published | null, trace: Trace): Promise<Made> {
    // Without analytics no campaign has a title: nothing that the other stores could add would be shown.
    return published === null || trace.failures.has("analytics")
      ? this.nothing(question, published?.version ?? null)
      : await recommend({ ...question, ...this.o, popular: this.popular, published, trace });
  }

  private served(
    { timings, failures }: Trace,
    { body, degraded }: Pick<Served, "body" | "degraded">,
    cache: Served["cache"],
  ): Served {
    return { body, degraded, cache, timings, failures };
  }

  /** What is published; null where analytics cannot tell. */
  private async current(trace: Trace): Promise<Published | null> {
    const published: Published | null | "unknown" = await trace.guarded(
      "analytics",
      "unknown" as const,
      (signal) => this.published.current({ signal }),
    );
    if (published === "unknown") return null;
    if (published !== null) return published;
    throw new ParleyError("unavailable", "no data has been published yet: run `deno task pipeline`");
  }

  /** What is published, and what is kept of it for this question. */
  private async find(question: Question, trace: Trace): Promise<Lookup & { published: Published | null }> {
    const published = this.published.recent() ?? await this.current(trace);
    if (published === null) return { published, ...NO_LOOKUP };
    return { published, ...await this.lookup(question, published.version, trace) };
  }

  private async lookup(question: Question, version: number, trace: Trace): Promise<Lookup> {
    const { analytics } = this.o.stores;
    const { user_id, k, intent } = question;
    const epoch = await trace.guarded("analytics", null, (signal) => analytics.epoch({ user_id, signal }));
    if (epoch === null) return NO_LOOKUP;
    const only = intent === undefined ? "" : JSON.stringify(intent);
    const key = `answer ${version} ${epoch} ${k} ${only} ${user_id}`;
    const found = await this.kept.find(key, trace);
    return trace.failures.has("cache") ? NO_LOOKUP : { key, found };
  }

  private nothing({ user_id }: Question, version: number | null): Made {
    const generated_at = iso(this.o.clock.now());
    const degraded = ["analytics"] as const;
    const answer: Answer = { user_id, strategy: "popular", version, generated_at, degraded, items: [] };
    return { answer, holds_until: null, basis: null };
  }
}
