import { LRUCache } from "../../deps.ts";
import type { Clock } from "../core/clock.ts";
import { iso } from "../core/clock.ts";
import { withTimeout } from "../core/abort.ts";
import { causeOf, ParleyError } from "../core/errors.ts";
import type { Abortable, EngagementEvent, Published } from "../core/types.ts";
import type { AnalyticsStore } from "../stores/analytics/port.ts";
import type { Embedder } from "../embed/port.ts";
import type { Cache } from "../stores/cache/port.ts";
import { withSpan } from "../telemetry/tracing.ts";
import type {
  Answer,
  AnswerStore,
  PostedRequest,
  PostedRows,
  RecommendationRequest,
  Sources,
  UserAnswer,
} from "./answer.ts";
import { CampaignRows } from "./campaign_rows.ts";
import type { UserRows } from "./conversations.ts";
import { CatalogueReader } from "./catalogue_reader.ts";
import {
  AnswerCache,
  type AssignedRequest,
  type CachedAnswer,
  type DataState,
  epochText,
  isOf,
} from "./answer_cache.ts";
import { type Arm, Arms, CONTROL_ARM } from "./arms.ts";
import { ANSWER_MS, createStorePolicies, type StoreName, type StorePolicies } from "./store_policy.ts";
import type { CampaignNames } from "./mentions.ts";
import { LastPopular } from "./last_popular.ts";
import { PopularReader } from "./candidates/popularity.ts";
import { PublishedReader } from "./published_reader.ts";
import { type KnownUser, type UserWords, withoutPersonal } from "./known_user.ts";
import {
  type AnswerStores,
  type ComputedAnswer,
  readUser,
  readUserAnalytics,
  type RecommendOptions,
  recommendTo,
} from "./recommend.ts";
import { negationsOf, Vetoes } from "./negations.ts";
import {
  type MessageClassifier,
  NO_USER,
  type PostedStores,
  readPendingRows,
  readPostedUser,
} from "./posted_user.ts";
import { suppressedCampaigns } from "./suppressed_campaigns.ts";
import { IdSigner, type RecommendationId } from "./recommendation_id.ts";
import { ShownCampaigns } from "./shown_campaigns.ts";
import { TextVectors } from "./text_vectors.ts";
import { popularCampaigns, type PopularRequest } from "./popular_campaigns.ts";
import { type Ranked, WEIGHTS } from "./score.ts";
import type { CampaignRow } from "./showable.ts";
import { similarCampaigns } from "./similar_campaigns.ts";
import { RequestTrace, type Stage, type Step } from "./request_trace.ts";
import { Turns } from "./turns.ts";
import { wordsOf } from "./user_of_rows.ts";
import { VersionData } from "./version_data.ts";

export interface RecommenderStores extends AnswerStores, Pick<PostedStores, "documents"> {
  readonly analytics:
    & AnswerStores["analytics"]
    & PostedStores["analytics"]
    & Pick<
      AnalyticsStore,
      "campaigns" | "stats" | "changedCampaigns" | "epochs" | "file" | "popular" | "published" | "secret"
    >;
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
  /** The stores that failed, now or when it was cached. */
  readonly degraded: readonly AnswerStore[];
  readonly timings: ReadonlyMap<Stage, number>;
  /** Stores that failed for this request, or were not read completely yet, with their error. */
  readonly failures: ReadonlyMap<StoreName | AnswerStore, unknown>;
}

/** An {@link Answer} with what led to it. */
export interface Explained extends ComputedAnswer {
  readonly answer: UserAnswer;
  readonly published: Published | null;
  readonly steps: readonly Step[];
  /** Stores that failed, with their error. */
  readonly failures: ReadonlyMap<StoreName | AnswerStore, unknown>;
}

type AssignedPost = PostedRequest & { readonly arm: Arm };
/** A request of a user with stored rows that are not derived yet; null if these cannot be read. */
type PendingRequest = AssignedRequest & { readonly pending: UserRows | null };
/** What is not shown to a user, whatever else is known of them. */
type Unwanted = Pick<KnownUser, "negations" | "final">;
const NOTHING_UNWANTED: Unwanted = Object.freeze({ negations: [], final: [] });
type AnyRequest = AssignedRequest | AssignedPost | PendingRequest;

/** The share of the time that an answer waits for what is read once: the secret, and the names of campaigns. */
const MAX_WAIT_SHARE = 0.2;

/** The share of the time that an answer waits for what the user has just written to be derived. */
const MAX_DERIVE_SHARE = 0.5;

/** The share of the time after which a request that has waited for others is answered without its stores. */
const MAX_QUEUE_SHARE = 0.6;

/** How an answer gets its id. */
interface Signing {
  /** Null if the secret cannot be read now. */
  readonly signer: IdSigner | null;
  /** The same for all pages of an answer. */
  readonly seed: number;
  /** The page before; null for the first. */
  readonly before: RecommendationId | null;
}

/** How long an answer may take that is tried out by an operator, and must be whole, in milliseconds. */
const TRY_OUT_MS = 10_000;

/** What a request for the next page can change. */
interface NextRequest {
  readonly k?: number | undefined;
  readonly exclude?: readonly string[] | undefined;
  /** The posted rows, as those of the user that the id names, or of none. */
  readonly rows: (user_id: string | null) => PostedRows;
}

/** How long the popular campaigns of a category may be searched for, in milliseconds. */
const LIST_TIMEOUT_MS = 3_000;
/** Lists of popular campaigns in memory, and how long they are used, in milliseconds. */
const MAX_LISTS = 200;
const LIST_TTL_MS = 1_000;

/** A list of campaigns that is not made for a user. */
interface CampaignList<Row> {
  /** The data version that it was made from; null if analytics never responded. */
  readonly version: number | null;
  /** Stores whose part is missing. */
  readonly degraded: readonly AnswerStore[];
  readonly rows: readonly Row[];
  readonly failures: ReadonlyMap<StoreName | AnswerStore, unknown>;
}

/** Data of the published version in memory. */
interface VersionCache {
  readonly popular: PopularReader;
  readonly campaign_rows: CampaignRows;
  readonly last_popular: LastPopular;
  readonly version_data: VersionData;
  readonly catalogue: CatalogueReader;
}

/** What analytics and the cache say before an answer is computed. */
interface Lookup {
  /** Null if analytics does not respond. */
  readonly published: Published | null;
  readonly state: DataState | null;
  /** Of whatever data. */
  readonly cached: CachedAnswer | null;
}

/**
 * Answers requests from the cache, or computes. One per app: it holds the circuit breakers of the stores and the published row.
 */
export class Recommender {
  private readonly policies: StorePolicies;
  private patientPolicies: StorePolicies | null = null;
  private readonly answer_ms: number;
  private readonly published: PublishedReader;
  private readonly computing = new Map<string, Promise<ServedAnswer>>();
  private versionCache: VersionCache;
  private readonly popularLists: LRUCache<string, Promise<CampaignRow[]>>;
  private readonly answers: AnswerCache;
  private readonly vectors: TextVectors | null;
  private readonly turns = new Turns();
  private readonly arms: Pick<Arms, "of">;
  private signer: Promise<IdSigner> | null = null;

  /** `answer_ms` is how long an answer may take in all; default {@link ANSWER_MS}. */
  constructor(
    private readonly options: {
      stores: RecommenderStores;
      clock: Clock;
      answer_ms?: number;
      random?: () => number;
      /** As `recommend()` takes it; default null. */
      repurchase_days?: number | null;
      /** Default: all users are in the default arm. */
      arms?: Pick<Arms, "of">;
      /** Minutes of silence after which a posted conversation is over. Default 30. */
      conversation_gap_minutes?: number;
      /** Opens the model for the first posted conversation; without it those are answered without their vectors, and marked. */
      embedder?: () => Promise<Embedder>;
      /** Without it, only given intents of posted messages count. */
      classifier?: MessageClassifier;
      /** The share of slots for campaigns that were hardly shown, 0..1. Default 0. */
      exploration?: number;
      /** Whether what this process has stored of a user is derived, once that is known; null if there is nothing to wait for. */
      derived?: (user_id: string) => Promise<boolean> | null;
      /** What ids are signed with; default the secret that analytics keeps. */
      secret?: () => Promise<Uint8Array>;
      /** Called with a line about what answers lack although no store is down. */
      warn?: (line: string) => void;
    },
  ) {
    const { clock, random = Math.random, stores: { analytics, cache } } = options;
    const onReplaced = () => this.versionCache = this.emptyCache();
    this.answer_ms = options.answer_ms ?? ANSWER_MS;
    this.arms = options.arms ?? new Arms({ control_share: 0 });
    this.answers = new AnswerCache({ cache, clock, random, answer_ms: this.answer_ms });
    this.policies = createStorePolicies(this.answer_ms);
    this.versionCache = this.emptyCache();
    this.popularLists = new LRUCache({ max: MAX_LISTS, ttl: LIST_TTL_MS, ttlResolution: 0, perf: clock });
    this.published = new PublishedReader({ analytics, clock, onReplaced });
    this.vectors = options.embedder === undefined ? null : new TextVectors(options.embedder);
  }

  private emptyCache(): VersionCache {
    const { clock, stores: { analytics }, warn = () => {} } = this.options;
    const popular = new PopularReader(analytics);
    return {
      popular,
      campaign_rows: new CampaignRows(analytics),
      last_popular: new LastPopular({ analytics, popular, clock }),
      version_data: new VersionData({ analytics, clock, answer_ms: this.answer_ms, warn }),
      catalogue: new CatalogueReader(this.options.stores),
    };
  }

  /** Whose circuit breaker is open, by store. */
  breakers(): Record<StoreName, boolean> {
    const states = Object.entries(this.policies).map(([name, { isOpen }]) => [name, isOpen]);
    return Object.fromEntries(states) as Record<StoreName, boolean>;
  }

  /**
   * Throws `unavailable` if nothing has been published yet, and `invalid` for a wrong filter or cursor. Never throws because
   * a store is down.
   */
  async serve(userRequest: RecommendationRequest): Promise<ServedAnswer> {
    const request = this.assign(userRequest);
    const trace = new RequestTrace(this.policies, this.answer_ms);
    const written = this.options.derived?.(request.user_id) ?? null;
    if (written !== null && !await this.isDerivedInTime(written)) {
      return await this.servePending(request, trace);
    }
    const start = performance.now();
    const { published, state, cached } = await withSpan("cache", {}, () => this.lookUp(request, trace));
    trace.timings.set("cache", performance.now() - start);
    if (state === null) return await this.withoutAnalytics(request, cached, trace);
    const computeAndCache = () => this.computeAndCache(request, { published, state, cached, trace });
    if (trace.failures.has("cache")) return await computeAndCache();
    const freshness = cached && this.answers.freshness(cached, state);
    if (cached !== null && freshness === "fresh") return this.toServedAnswer(trace, cached, "hit");
    if (cached !== null && freshness === "stale" && !await this.answers.tryLock(request, state, trace)) {
      return this.toServedAnswer(trace, cached, "stale");
    }
    return await this.shareComputation(JSON.stringify([request, state]), async () => {
      if (freshness === "stale") return await computeAndCache();
      const awaited = await trace.timed("cache", () => this.answers.waitForAnswer(request, state, trace));
      return awaited === null ? await computeAndCache() : this.toServedAnswer(trace, awaited, "hit");
    });
  }

  /**
   * The answer to rows that are not stored, alone or as the newest of a stored user; nothing of it is cached. Throws as {@link serve}.
   */
  async servePosted(request: PostedRequest): Promise<ServedAnswer> {
    return await this.serveUncached(this.assign(request), new RequestTrace(this.policies, this.answer_ms));
  }

  /** The answer from what is derived of the user, but with the words and negations of all that is stored. */
  private async servePending(request: AssignedRequest, trace: RequestTrace): Promise<ServedAnswer> {
    trace.markIncomplete("analytics", "what the user wrote last is not derived yet");
    const { user_id } = request;
    trace.leaveTime(MAX_WAIT_SHARE);
    const pending = await readPendingRows({ user_id, stores: this.options.stores, trace });
    return await this.serveUncached({ ...request, pending }, trace);
  }

  private async serveUncached(request: AnyRequest, trace: RequestTrace): Promise<ServedAnswer> {
    const published = await trace.timed("analytics", () => this.currentVersion(trace));
    const isLate = await this.isLate(trace);
    const { answer } = await this.compute(request, isLate ? null : published, trace);
    return this.toServedAnswer(trace, { body: JSON.stringify(answer), degraded: answer.degraded }, "bypass");
  }

  /**
   * The page after the one with this `recommendation_id`, for the same user and with the same conditions; rows that were posted for it
   * count if they are given again. Throws `invalid` for an id that this service has not signed, else as {@link serve}.
   */
  async serveNext(recommendation_id: string, next: NextRequest): Promise<ServedAnswer> {
    const { user_id, k, intent, category, filter, diversity } = await this.readId(recommendation_id);
    const { messages, events } = next.rows(user_id);
    const { exclude } = next;
    const page = { k: next.k ?? k, intent, category, filter, diversity, exclude, cursor: recommendation_id };
    if (user_id === null || messages.length + events.length > 0) {
      return await this.servePosted({ ...page, user_id, messages, events });
    }
    return await this.serve({ ...page, user_id });
  }

  private assign<Request extends { readonly user_id: string | null }>(
    request: Request,
  ): Request & { readonly arm: Arm } {
    return { ...request, arm: this.arms.of(request.user_id, this.options.clock.now()) };
  }

  /** Throws `invalid` for an id that was not signed with the secret, and `unavailable` if that cannot be read. */
  private async readId(id: string): Promise<RecommendationId> {
    const signer = await this.idSigner();
    if (signer === null) {
      throw new ParleyError(
        "unavailable",
        "analytics, which has the secret that ids are signed with, did not respond",
      );
    }
    return signer.read(id);
  }

  /** Null if the secret cannot be read now. */
  private async idSigner(): Promise<IdSigner | null> {
    const { secret = () => this.options.stores.analytics.secret() } = this.options;
    const signer = this.signer ??= secret().then((bytes) => new IdSigner(bytes)).catch((error) => {
      this.signer = null;
      throw error;
    });
    return await withTimeout(MAX_WAIT_SHARE * this.answer_ms, () => signer).catch((error) => {
      this.options.warn?.(`answers have no recommendation_id: ${causeOf(error)}`);
      return null;
    });
  }

  /** What signs the answer to a request, and the seed of its pages. */
  private async signing(
    request: RecommendationRequest | PostedRequest,
    published: Published | null,
  ): Promise<Signing> {
    const before = request.cursor === undefined ? null : await this.readId(request.cursor);
    const signer = await this.idSigner();
    const { user_id, k, intent, category, filter, diversity } = request;
    const facts = [
      user_id,
      published?.version,
      this.options.clock.now(),
      k,
      intent,
      category,
      filter,
      diversity,
    ];
    return { signer, before, seed: before?.seed ?? signer?.seedOf(JSON.stringify(facts)) ?? 0 };
  }

  /** The answer with an id that says what it was made from; without one if it cannot be signed. */
  private withId(
    { k, intent, category, filter, diversity }: RecommendationRequest | PostedRequest,
    computed: ComputedAnswer,
    { signer, seed, before }: Signing,
  ): ComputedAnswer {
    if (signer === null) return computed;
    const { user_id, version, strategy, arm, items } = computed.answer;
    const generated_at = Date.parse(computed.answer.generated_at);
    const shown = before?.shown ?? new ShownCampaigns(seed);
    const recommendation_id = signer.sign({
      version,
      strategy,
      arm,
      seed,
      generated_at,
      k,
      offset: shown.size,
      intent,
      category,
      filter,
      diversity,
      user_id,
      shown: shown.with(items.map(({ campaign_id }) => campaign_id)),
    });
    return { ...computed, answer: { ...computed.answer, recommendation_id } };
  }

  /** Concurrent calls with the same key share one computation. */
  private shareComputation(key: string, computeAndCache: () => Promise<ServedAnswer>): Promise<ServedAnswer> {
    const running = this.computing.get(key) ?? computeAndCache().finally(() => this.computing.delete(key));
    this.computing.set(key, running);
    return running;
  }

  /**
   * The answer as {@link serve} computes it now, not cached, with what it was computed from. Throws `unavailable` if nothing
   * has been published yet. Never throws because a store is down.
   */
  async explain(request: RecommendationRequest): Promise<Explained> {
    const trace = new RequestTrace(this.policies, this.answer_ms);
    const published = await trace.timed("analytics", () => this.currentVersion(trace));
    const computed = await this.compute(this.assign(request), published, trace);
    const answer = { ...computed.answer, user_id: request.user_id };
    return { ...computed, answer, published, steps: trace.steps, failures: trace.failures };
  }

  /**
   * The answer to rows that are not stored, in the user's arm, or by these weights of sources in place of that; without exploration.
   * Throws as {@link explain}.
   */
  async tryOut(request: PostedRequest, weights?: Sources): Promise<ComputedAnswer> {
    const trace = new RequestTrace(this.patientPolicies ??= createStorePolicies(TRY_OUT_MS), TRY_OUT_MS);
    const published = await trace.timed("analytics", () => this.currentVersion(trace));
    const { arm: own } = this.assign(request);
    const arm = weights !== undefined ? { name: "playground", weights } : own;
    // The control arm is itself, and explores nothing.
    const quiet: Arm = arm === CONTROL_ARM ? arm : { ...arm, explores: false };
    return await this.compute({ ...request, arm: quiet }, published, trace);
  }

  /** The weights of sources that answers are scored with now; the fixed ones before the first publish. */
  async weights(): Promise<Sources> {
    const published = await this.published.current();
    if (published === null) return WEIGHTS;
    return (await this.versionCache.version_data.load(published.version)).weights;
  }

  /**
   * The campaigns that may be shown now and are most like one of the catalogue: see `similarCampaigns()`. Throws `not_found` if there is
   * no such campaign, and `unavailable` if nothing has been published yet or analytics does not respond.
   */
  async similar(request: { campaign_id: string; k: number }): Promise<CampaignList<Ranked>> {
    const { clock, stores } = this.options;
    const { version_data, catalogue } = this.versionCache;
    const trace = new RequestTrace(this.policies, this.answer_ms);
    const published = await this.currentVersion(trace);
    const campaign_ids = [request.campaign_id];
    const campaigns = await trace.callStore(
      "analytics",
      null,
      (signal) => stores.analytics.campaigns({ campaign_ids, signal }),
    );
    if (campaigns?.length === 0) {
      throw new ParleyError("not_found", "the catalogue has no campaign with this id");
    }
    if (published !== null && campaigns !== null) {
      const rows = await similarCampaigns({
        ...request,
        clock,
        stores,
        version_data,
        catalogue,
        published,
        trace,
      });
      const { failures } = trace;
      if (!failures.has("analytics")) {
        return { version: published.version, degraded: trace.missing(), rows, failures };
      }
    }
    const cause = trace.failures.get("analytics");
    throw new ParleyError("unavailable", "the analytics store, which has the campaigns, did not respond", {
      cause,
    });
  }

  /**
   * The popular campaigns that may be shown now: see `popularCampaigns()`. If analytics does not respond, they are chosen from those that
   * were read last. Throws `unavailable` if nothing has been published yet.
   */
  async popular(request: PopularRequest): Promise<CampaignList<CampaignRow>> {
    const { analytics } = this.options.stores;
    const trace = new RequestTrace(this.policies, this.answer_ms);
    const published = await this.currentVersion(trace);
    const epochs = published &&
      await trace.callStore("analytics", null, (signal) => analytics.epochs({ user_id: "", signal }));
    const rows = published && epochs &&
      await this.popularRows(request, published, epochs.catalogue).catch((error) => {
        trace.failures.set("analytics", error);
        return null;
      });
    const list = rows === null
      ? this.versionCache.last_popular.showable(request)
      : { version: published!.version, rows };
    return {
      version: list.version,
      rows: list.rows.slice(0, request.k),
      degraded: trace.missing(),
      failures: trace.failures,
    };
  }

  /**
   * The campaigns of {@link popular}, read once a second for each request while the catalogue does not change: it may take reading all
   * of the catalogue, and that it takes long says nothing about the store.
   */
  private popularRows(
    { k, category, intent }: PopularRequest,
    { version, run_id }: Published,
    catalogue: number,
  ): Promise<CampaignRow[]> {
    const key = JSON.stringify([version, run_id, catalogue, k, category, intent]);
    const cached = this.popularLists.get(key);
    if (cached !== undefined) return cached;
    const { clock, stores: { analytics } } = this.options;
    const { popular } = this.versionCache;
    const now = iso(clock.now());
    const rows = withTimeout(
      LIST_TIMEOUT_MS,
      (signal) => popularCampaigns({ k, category, intent, analytics, popular, version, now, signal }),
    );
    this.popularLists.set(key, rows);
    rows.catch(() => this.popularLists.delete(key));
    return rows;
  }

  /**
   * Reads, if due, what answers need of the published version, and what they are computed from while analytics does not
   * respond. Throws if analytics does not respond now.
   */
  async prepare(): Promise<void> {
    const published = await this.published.current();
    if (published === null) return;
    const { version } = published;
    await Promise.all([
      this.versionCache.last_popular.refresh(version),
      this.versionCache.version_data.load(version),
      this.idSigner(),
    ]);
    // A large catalogue takes seconds, and only posted rows need its names.
    this.names().catch((error) =>
      this.options.warn?.(`the names of campaigns are read when rows are posted: ${causeOf(error)}`)
    );
  }

  /** The names of all campaigns now. */
  names(options: Abortable = {}): Promise<CampaignNames> {
    return this.versionCache.catalogue.names(options);
  }

  /** Leaves campaigns that were changed or deleted out of what is shown while analytics does not respond. */
  forgetPopular(campaign_ids: readonly string[]): void {
    this.versionCache.last_popular.forget(campaign_ids);
  }

  private async computeAndCache(
    request: AssignedRequest,
    { published, state, cached, trace }: Lookup & { state: DataState; trace: RequestTrace },
  ): Promise<ServedAnswer> {
    const bypass = trace.failures.has("cache");
    // One from before what the user did last may show what they no longer want.
    const unchanged = cached !== null && isOf(cached, state) ? cached : null;
    if (await this.isLate(trace)) return await this.withoutAnalytics(request, unchanged, trace);
    const computed = await this.compute(request, published, trace);
    if (trace.failures.has("analytics")) {
      return await this.withoutAnalytics(request, unchanged, trace, computed);
    }
    const body = JSON.stringify(computed.answer);
    const stored = { body, computed, trace };
    if (!bypass) await trace.timed("cache", () => this.answers.store(request, state, stored));
    return this.toServedAnswer(
      trace,
      { body, degraded: computed.answer.degraded },
      bypass ? "bypass" : "miss",
    );
  }

  private async isDerivedInTime(written: Promise<boolean>): Promise<boolean> {
    return await withTimeout(MAX_DERIVE_SHARE * this.answer_ms, () => written).catch(() => false);
  }

  /** Waits for the requests before this one. If that takes too long, the answer is made from memory, and says so. */
  private async isLate(trace: RequestTrace): Promise<boolean> {
    const isLate = () => !trace.hasTime(MAX_QUEUE_SHARE);
    await this.turns.next(isLate);
    if (!isLate()) return false;
    trace.markIncomplete("time", "no time was left after the requests before it");
    return true;
  }

  private async compute(
    request: AnyRequest,
    published: Published | null,
    trace: RequestTrace,
  ): Promise<ComputedAnswer> {
    const signing = await this.signing(request, published);
    const { before } = signing;
    let user: KnownUser | null = null;
    // Without analytics no campaign has a title: nothing that the other stores could add would be shown.
    if (published !== null && !trace.failures.has("analytics")) {
      const shown = before?.shown ?? null;
      const { exploration: share = 0 } = this.options;
      const explores = share > 0 && request.arm.explores !== false && signing.signer !== null;
      const exploration = explores ? { share, seed: signing.seed } : null;
      const options = this.recommendOptions(request, { published, shown, exploration, trace });
      user = await this.userOf(request, options);
      const computed = await recommendTo(user, options);
      // An empty store may have replaced the published one since the row was read.
      if (computed.answer.items.length === 0) {
        await trace.callStore("analytics", null, (signal) => this.published.reread({ signal }));
      }
      if (!trace.failures.has("analytics")) return this.withId(request, computed, signing);
    }
    const unwanted = user ?? await this.readUnwanted(request, trace);
    return this.withId(request, this.popularAnswer(request, unwanted, before, trace), signing);
  }

  /** What the user does not want, as far as that is known without a model. It is read even if no time is left. */
  private async readUnwanted(request: AnyRequest, trace: RequestTrace): Promise<Unwanted> {
    const { user_id } = request;
    trace.leaveTime(MAX_WAIT_SHARE);
    const { stores } = this.options;
    const derived = user_id === null ? NOTHING_UNWANTED : await readUserAnalytics({ user_id, stores, trace });
    const names = this.versionCache.catalogue.lastNames();
    const rows = rowsOf(request);
    if (rows === null || names === null) return derived;
    const before = "pending" in request ? [] : derived.negations;
    return { ...derived, negations: negationsOf(rows, { names, gap_ms: this.gap_ms }, before) };
  }

  /** What a user with pending rows said lately, by these; nothing if they are not known. */
  private async pendingWords(request: AnyRequest, trace: RequestTrace): Promise<Partial<UserWords>> {
    if (!("pending" in request) || request.pending === null) return {};
    const names = await this.campaignNames(trace);
    return names === null ? {} : wordsOf(request.pending, { names, gap_ms: this.gap_ms });
  }

  private get gap_ms(): number {
    return (this.options.conversation_gap_minutes ?? 30) * 60_000;
  }

  private recommendOptions(
    request: AnyRequest,
    context: Pick<RecommendOptions, "shown" | "exploration" | "trace"> & { published: Published },
  ) {
    const { stores, clock, repurchase_days = null } = this.options;
    const { popular, campaign_rows, version_data, catalogue } = this.versionCache;
    const learnt = { popular, campaign_rows, version_data, catalogue };
    return { ...request, ...context, ...learnt, stores, clock, repurchase_days };
  }

  private async userOf(
    request: AnyRequest,
    options: ReturnType<Recommender["recommendOptions"]>,
  ): Promise<KnownUser> {
    const isControl = request.arm === CONTROL_ARM;
    if (!("messages" in request)) {
      const stored = { ...options, user_id: request.user_id };
      const said = await this.pendingWords(request, options.trace);
      return isControl
        ? withoutPersonal({ ...await readUserAnalytics(stored), ...said })
        : { ...await readUser(stored), ...said };
    }
    const { messages, events } = request;
    const { classifier = null } = this.options;
    const user = await readPostedUser({
      ...options,
      messages,
      events,
      names: await this.campaignNames(options.trace),
      gap_ms: this.gap_ms,
      vectors: this.vectors,
      classifier: this.vectors === null ? null : classifier,
    });
    return isControl ? withoutPersonal(user) : user;
  }

  /** Those from before if they take long to be read, which continues; null if they were never read. */
  private async campaignNames({ answer_ms }: RequestTrace): Promise<CampaignNames | null> {
    return await withTimeout(MAX_WAIT_SHARE * answer_ms, () => this.names())
      .catch(() => this.versionCache.catalogue.lastNames());
  }

  /** The cached answer if it may be served, marked as unchecked; else the campaigns that were popular last, without unwanted ones. */
  private async withoutAnalytics(
    request: AssignedRequest,
    cached: CachedAnswer | null,
    trace: RequestTrace,
    popular?: ComputedAnswer,
  ): Promise<ServedAnswer> {
    const known_version = this.published.lastKnown()?.version ?? 0;
    if (cached !== null && await this.answers.servesUnchecked(request, { cached, known_version, trace })) {
      return this.toServedAnswer(trace, withMissing(cached, trace.missing()), "stale");
    }
    const { answer } = popular ?? await this.compute(request, null, trace);
    return this.toServedAnswer(trace, { body: JSON.stringify(answer), degraded: answer.degraded }, "bypass");
  }

  private popularAnswer(
    request: AnyRequest,
    { negations, final }: Unwanted,
    before: RecommendationId | null,
    trace: RequestTrace,
  ): ComputedAnswer {
    const { clock, repurchase_days = null } = this.options;
    const vetoes = new Vetoes(negations, clock.now());
    const suppressed = suppressedCampaigns(final, { now: clock.now(), repurchase_days });
    const posted = "events" in request ? request.events.filter(isFinal) : [];
    const unwanted = [...suppressed, ...posted].map(({ campaign_id }) => campaign_id);
    const page = { ...request, exclude: [...request.exclude ?? [], ...unwanted] };
    const { version, items } = this.versionCache.last_popular.answer(page, before?.shown ?? null, vetoes);
    const generated_at = iso(this.options.clock.now());
    const degraded = trace.missing();
    const { user_id, arm } = request;
    const led_by = items.length === 0 ? null : "popularity";
    const answer: Answer = {
      user_id,
      recommendation_id: null,
      strategy: "popular",
      arm: arm.name,
      led_by,
      version,
      generated_at,
      vetoes: vetoes.current,
      degraded,
      items,
    };
    return { answer, holds_until: null, provenance: null };
  }

  private toServedAnswer(
    { timings, failures, incomplete }: RequestTrace,
    answer: Pick<ServedAnswer, "body" | "degraded">,
    cache: ServedAnswer["cache"],
  ): ServedAnswer {
    // A cached answer does not know of this request what it lacks.
    const { body, degraded } = withMissing(answer, [...incomplete.keys()]);
    return { body, degraded, cache, timings, failures: new Map([...incomplete, ...failures]) };
  }

  /** The published version; null if analytics does not respond. */
  private async currentVersion(trace: RequestTrace): Promise<Published | null> {
    const published: Published | null | "unknown" = await trace.callStore(
      "analytics",
      "unknown" as const,
      (signal) => this.published.current({ signal }),
    );
    if (published === "unknown") return null;
    if (published === null) {
      throw new ParleyError("unavailable", "no data has been published yet: run `deno task pipeline`");
    }
    // A failed read is repeated by the next request, which reports the failure.
    this.versionCache.last_popular.refresh(published.version).catch(() => {});
    return published;
  }

  /** What analytics and the cache say, both asked at once: the cache is needed all the more if analytics does not respond. */
  private async lookUp(request: AssignedRequest, trace: RequestTrace): Promise<Lookup> {
    const [data, cached] = await Promise.all([
      this.dataState(request, trace),
      this.answers.find(request, trace),
    ]);
    return { ...data, cached };
  }

  private async dataState(
    { user_id }: RecommendationRequest,
    trace: RequestTrace,
  ): Promise<Pick<Lookup, "published" | "state">> {
    const { analytics } = this.options.stores;
    const published = this.published.recent() ?? await this.currentVersion(trace);
    if (published === null) return { published, state: null };
    const epochs = await trace.callStore(
      "analytics",
      null,
      (signal) => analytics.epochs({ user_id, signal }),
    );
    return {
      published,
      state: epochs && { version: published.version, run_id: published.run_id, epoch: epochText(epochs) },
    };
  }
}

/** After which a campaign is no longer shown to the user, at least for a while. */
function isFinal({ type }: EngagementEvent): boolean {
  return type === "dismissal" || type === "conversion";
}

/** The rows that a request comes with, or that are not derived; null if there are none. */
function rowsOf(request: AnyRequest): Pick<UserRows, "user_id" | "messages"> | null {
  if ("pending" in request) return request.pending;
  return "messages" in request ? { user_id: request.user_id ?? NO_USER, messages: request.messages } : null;
}

/** The answer, marked as made without these parts. */
function withMissing(
  { body, degraded }: Pick<ServedAnswer, "body" | "degraded">,
  missing: readonly AnswerStore[],
): Pick<ServedAnswer, "body" | "degraded"> {
  if (missing.every((part) => degraded.includes(part))) return { body, degraded };
  const marked = [...new Set([...degraded, ...missing])];
  return { body: JSON.stringify({ ...JSON.parse(body), degraded: marked }), degraded: marked };
}
