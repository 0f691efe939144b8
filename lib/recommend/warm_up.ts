import { sleep } from "../core/abort.ts";
import type { Clock } from "../core/clock.ts";
import { ParleyError } from "../core/errors.ts";
import { type Abortable, type Health, parseModelKey, type Published } from "../core/types.ts";
import type { Hit, VectorStores } from "../stores/vectors/port.ts";
import { withSpan } from "../telemetry/tracing.ts";
import type { RecommendationRequest } from "./answer.ts";
import type { StoreName } from "./store_policy.ts";
import { Recommender, type RecommenderStores } from "./recommender.ts";

/** The model answers posted conversations alone, and is loaded afterwards. */
type WarmedStore = Exclude<StoreName, "embeddings">;

/** How long the first whole answer is waited for, in milliseconds. */
export const MAX_WARM_UP_MS = 60_000;
/** The time budget of answers that are asked for first, so that stores can finish what takes long only once. */
const PATIENT_ANSWER_MS = 30_000;
/** How long a health check may take. */
const MAX_HEALTH_MS = 5_000;
const PAUSE_MS = 200;
/** Users whose answers are asked for. */
const USERS = 2;
/** Campaigns that are searched for an intent. */
const CAMPAIGNS = 20;
const K = 10;
/** An id that no user has, and no entry of the cache. */
const NO_ID = "";

/** Requests to send, and stores that failed while they were prepared. */
interface WarmUpRequests {
  readonly requests: readonly RecommendationRequest[];
  readonly failed: readonly WarmedStore[];
}
const NO_USER_REQUESTS: WarmUpRequests = Object.freeze({ requests: [{ user_id: NO_ID, k: K }], failed: [] });

export interface WarmUpOptions {
  readonly stores:
    & RecommenderStores
    & Readonly<Record<WarmedStore, { health(options: Abortable): Promise<Health> }>>;
  /** The one that answers users. */
  readonly recommender: Recommender;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** The state of the start, as `/readyz` reports it. */
export interface WarmUpStatus {
  /** Whether an answer may still lack a part that it will soon have. */
  readonly starting: boolean;
  /** Stores that are up, but do not answer the queries of an answer in time. */
  readonly late: readonly WarmedStore[];
}

/**
 * Computes answers of real users, neither cached nor counted, until they are complete. That loads SDKs, opens connections,
 * reads indexes and plans queries, which takes a new server seconds. It does not wait for a store that is down, except
 * analytics, without which no other store is used.
 */
export class WarmUp {
  private readonly done = Promise.withResolvers<void>();
  private late: readonly WarmedStore[] = [];
  private isOver = false;
  private deadline: number;

  constructor(private readonly options: WarmUpOptions) {
    this.deadline = options.clock.now() + MAX_WARM_UP_MS;
  }

  status(): WarmUpStatus {
    return { starting: !this.isOver && this.options.clock.now() < this.deadline, late: this.late };
  }

  /** Resolves when answers are complete, or lack only stores that are down. */
  get ready(): Promise<void> {
    return this.done.promise;
  }

  /** Continues until answers are complete or the signal is aborted. Never throws because a store is down. */
  async run(): Promise<void> {
    const { stores, clock, signal } = this.options;
    // It is released at the end, with its data.
    const patientRecommender = new Recommender({ stores, clock, answer_ms: PATIENT_ANSWER_MS });
    try {
      while (!signal.aborted && !await withSpan("warm-up", {}, () => this.attempt(patientRecommender))) {
        await sleep(PAUSE_MS, signal);
      }
    } finally {
      this.isOver = true;
      this.done.resolve();
    }
  }

  /** Whether there is nothing more to wait for. */
  private async attempt(patientRecommender: Recommender): Promise<boolean> {
    const { requests, failed } = await this.prepare();
    await findFailedStores(patientRecommender, requests);
    const missing = await findFailedStores(this.options.recommender, requests);
    for (const store of failed) missing?.add(store);
    if (missing?.size === 0) {
      this.late = [];
      return true;
    }
    const up = missing === null ? [] : await this.storesThatRespond(missing);
    if (missing === null || (missing.has("analytics") && !up.includes("analytics"))) {
      this.deadline = this.options.clock.now() + MAX_WARM_UP_MS;
      this.done.resolve();
      return false;
    }
    this.late = up;
    return up.length === 0;
  }

  /** The stores whose health check succeeds. */
  private async storesThatRespond(names: ReadonlySet<WarmedStore>): Promise<WarmedStore[]> {
    const { stores } = this.options;
    const signal = AbortSignal.any([this.options.signal, AbortSignal.timeout(MAX_HEALTH_MS)]);
    const up = await Promise.all(
      Array.from(names, (name) => stores[name].health({ signal }).then(() => [name], () => [])),
    );
    return up.flat();
  }

  /** Runs the queries that every answer needs, and returns the requests to send. */
  private async prepare(): Promise<WarmUpRequests> {
    const { recommender, signal, stores: { analytics, cache } } = this.options;
    const [requests] = await Promise.allSettled([
      this.requests(),
      recommender.prepare(),
      analytics.epochs({ user_id: NO_ID, signal }),
      cache.get({ key: NO_ID, signal }),
    ]);
    return requests.status === "fulfilled" ? requests.value : NO_USER_REQUESTS;
  }

  /** Requests of users with a profile, and for an intent that a popular campaign targets, so that every kind of query runs. */
  private async requests(): Promise<WarmUpRequests> {
    const { signal, stores: { analytics, vectors } } = this.options;
    const published = await analytics.published({ signal });
    if (published === null) return NO_USER_REQUESTS;
    const { version } = published;
    const users = await findUsers({ vectors, published, signal }).catch(() => null);
    const popular = await analytics.popular({ version, limit: CAMPAIGNS, signal });
    const campaign_ids = popular.map(({ campaign_id }) => campaign_id);
    const [intent] = (await analytics.campaigns({ campaign_ids, signal })).flatMap(({ intents }) => intents);
    const user_ids = users === null || users.length === 0 ? [NO_ID] : users.map(({ id }) => id);
    const requests: RecommendationRequest[] = user_ids.map((user_id) => ({ user_id, k: K }));
    if (intent !== undefined) requests.push({ user_id: user_ids[0]!, k: K, intent });
    // An answer to a user without a profile searches nothing, so it would not show that searches fail.
    return { requests, failed: users === null ? ["vectors"] : [] };
  }
}

/** Some users who have a profile. */
async function findUsers(
  { vectors, published, signal }: {
    vectors: Pick<VectorStores, "forModel">;
    published: Pick<Published, "version" | "model">;
  } & Abortable,
): Promise<Hit[]> {
  const model = parseModelKey(published.model);
  const vector = new Float32Array(model.dimension).fill(1 / Math.sqrt(model.dimension));
  const store = await vectors.forModel({ model, signal });
  const { version } = published;
  return await store.search({ collection: "profiles", version, vector, k: USERS, signal });
}

/** Stores whose part is missing from these answers; null if nothing is published. */
async function findFailedStores(
  recommender: Recommender,
  requests: readonly RecommendationRequest[],
): Promise<Set<WarmedStore> | null> {
  const missing = new Set<WarmedStore>();
  for (const request of requests) {
    try {
      for (const store of (await recommender.explain(request)).failures.keys()) {
        if (store !== "embeddings" && store !== "time") missing.add(store);
      }
    } catch (error) {
      if (error instanceof ParleyError && error.code === "unavailable") return null;
      throw error;
    }
  }
  return missing;
}
