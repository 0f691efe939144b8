import type { Clock } from "../core/clock.ts";
import type { Cache } from "../stores/cache/port.ts";
import type { Part } from "./answer.ts";
import type { Made } from "./recommend.ts";
import type { Trace } from "./trace.ts";

/** How long an answer is fresh, in milliseconds; one with parts missing is asked for again soon. */
const FRESH_MS = Object.freeze({ whole: 60_000, degraded: 1_000 });
/** By chance up to this share of that less, so that answers made together do not end together. */
const JITTER = 0.1;
/** How long after that a whole answer may stand in while another is being made. */
const STALE_MS = 30_000;
/** How long one claim to make an answer holds: less than any answer is fresh, so that none outlives what it guards. */
const CLAIM_MS = 1_000;
/** The share of an answer's time that is spent waiting for one that another process makes. */
const PATIENCE = 0.2;
/** Between two looks for it at first; each time twice as long. */
const LOOK_MS = 4;

/** An answer as JSON text; `fresh` is false where it should be made anew. */
export interface Kept {
  readonly body: string;
  /** The parts that it was made without. */
  readonly degraded: readonly Part[];
  readonly fresh: boolean;
}

export interface KeptOptions {
  readonly cache: Pick<Cache, "get" | "set" | "claim">;
  readonly clock: Clock;
  readonly answer_ms: number;
  /** 0 ≤ x < 1, as `Math.random`. */
  readonly random: () => number;
}

/**
 * Answers in the cache, each with the time until which it is fresh. Of all the processes that share the cache, one makes
 * an answer anew: the others serve the stale one, or wait for the new one a little. The key holds version and epoch, so
 * stale never means of other data. A cache that fails is noted in the trace and costs nobody an answer.
 */
export class KeptAnswers {
  constructor(private readonly o: KeptOptions) {}

  async find(key: string, trace: Trace): Promise<Kept | null> {
    const text = await trace.guarded("cache", null, (signal) => this.o.cache.get({ key, signal }));
    if (text === null) return null;
    const space = text.indexOf(" ");
    const [until, ...degraded] = text.slice(0, space).split(",");
    const fresh = this.o.clock.now() < Number(until);
    return { body: text.slice(space + 1), degraded: degraded as Part[], fresh };
  }

  /** Whether it falls to this caller to make the answer; also where the cache cannot tell. */
  async claim(key: string, trace: Trace): Promise<boolean> {
    const claim = { key: `claim ${key}`, ttl_ms: Math.min(this.o.answer_ms, CLAIM_MS) };
    return await trace.guarded("cache", true, (signal) => this.o.cache.claim({ ...claim, signal }));
  }

  /** The answer that the holder of the claim makes; null where it takes too long, or this caller is to make it. */
  async await(key: string, trace: Trace): Promise<Kept | null> {
    if (await this.claim(key, trace)) return null;
    const deadline = performance.now() + PATIENCE * this.o.answer_ms;
    for (let wait_ms = LOOK_MS; performance.now() + wait_ms < deadline; wait_ms *= 2) {
      await new Promise((resume) => setTimeout(resume, wait_ms));
      const kept = await this.find(key, trace);
      if (kept !== null || trace.failures.has("cache")) return kept;
    }
    return null;
  }

  /** Keeps an answer for as long as it holds, a degraded one briefly and never beyond that. */
  async keep(key: string, body: string, made: Made, trace: Trace): Promise<void> {
    const now = this.o.clock.now();
    const holds_ms = made.holds_until === null ? Infinity : Date.parse(made.holds_until) - now;
    const whole = made.answer.degraded.length === 0;
    const longest = (whole ? FRESH_MS.whole : FRESH_MS.degraded) * (1 - JITTER * this.o.random());
    const fresh_ms = Math.floor(Math.min(longest, holds_ms));
    if (fresh_ms <= 0) return;
    const ttl_ms = whole ? Math.min(fresh_ms + STALE_MS, holds_ms) : fresh_ms;
    const value = `${[now + fresh_ms, ...made.answer.degraded]} ${body}`;
    await trace.guarded("cache", undefined, (signal) => this.o.cache.set({ key, value, ttl_ms, signal }));
  }
}
