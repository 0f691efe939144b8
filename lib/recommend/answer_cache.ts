import { sleep } from "../core/abort.ts";
import type { Clock } from "../core/clock.ts";
import { sha256 } from "../core/hash.ts";
import type { Epochs } from "../stores/analytics/port.ts";
import type { Cache } from "../stores/cache/port.ts";
import type { AnswerStore, RecommendationRequest } from "./answer.ts";
import { type Arm, DEFAULT_ARM } from "./arms.ts";
import type { ComputedAnswer } from "./recommend.ts";
import type { RequestTrace } from "./request_trace.ts";

/** How long an answer is fresh, in milliseconds; one with parts missing is computed again soon. */
const FRESH_MS = Object.freeze({ whole: 60_000, degraded: 1_000 });
/** A random share of up to this is taken off, so that answers computed together do not expire together. */
const JITTER = 0.1;
/** How long after that a whole answer may be served while another one is being computed. */
const STALE_MS = 30_000;
/**
 * How long after it was computed an answer may be served while analytics does not respond, so that neither its version nor the
 * user's newest events can be checked.
 */
const MAX_UNCHECKED_MS = 15 * 60_000;
/** How long a lock to compute an answer holds: shorter than an answer is fresh. */
const LOCK_MS = 1_000;
/** The share of the time budget that is spent waiting for another process to compute the answer. */
const WAIT_SHARE = 0.2;
/** The first pause between two looks for it; each further one is twice as long. */
const FIRST_WAIT_MS = 4;

/** The state of the data when an answer is computed. The answer holds while it does not change. */
export interface DataState {
  /** The published data version, and the run that published it: after a reset, the numbers begin again. */
  readonly version: number;
  readonly run_id: string;
  /** Of the user and of the catalogue, see {@link epochText}: another one after each write of either. */
  readonly epoch: string;
}

/** Two epochs as one text without spaces. */
export function epochText({ user, catalogue }: Epochs): string {
  return `${user}.${catalogue}`;
}

/** An answer as JSON text, with the data that it was computed from. */
export interface CachedAnswer extends DataState {
  readonly body: string;
  /** The parts that it was computed without. */
  readonly degraded: readonly AnswerStore[];
  /** In milliseconds since the Unix epoch. */
  readonly fresh_until: number;
}

/** A request with the arm that its answer is made for: users may be moved while answers for another arm are cached. */
export type AssignedRequest = RecommendationRequest & { readonly arm: Arm };

interface AnswerCacheOptions {
  readonly cache: Pick<Cache, "get" | "set" | "tryLock">;
  readonly clock: Clock;
  readonly answer_ms: number;
  /** 0 ≤ x < 1, as `Math.random`. */
  readonly random: () => number;
}

/**
 * Answers in the cache, by request. Of the processes that share the cache, one computes an answer again; the others serve the
 * stale one, or wait a little for the new one. If the cache fails, that is recorded in the trace and the answer is computed.
 */
export class AnswerCache {
  constructor(private readonly options: AnswerCacheOptions) {}

  /** The cached answer to a request, whatever its data; {@link freshness} says whether it may be served. */
  async find(request: AssignedRequest, trace: RequestTrace): Promise<CachedAnswer | null> {
    const key = keyOf(request);
    const text = await trace.callStore("cache", null, (signal) => this.options.cache.get({ key, signal }));
    return text === null ? null : parse(text);
  }

  /** `stale`: it may be served while another one is being computed. Null: it may not be served, for it is too old or of other data. */
  freshness(cached: CachedAnswer, state: DataState): "fresh" | "stale" | null {
    if (!isOf(cached, state)) return null;
    const over_ms = this.options.clock.now() - cached.fresh_until;
    if (over_ms < 0) return "fresh";
    return over_ms < STALE_MS && cached.degraded.length === 0 ? "stale" : null;
  }

  /**
   * Whether an answer may be served although analytics does not respond: not if it is of an older version than the one last
   * known, nor if the user was erased or a campaign was deleted since. It is gone from the cache after {@link MAX_UNCHECKED_MS}.
   */
  async servesUnchecked(
    { user_id }: RecommendationRequest,
    { cached, known_version, trace }: { cached: CachedAnswer; known_version: number; trace: RequestTrace },
  ): Promise<boolean> {
    if (cached.version < known_version) return false;
    const { cache } = this.options;
    const read = (key: string) => trace.callStore("cache", "", (signal) => cache.get({ key, signal }));
    const [erased, changed] = await Promise.all([read(erasedKey(user_id)), read(CATALOGUE_KEY)]);
    const catalogue = Number(cached.epoch.split(".")[1]);
    return erased === null && (changed === null || Number(changed) <= catalogue);
  }

  /** Whether this caller is to compute the answer; true too if the cache does not respond. */
  async tryLock(request: AssignedRequest, state: DataState, trace: RequestTrace): Promise<boolean> {
    const key = `claim ${state.version} ${state.epoch} ${keyOf(request)}`;
    const ttl_ms = Math.min(this.options.answer_ms, LOCK_MS);
    return await trace.callStore(
      "cache",
      true,
      (signal) => this.options.cache.tryLock({ key, ttl_ms, signal }),
    );
  }

  /** The answer that the holder of the lock computes; null if that takes too long or this caller has to compute it. */
  async waitForAnswer(
    request: AssignedRequest,
    state: DataState,
    trace: RequestTrace,
  ): Promise<CachedAnswer | null> {
    if (await this.tryLock(request, state, trace)) return null;
    const deadline = performance.now() + WAIT_SHARE * this.options.answer_ms;
    for (let wait_ms = FIRST_WAIT_MS; performance.now() + wait_ms < deadline; wait_ms *= 2) {
      await sleep(wait_ms);
      const cached = await this.find(request, trace);
      if (trace.failures.has("cache")) return null;
      if (cached !== null && this.freshness(cached, state) !== null) return cached;
    }
    return null;
  }

  /** Stores an answer until one of its campaigns ends, for {@link MAX_UNCHECKED_MS} at most. */
  async store(
    request: AssignedRequest,
    state: DataState,
    { body, computed, trace }: { body: string; computed: ComputedAnswer; trace: RequestTrace },
  ): Promise<void> {
    const { cache, clock, random } = this.options;
    const now = clock.now();
    const { degraded } = computed.answer;
    const holds_ms = computed.holds_until === null ? Infinity : Date.parse(computed.holds_until) - now;
    const max_fresh_ms = (degraded.length === 0 ? FRESH_MS.whole : FRESH_MS.degraded) *
      (1 - JITTER * random());
    const fresh_ms = Math.floor(Math.min(max_fresh_ms, holds_ms));
    if (fresh_ms <= 0) return;
    const key = keyOf(request);
    const ttl_ms = Math.min(MAX_UNCHECKED_MS, holds_ms);
    const value = format({ ...state, fresh_until: now + fresh_ms, degraded, body });
    await trace.callStore("cache", undefined, (signal) => cache.set({ key, value, ttl_ms, signal }));
  }
}

/** Whether an answer was computed from what is published now, after the last write of its user and of the catalogue. */
export function isOf(cached: CachedAnswer, { run_id, epoch }: DataState): boolean {
  return cached.run_id === run_id && cached.epoch === epoch;
}

/** Keeps cached answers of these users from being served while analytics does not respond. Call it when users are erased. */
export async function markErased(
  { cache, user_ids }: { cache: Pick<Cache, "set">; user_ids: readonly string[] },
): Promise<void> {
  for (const user_id of user_ids) {
    await cache.set({ key: erasedKey(user_id), value: "1", ttl_ms: MAX_UNCHECKED_MS });
  }
}

/**
 * Keeps answers from before this epoch of the catalogue from being served while analytics does not respond. Call it when campaigns
 * are deleted.
 */
export async function markCatalogueChanged(
  { cache, epoch }: { cache: Pick<Cache, "set">; epoch: number },
): Promise<void> {
  await cache.set({ key: CATALOGUE_KEY, value: String(epoch), ttl_ms: MAX_UNCHECKED_MS });
}

const CATALOGUE_KEY = "catalogue";

function erasedKey(user_id: string): string {
  return `erased ${user_id}`;
}

function keyOf(request: AssignedRequest): string {
  const { user_id, k, intent, arm } = request;
  const inArm = arm === DEFAULT_ARM ? "" : ` in ${arm.name}`;
  return `answer ${k}${inArm}${moreOf(request)} ${
    intent === undefined ? "" : JSON.stringify(intent)
  } ${user_id}`;
}

/** What few requests have, as a hash, since it may be long. */
function moreOf({ category, filter, exclude, diversity, cursor }: RecommendationRequest): string {
  if ((category ?? filter ?? exclude ?? diversity ?? cursor) === undefined) return "";
  return ` ${sha256(JSON.stringify([category, filter, exclude?.toSorted(), diversity, cursor]))}`;
}

/** One line of metadata, then the answer, which is not parsed to be served. */
function format({ version, run_id, epoch, fresh_until, degraded, body }: CachedAnswer): string {
  return `${version} ${epoch} ${fresh_until} ${degraded.join(",")} ${run_id}\n${body}`;
}

function parse(text: string): CachedAnswer {
  const end = text.indexOf("\n");
  const [version, epoch, fresh_until, degraded, ...run_id] = text.slice(0, end).split(" ");
  return {
    version: Number(version),
    run_id: run_id.join(" "),
    epoch: epoch!,
    fresh_until: Number(fresh_until),
    degraded: degraded ? degraded.split(",") as AnswerStore[] : [],
    body: text.slice(end + 1),
  };
}
