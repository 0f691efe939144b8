import { sleep } from "../core/abort.ts";
import type { Clock } from "../core/clock.ts";
import { ParleyError } from "../core/errors.ts";
import { type Abortable, type Health, parseModelKey, type Published } from "../core/types.ts";
import type { Hit, VectorStores } from "../stores/vectors/port.ts";
import { withSpan } from "../telemetry/tracing.ts";
import type { RecommendationRequest } from "./answer.ts";
import type { StoreName } from "./store_policy.ts";
import { Recommender, type RecommenderStores } from "./recommender.ts";

/** How long the first whole answer is waited for, in milliseconds. */
export const MAX_WARM_UP_MS = 60_000;
/** The time budget of answers that are asked for first, so that stores can finish what takes long only once. */
const PATIENT_ANSWER_MS = 30_000;
/** How long a store may take to say that it is up. */
const MAX_HEALTH_MS = 5_000;
/** Between two tries. */
const PAUSE_MS = 200;
/** Users whose answers are asked for. */
const USERS = 2;
/** Campaigns among which an intent is looked for. */
const CAMPAIGNS = 20;
const K = 10;
/** An id that no user has, and no entry of the cache. */
const NO_ID = "";

/** Questions to ask, and stores that failed while they were looked for. */
interface Preparation {
  readonly questions: readonly RecommendationRequest[];
  readonly failed: readonly StoreName[];
}
const NO_USER: Preparation = Object.freeze({ questions: [{ user_id: NO_ID, k: K }], failed: [] });

export interface WarmUpOptions {
  readonly stores:
    & RecommenderStores
    & Readonly<Record<StoreName, { health(options: Abortable): Promise<Health> }>>;
  /** The one that answers users. */
  readonly recommender: Recommender;
  readonly clock: Clock;
  /** Ends the warm-up. */
  readonly signal: AbortSignal;
}

/** How far a start is, as `/readyz` tells it. */
export interface WarmUpStatus {
  /** Whether a first answer may still lack a part that it has a moment later. */
  readonly starting: boolean;
  /** Stores that are up, but do not answer what an answer asks, or not in its time. */
  readonly late: readonly StoreName[];
}

/**
 * Asks for answers of real users, which are neither cached nor counted, until they are whole: SDKs are loaded by that, connections
 * made, indexes read and queries planned, for which a server that has just started takes seconds. A store that is down is
 * not waited for, except analytics, without which no other store is asked.
 */
export class WarmUp {
  private readonly done = Promise.withResolvers<void>();
  private late: readonly StoreName[] = [];
  private over = false;
  private deadline: number;

  constructor(private readonly options: WarmUpOptions) {
    this.deadline = options.clock.now() + MAX_WARM_UP_MS;
  }

  status(): WarmUpStatus {
    return { starting: !this.over && this.options.clock.now() < this.deadline, late: this.late };
  }

  /** Resolves when answers are whole, or lack only what is down. */
  get ready(): Promise<void> {
    return this.done.promise;
  }

  /** Continues until answers are whole or the signal is aborted. Never throws because a store is down. */
  async run(): Promise<void> {
    const { stores, clock, signal } = this.options;
    // With what it holds of the data, it is let go of at the end.
    const patient = new Recommender({ stores, clock, answer_ms: PATIENT_ANSWER_MS });
    try {
      while (!signal.aborted && !await withSpan("warm-up", {}, () => this.attempt(patient))) {
        await sleep(PAUSE_MS, signal);
      }
    } finally {
      this.over = true;
      this.done.resolve();
    }
  }

  /** Whether there is nothing more to wait for. */
  private async attempt(patient: Recommender): Promise<boolean> {
    const { questions, failed } = await this.prepare();
    await missingFrom(patient, questions);
    const missing = await missingFrom(this.options.recommender, questions);
    for (const store of failed) missing?.add(store);
    if (missing?.size === 0) {
      this.late = [];
      return true;
    }
    const up = missing === null ? [] : await this.upOf(missing);
    if (missing === null || (missing.has("analytics") && !up.includes("analytics"))) {
      this.deadline = this.options.clock.now() + MAX_WARM_UP_MS;
      this.done.resolve();
      return false;
    }
    this.late = up;
    return up.length === 0;
  }

  /** Those of the stores that answer at all. */
  private async upOf(names: ReadonlySet<StoreName>): Promise<StoreName[]> {
    const { stores } = this.options;
    const signal = AbortSignal.any([this.options.signal, AbortSignal.timeout(MAX_HEALTH_MS)]);
    const up = await Promise.all(
      Array.from(names, (name) => stores[name].health({ signal }).then(() => [name], () => [])),
    );
    return up.flat();
  }

  /** Asks what answers need beside their parts, and returns the questions to ask. */
  private async prepare(): Promise<Preparation> {
    const { recommender, signal, stores: { analytics, cache } } = this.options;
    const [questions] = await Promise.allSettled([
      this.questions(),
      recommender.prepare(),
      analytics.epoch({ user_id: NO_ID, signal }),
      cache.get({ key: NO_ID, signal }),
    ]);
    return questions.status === "fulfilled" ? questions.value : NO_USER;
  }

  /** Of users who have a profile, and about an intent that a popular campaign targets, so that no query is left out. */
  private async questions(): Promise<Preparation> {
    const { signal, stores: { analytics, vectors } } = this.options;
    const published = await analytics.published({ signal });
    if (published === null) return NO_USER;
    const { version } = published;
    const users = await findUsers({ vectors, published, signal }).catch(() => null);
    const popular = await analytics.popular({ version, limit: CAMPAIGNS, signal });
    const campaign_ids = popular.map(({ campaign_id }) => campaign_id);
    const [intent] = (await analytics.campaigns({ campaign_ids, signal })).flatMap(({ intents }) => intents);
    const user_ids = users === null || users.length === 0 ? [NO_ID] : users.map(({ id }) => id);
    const questions: RecommendationRequest[] = user_ids.map((user_id) => ({ user_id, k: K }));
    if (intent !== undefined) questions.push({ user_id: user_ids[0]!, k: K, intent });
    // An answer to a user without a profile searches nothing, so it would not show that searches fail.
    return { questions, failed: users === null ? ["vectors"] : [] };
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
async function missingFrom(
  recommender: Recommender,
  questions: readonly RecommendationRequest[],
): Promise<Set<StoreName> | null> {
  const missing = new Set<StoreName>();
  for (const question of questions) {
    try {
      for (const store of (await recommender.explain(question)).failures.keys()) missing.add(store);
    } catch (error) {
      if (error instanceof ParleyError && error.code === "unavailable") return null;
      throw error;
    }
  }
  return missing;
}
