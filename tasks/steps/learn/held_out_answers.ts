import { LRUCache } from "../../../deps.ts";
import { latestTime } from "../../../lib/core/clock.ts";
import type { Abortable, Campaign, EngagementEvent } from "../../../lib/core/types.ts";
import { modelKey } from "../../../lib/core/types.ts";
import { type CandidateSet, candidatesOf, packAll } from "../../../lib/evaluate/rescore.ts";
import type { LearningQuery } from "../../../lib/learn/choose_ranker.ts";
import { type Moment, wholeList } from "../../../lib/learn/user_moments.ts";
import { CampaignRows } from "../../../lib/recommend/campaign_rows.ts";
import { ItemItem } from "../../../lib/recommend/candidates/co_engagement.ts";
import type { KnownUser } from "../../../lib/recommend/known_user.ts";
import { type AnswerStores, recommendTo } from "../../../lib/recommend/recommend.ts";
import { readShown } from "../../../lib/recommend/recommendation_id.ts";
import { RequestTrace } from "../../../lib/recommend/request_trace.ts";
import { WEIGHTS } from "../../../lib/recommend/score.ts";
import { isShowable, newCampaign } from "../../../lib/recommend/showable.ts";
import { createStorePolicies } from "../../../lib/recommend/store_policy.ts";
import type { LearntData } from "../../../lib/recommend/version_data.ts";
import { Wording } from "../../../lib/recommend/wording.ts";
import type { CampaignStats } from "../../../lib/stores/analytics/port.ts";
import type { ConversationEngagement } from "../../../lib/stores/graph/port.ts";
import type { VectorStore } from "../../../lib/stores/vectors/port.ts";
import type { Services } from "../../services.ts";
import { learnWithout } from "../item_weights.ts";
import { learnWording } from "../wording.ts";

/** Nearest conversations searched for, as a multiple of what an answer needs: those of users who are left out do not count. */
const SPARE_HITS = 1.5;
/** Conversations whose engagement is in memory: more than one answer asks for. */
const MAX_CONVERSATIONS = 20_000;
/** Of one answer, which no one waits for. */
const ANSWER_MS = 60_000;

export interface HeldOutOptions extends Abortable {
  readonly services: Pick<Services, "analytics" | "graph" | "clock" | "settings">;
  readonly store: VectorStore;
  /** Which was built and is not published yet. */
  readonly version: number;
  /** Users whom the answers are for, with their events. */
  readonly user_ids: ReadonlySet<string>;
  readonly events: readonly EngagementEvent[];
  readonly campaigns: ReadonlyMap<string, Campaign>;
  /** Conversations whose engagement is in memory. Default {@link MAX_CONVERSATIONS}. */
  readonly max_conversations?: number;
}

/** What is derived for the whole, as it would be if some users had neither said nor done anything, and answers to these users from it. */
export class HeldOutAnswers {
  private readonly engagement: LRUCache<string, readonly ConversationEngagement[]>;
  private readonly rows: CampaignRows;

  private constructor(
    private readonly options: HeldOutOptions,
    private readonly learnt: LearntData,
    /** The most popular first. */
    private readonly popular: readonly CampaignStats[],
    private readonly stats: ReadonlyMap<string, CampaignStats>,
  ) {
    this.engagement = new LRUCache({ max: options.max_conversations ?? MAX_CONVERSATIONS });
    this.rows = new CampaignRows({
      campaigns: ({ campaign_ids }) =>
        Promise.resolve(campaign_ids.flatMap((id) => options.campaigns.get(id) ?? [])),
      stats: ({ campaign_ids }) => Promise.resolve(campaign_ids.map((id) => this.statsOf(id))),
    });
  }

  /** Builds all again that is built of users' rows; of conversations' vectors the index stays, and those of these users do not count. */
  static async build(options: HeldOutOptions): Promise<HeldOutAnswers> {
    const { services: { analytics, clock, settings }, user_ids, events, signal } = options;
    const { weights } = await learnWithout(analytics, user_ids, { signal });
    const { named_are_known, ...postings } = await learnWording(analytics, { without: user_ids, signal });
    const { half_life_days } = settings;
    const latest = latestTime(clock.now());
    const stats = await analytics.statsWithout({ events, half_life_days, latest, signal });
    return new HeldOutAnswers(
      options,
      {
        items: new ItemItem(weights),
        wording: new Wording(postings),
        named_are_known,
        built_from: null,
        uncertain: [],
        weights: WEIGHTS,
      },
      stats.toSorted((a, b) => b.popularity - a.popularity || (a.campaign_id < b.campaign_id ? -1 : 1)),
      new Map(stats.map((row) => [row.campaign_id, row])),
    );
  }

  /**
   * What a user could have been shown at a moment, all candidates of an answer; or if the list is known that was shown, its campaigns, and
   * their places. It is known by events, or else by the id of the answer.
   */
  async candidates(user: KnownUser, moment: Moment): Promise<Pick<LearningQuery, "candidates" | "places">> {
    const { at, before, gains, places, recommendation_id } = moment;
    const { store, version, campaigns } = this.options;
    const now = Date.parse(at);
    const trace = new RequestTrace(createStorePolicies(ANSWER_MS), ANSWER_MS);
    const { provenance } = await recommendTo(user, {
      user_id: before.user_id,
      k: 1,
      shown: null,
      exploration: null,
      stores: {
        vectors: { forModel: () => Promise.resolve(this.vectors()) },
        graph: this.graph(),
        analytics: this.analytics(),
      },
      campaign_rows: this.rows,
      popular: { top: ({ limit }) => Promise.resolve(this.popular.slice(0, limit)) },
      version_data: { get: () => Promise.resolve(this.learnt) },
      catalogue: { epoch: () => Promise.resolve(0), newCampaigns: () => Promise.resolve(new Map()) },
      clock: { now: () => now },
      published: { version, model: modelKey(store.model) },
      repurchase_days: null,
      trace,
    });
    for (const error of trace.failures.values()) throw error;
    const wasShowable = (id: string) => {
      const campaign = campaigns.get(id);
      return campaign !== undefined && isShowable(campaign, at) ? campaign : undefined;
    };
    const popular = places === null ? this.popular : Array.from(places.keys(), (id) => this.statsOf(id));
    const get = (id: string) => places === null || places.has(id) ? wasShowable(id) : undefined;
    const all = candidatesOf(provenance!, { popular, campaigns: { get }, stats: this.stats }, now);
    if (places !== null || recommendation_id === null) return { candidates: packAll(all), places };
    const named = wholeList(placesBy(recommendation_id, all), gains);
    return { candidates: packAll(named === null ? all : only(all, named)), places: named };
  }

  /** More conversations are found than count, since those of the users who are left out have no engagement here. */
  private vectors(): VectorStore {
    const { store } = this.options;
    const search: VectorStore["search"] = ({ k, ...options }) =>
      store.search({ ...options, k: options.collection === "conversations" ? Math.ceil(SPARE_HITS * k) : k });
    return Object.assign(Object.create(store), { search });
  }

  private graph(): AnswerStores["graph"] {
    const { services: { graph } } = this.options;
    return {
      engagedBy: (options) => graph.engagedBy(options),
      engagedIn: (options) => this.engagedIn(options),
      intentsOf: (options) => graph.intentsOf(options),
      targeting: (options) => graph.targeting(options),
    };
  }

  /** What others did in these conversations, each read once as long as it is in memory: many moments have the same neighbours. */
  private async engagedIn(
    { conversation_ids, signal }: { conversation_ids: readonly string[] } & Abortable,
  ): Promise<ConversationEngagement[]> {
    const { user_ids, services: { graph } } = this.options;
    // Apart from the cache, which may drop some of them while others are added.
    const found = new Map(conversation_ids.map((id) => [id, this.engagement.get(id)]));
    const missing = conversation_ids.filter((id) => found.get(id) === undefined);
    const read = missing.length === 0 ? [] : await graph.engagedIn({ conversation_ids: missing, signal });
    const rows = Map.groupBy(read, ({ conversation_id }) => conversation_id);
    for (const id of missing) {
      const others = (rows.get(id) ?? []).filter(({ user_id }) => !user_ids.has(user_id));
      found.set(id, others);
      this.engagement.set(id, others);
    }
    return conversation_ids.flatMap((id) => found.get(id)!);
  }

  /** Campaigns and stats from memory. */
  private analytics(): AnswerStores["analytics"] {
    const { services: { analytics } } = this.options;
    return {
      campaignPage: (options) => analytics.campaignPage(options),
      finalEngagement: (options) => analytics.finalEngagement(options),
      profileWords: (options) => analytics.profileWords(options),
    };
  }

  private statsOf(campaign_id: string): CampaignStats {
    return this.stats.get(campaign_id) ?? newCampaign(campaign_id);
  }
}

/** The places of candidates in an answer, as its id says them. */
function placesBy(recommendation_id: string, { candidates }: CandidateSet): ReadonlyMap<string, number> {
  const answer = readShown(recommendation_id);
  const places = new Map<string, number>();
  if (answer === null) return places;
  for (const { campaign: { campaign_id } } of candidates) {
    const place = (answer.shown.placeOf(campaign_id) ?? 0) - answer.offset;
    if (place > 0) places.set(campaign_id, place);
  }
  return places;
}

function only({ present, candidates }: CandidateSet, ids: ReadonlyMap<string, number>): CandidateSet {
  return {
    present,
    candidates: [...candidates].filter(({ campaign }) => ids.has(campaign.campaign_id)),
  };
}
