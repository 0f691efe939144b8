import type { Clock } from "../core/clock.ts";
import { iso } from "../core/clock.ts";
import { seededRandom } from "../core/random.ts";
import { type Abortable, type Campaign, parseModelKey, type Published } from "../core/types.ts";
import type { AnalyticsStore, CampaignStats } from "../stores/analytics/port.ts";
import type { GraphStore } from "../stores/graph/port.ts";
import type { VectorStores } from "../stores/vectors/port.ts";
import type { Answer, PageOptions, Sources } from "./answer.ts";
import type { CampaignRows } from "./campaign_rows.ts";
import type { CatalogueReader, NewCampaigns } from "./catalogue_reader.ts";
import { readVersion } from "./read_version.ts";
import { type Arm, DEFAULT_ARM, weightsIn } from "./arms.ts";
import { NO_CO_ENGAGEMENT } from "./candidates/co_engagement.ts";
import { findTargets } from "./candidates/intents.ts";
import type { PopularReader } from "./candidates/popularity.ts";
import {
  type ConversationHits,
  findConversations,
  findNeighbours,
  MAX_HITS,
  NO_NEIGHBOURS,
} from "./candidates/similar_conversations.ts";
import { findCampaigns } from "./candidates/similarity.ts";
import { diversify } from "./diversify.ts";
import { drawUncertain, exploredSlots, withExplored } from "./explore.ts";
import { type Cause, explain } from "./explain.ts";
import { Candidates, type SourceResults } from "./features.ts";
import { isKnown, type KnownUser, NO_GRAPH_DATA, NO_WORDS, readUserGraph } from "./known_user.ts";
import { negatedCampaigns, Vetoes } from "./negations.ts";
import { leadingSource, rank, type Ranked, shortlist, weightsFor } from "./score.ts";
import { type CampaignRow, conditionOf } from "./showable.ts";
import { MAX_SHOWN, type ShownCampaigns } from "./shown_campaigns.ts";
import { type SuppressedCampaign, suppressedCampaigns } from "./suppressed_campaigns.ts";
import type { RequestTrace } from "./request_trace.ts";
import type { VersionData } from "./version_data.ts";

/** The stores that an answer is computed from. */
export interface AnswerStores {
  readonly vectors: Pick<VectorStores, "forModel">;
  readonly graph: Pick<GraphStore, "engagedBy" | "engagedIn" | "intentsOf" | "targeting">;
  readonly analytics: Pick<
    AnalyticsStore,
    "campaignPage" | "finalEngagement" | "profileWords"
  >;
}

export interface RecommendOptions extends PageOptions {
  /** The stored user; null for a conversation of no user. */
  readonly user_id: string | null;
  /** Default: {@link DEFAULT_ARM}. */
  readonly arm?: Arm;
  /** What the pages before showed. */
  readonly shown: ShownCampaigns | null;
  readonly stores: AnswerStores;
  readonly popular: Pick<PopularReader, "top">;
  readonly campaign_rows: CampaignRows;
  readonly version_data: Pick<VersionData, "get">;
  readonly catalogue: Pick<CatalogueReader, "epoch" | "newCampaigns">;
  readonly clock: Clock;
  /** The published data version, and the model that its vectors are of. */
  readonly published: Pick<Published, "version" | "model">;
  /** Days after which a campaign that the user converted on may be shown again, if it does not say so itself; null: never. */
  readonly repurchase_days: number | null;
  /** The share of slots for campaigns that were hardly shown, 0..1, and the seed of chance; null for none. */
  readonly exploration: { readonly share: number; readonly seed: number } | null;
  readonly trace: RequestTrace;
}

/** What an answer was computed from. */
export interface Provenance extends SourceResults {
  /** By campaign of the answer, the campaign of the user's own engagement that contributes most to it. */
  readonly causes: ReadonlyMap<string, Cause>;
  /** Campaigns that are left out because of what the user did or said. */
  readonly suppressed: readonly SuppressedCampaign[];
  /** How many candidates there were, including the popular ones. */
  readonly considered: number;
  /** The weight of each source; they add up to 1. */
  readonly weights: Sources;
}

/**
 * An answer, with when it no longer holds (ISO 8601): when the first of its campaigns ends, or of those that are left out may be
 * shown again.
 */
export interface ComputedAnswer {
  readonly answer: Answer;
  readonly holds_until: string | null;
  /** Null if no store could be asked. */
  readonly provenance: Provenance | null;
}

/** Campaigns read at a time, as a multiple of `k` and at least. */
const PAGE = Object.freeze({ times: 4, least: 40 });
/** How many showable campaigns there must be to choose from, as a multiple of `k`. */
const CHOICE_FACTOR = 2;
/** The factor by which the popular list is read further while too few of it may be shown, and how many rows are read at most. */
const GROWTH = 8;
const MAX_ROWS = 5_000;
/** By what factor each page of rows is larger than the one before, if few pass a filter, and the largest. */
const PAGE_GROWTH = 2;
const MAX_PAGE = 500;
/** Campaigns of the requested category that are candidates although no source found them. */
const MAX_OF_CATEGORY = 300;

/**
 * To a user of whom this is known → similar conversations and campaigns (vectors) → what these led to, what answers the
 * user's intents (graph) → what may be shown (analytics) → score, diversify, explain. A store that fails or exceeds its time is left
 * out and named in `degraded`; without analytics nothing can be shown. Never throws because a store is down.
 */
export async function recommendTo(user: KnownUser, options: RecommendOptions): Promise<ComputedAnswer> {
  const { trace, clock, arm = DEFAULT_ARM } = options;
  const { learnt, newCampaigns, epoch } = await readVersion(options);
  const { items, wording, named_are_known } = learnt;
  const wordingHits = await trace.timed("rank", () => wording?.nearest(user.words, MAX_HITS) ?? []);
  const results = await findSourceResults(user, { ...options, wordingHits, newCampaigns });
  const { candidates, weights, evidence } = await trace.timed("rank", () => {
    const { own, intents } = user;
    // In the control arm negations leave campaigns out, and rank none lower.
    const negated = negatedCampaigns(isKnown(user) ? user.negations : []);
    const named = user.named.filter((campaign_id) => !negated.has(campaign_id));
    const related = items?.relatedTo(own, named) ?? NO_CO_ENGAGEMENT;
    const mentions = named_are_known === false ? named : [];
    const evidence: SourceResults = { ...results, own, intents, related, mentions, negated };
    const candidates = new Candidates(evidence, clock.now());
    candidates.add(results.asked);
    return {
      candidates,
      weights: weightsFor(candidates.all(), weightsIn(arm, learnt.weights)),
      evidence,
    };
  });
  const known_ids = named_are_known ? user.named : [];
  const vetoes = new Vetoes(user.negations, clock.now());
  const { rows, suppressed } = await trace.callTimed(
    "analytics",
    NO_ROWS,
    (signal) =>
      readRows(
        { ...options, epoch, newCampaigns, known_ids, vetoes, final: user.final, signal },
        candidates,
        weights,
      ),
  );
  const chosen = await trace.timed(
    "rank",
    () =>
      diversify(
        rank(rows, { weights, featuresOf: (id) => candidates.get(id)! }),
        Math.min(options.k, MAX_SHOWN - (options.shown?.size ?? 0)),
        options.diversity ?? arm.diversity,
      ),
  );
  const { uncertain } = learnt;
  const page = await explore(chosen, {
    ...options,
    epoch,
    newCampaigns,
    uncertain,
    candidates,
    weights,
    suppressed,
    vetoes,
  });
  const causes = await trace.callTimed(
    "analytics",
    NO_CAUSES,
    (signal) => readCauses({ ...options, epoch, signal }, page, evidence),
  );
  const ends = [
    ...page.flatMap((ranked) => ranked.campaign.ends_at ?? []),
    ...suppressed.flatMap(({ until }) => until ?? []),
    ...vetoes.current.map(({ until }) => until),
  ];
  return {
    answer: {
      ...answerHeader(options),
      strategy: isKnown(user) ? "personal" : "popular",
      arm: arm.name,
      led_by: leadingSource(chosen, weights),
      vetoes: vetoes.current,
      items: page.map((ranked) => explain(ranked, { weights, causes })),
    },
    holds_until: ends.sort()[0] ?? null,
    provenance: { ...evidence, causes, suppressed, considered: candidates.size, weights },
  };
}

/** Fields that do not depend on the items. */
function answerHeader(
  { user_id, published: { version }, clock, trace }: RecommendOptions,
): Pick<Answer, "user_id" | "recommendation_id" | "version" | "generated_at" | "degraded"> {
  const generated_at = iso(clock.now());
  return { user_id, recommendation_id: null, version, generated_at, degraded: trace.missing() };
}

/** What the stores that respond know of the user. */
export async function readUser(options: RecommendOptions & { user_id: string }): Promise<KnownUser> {
  const { trace, user_id, stores: { graph } } = options;
  const [vector, graphData, inAnalytics] = await Promise.all([
    trace.callTimed("vectors", null, async (signal) => {
      const store = await vectorStore({ ...options, signal });
      const profiles = await store.get({ collection: "profiles", ids: [user_id], signal });
      return profiles.get(user_id) ?? null;
    }),
    trace.callTimed("graph", NO_GRAPH_DATA, (signal) => readUserGraph({ graph, user_id, signal })),
    readUserAnalytics(options),
  ]);
  return { ...graphData, ...inAnalytics, vector };
}

/** What analytics knows of the user. */
export async function readUserAnalytics(
  { trace, user_id, stores: { analytics } }: Pick<RecommendOptions, "trace"> & {
    user_id: string;
    stores: Pick<RecommendOptions["stores"], "analytics">;
  },
): Promise<Pick<KnownUser, "words" | "named" | "negations" | "final">> {
  const [words, final] = await trace.callTimed("analytics", NOTHING_FINAL, (signal) =>
    Promise.all([
      analytics.profileWords({ user_id, signal }),
      analytics.finalEngagement({ user_id, signal }),
    ]));
  const { words: counts, named, negations } = words ?? NO_WORDS;
  return { words: counts, named, negations, final };
}

const NOTHING_FINAL = Object.freeze([null, []] as const);

/** The version names its model, so a profile is never compared with vectors of another one. */
function vectorStore({ stores, published, signal }: RecommendOptions & Abortable) {
  return stores.vectors.forModel({ model: parseModelKey(published.model), signal });
}

/** Conversations and campaigns near the user's profile. */
const NO_SIMILAR = Object.freeze({ conversations: [], campaigns: [] });

async function findSourceResults(
  user: KnownUser,
  options: RecommendOptions & { wordingHits: ConversationHits; newCampaigns: NewCampaigns },
) {
  const { trace, user_id, intent, wordingHits, newCampaigns, stores: { graph } } = options;
  const { version } = options.published;
  const { vector } = user;
  const hits = vector === null ? NO_SIMILAR : await trace.callTimed("vectors", NO_SIMILAR, async (signal) => {
    const store = await vectorStore({ ...options, signal });
    const [conversations, campaigns] = await Promise.all([
      findConversations({ store, version, vector, signal }),
      findCampaigns({ store, version, vector, newCampaigns, signal }),
    ]);
    return { conversations, campaigns };
  });
  const [similar, targets, requested] = await trace.callTimed(
    "graph",
    [NO_NEIGHBOURS, [], []],
    (signal) =>
      Promise.all([
        findNeighbours({ graph, vectorHits: hits.conversations, wordingHits, user_id, signal }),
        findTargets({ graph, intents: user.intents.map((intent) => intent.intent), signal }),
        findTargets({ graph, intents: intent === undefined ? [] : [intent], signal }),
      ]),
  );
  const { campaigns } = hits;
  return { ...similar, campaigns, targets, asked: requested.map(({ campaign_id }) => campaign_id) };
}

/** Campaigns that may be shown, and those that are suppressed by what the user did. */
interface ShowableRows {
  readonly rows: readonly CampaignRow[];
  readonly suppressed: readonly SuppressedCampaign[];
}
const NO_ROWS: ShowableRows = Object.freeze({ rows: [], suppressed: [] });

/**
 * The best candidates that may be shown: those found, and the popular ones, which are added to them. If too few of the popular may be
 * shown, it reaches further down their list.
 */
async function readRows(
  options: RecommendOptions & Pick<KnownUser, "final"> & Abortable & {
    readonly epoch: number;
    readonly known_ids: readonly string[];
    readonly newCampaigns: NewCampaigns;
    readonly vetoes: Vetoes;
  },
  candidates: Candidates,
  weights: Sources,
): Promise<ShowableRows> {
  const { k, intent, category, signal, stores: { analytics }, published: { version } } = options;
  const { clock, repurchase_days, shown, exclude = [] } = options;
  const byEngagement = suppressedCampaigns(options.final, { now: clock.now(), repurchase_days });
  const finished_ids = new Set(byEngagement.map(({ campaign_id }) => campaign_id));
  const unwanted = [
    ...byEngagement,
    ...options.vetoes.campaigns.filter(({ campaign_id }) => !finished_ids.has(campaign_id)),
  ];
  const suppressed_ids = new Set(unwanted.map(({ campaign_id }) => campaign_id));
  const known_ids = options.known_ids.filter((id) => !suppressed_ids.has(id));
  const never = new Set([...suppressed_ids, ...exclude]);
  const left_out = new Set([...never, ...known_ids]);
  const isShown = (id: string) => shown !== null && shown.has(id);
  const suppressed = [
    ...unwanted,
    ...known_ids.map((campaign_id) => ({ campaign_id, by: "mention", until: null } as const)),
  ];
  if (category !== undefined) {
    const search = { category, status: "active" } as const;
    const rows = await analytics.campaignPage({ after: null, limit: MAX_OF_CATEGORY, search, signal });
    candidates.add(rows.map(({ campaign_id }) => campaign_id));
  }
  const best = new BestRows(options);
  for (let limit = PAGE.times * k + left_out.size + (shown?.size ?? 0);; limit *= GROWTH) {
    const popular = await options.popular.top({ version, limit, signal });
    candidates.add(popular.map(({ campaign_id }) => campaign_id));
    const isComplete = popular.length < limit;
    // They are not in the list, which is that of the version: without events they come after all others.
    if (isComplete) candidates.add(options.newCampaigns.keys());
    const ids = shortlist(candidates.all(), { weights, ...popularities(popular, isComplete) });
    const rows = await best.of(ids.filter((id) => !left_out.has(id) && !isShown(id)));
    // Campaigns that target the requested intent were found by it: the rest of the popular list would add little.
    if (rows.length < k && !isComplete && !best.isFull && intent === undefined) continue;
    if (rows.length > 0 || known_ids.length === 0) return { rows, suppressed };
    // Campaigns that the user knows are better than nothing.
    return {
      rows: await best.of(ids.filter((id) => !never.has(id) && !isShown(id))),
      suppressed: unwanted,
    };
  }
}

/** A campaign that is not in the list is at most as popular as its last one, and unpopular if the list is complete. */
function popularities(popular: readonly CampaignStats[], isComplete: boolean) {
  return {
    popularity: new Map(popular.map((stats) => [stats.campaign_id, stats.popularity])),
    default_popularity: isComplete ? 0 : popular.at(-1)?.popularity ?? 0,
  };
}

/** The rows of the best candidates that pass the request's filter, each read once. */
class BestRows {
  /** Null for those that do not exist, may not be shown, or do not pass. */
  private readonly rows = new Map<string, CampaignRow | null>();
  private readonly passes: (campaign: Campaign) => boolean;

  constructor(private readonly options: RecommendOptions & { epoch: number; vetoes: Vetoes } & Abortable) {
    const meets = conditionOf(options);
    this.passes = (campaign) => meets(campaign) && options.vetoes.allow(campaign);
  }

  /** Whether as many rows were read as may be. */
  get isFull(): boolean {
    return this.rows.size >= MAX_ROWS;
  }

  /** Of these candidates, best first, the first that may be shown, a few more than the request asks for. */
  async of(ids: readonly string[]): Promise<CampaignRow[]> {
    const { k } = this.options;
    const found: CampaignRow[] = [];
    let page = Math.max(PAGE.least, PAGE.times * k);
    for (let at = 0; at < ids.length && found.length < CHOICE_FACTOR * k;) {
      const part = ids.slice(at, at + page);
      await this.read(part.filter((id) => !this.rows.has(id)));
      found.push(...part.flatMap((id) => this.rows.get(id) ?? []));
      at += part.length;
      page = Math.max(page, Math.min(MAX_PAGE, PAGE_GROWTH * page));
    }
    return found;
  }

  private async read(campaign_ids: readonly string[]): Promise<void> {
    if (campaign_ids.length === 0 || this.isFull) return;
    const { campaign_rows, clock, epoch, signal, published: { version } } = this.options;
    const rows = await campaign_rows.showable({
      version,
      epoch,
      campaign_ids,
      now: iso(clock.now()),
      signal,
    });
    for (const campaign_id of campaign_ids) this.rows.set(campaign_id, null);
    for (const row of rows) if (this.passes(row.campaign)) this.rows.set(row.campaign.campaign_id, row);
  }
}

/** The page with some uncertain campaigns in it that may be shown, if the request explores. */
async function explore(
  page: readonly Ranked[],
  options: RecommendOptions & Pick<ShowableRows, "suppressed"> & {
    readonly epoch: number;
    readonly newCampaigns: NewCampaigns;
    readonly uncertain: readonly string[];
    readonly candidates: Candidates;
    readonly weights: Sources;
    readonly vetoes: Vetoes;
  },
): Promise<readonly Ranked[]> {
  const { exploration, k, shown, exclude = [], candidates, weights, trace, clock } = options;
  if (exploration === null) return page;
  const random = seededRandom(exploration.seed + (shown?.size ?? 0));
  const slots = exploredSlots(Math.min(k, page.length), exploration.share, random);
  if (slots === 0) return page;
  const never = new Set([...options.suppressed.map(({ campaign_id }) => campaign_id), ...exclude]);
  const uncertain = [...options.newCampaigns.keys(), ...options.uncertain]
    .filter((id) => !never.has(id) && !shown?.has(id));
  const campaign_ids = drawUncertain(uncertain, random);
  const { campaign_rows, epoch, published: { version } } = options;
  const rows = await trace.callTimed(
    "analytics",
    [],
    (signal) => campaign_rows.showable({ version, epoch, campaign_ids, now: iso(clock.now()), signal }),
  );
  return await trace.timed("rank", () => {
    candidates.add(campaign_ids);
    const meets = conditionOf(options);
    const fitting = rows.filter(({ campaign }) => meets(campaign) && options.vetoes.allow(campaign));
    const ranked = rank(fitting, { weights, featuresOf: (id) => candidates.get(id)! });
    return withExplored(page, ranked, { slots, random });
  });
}

const NO_CAUSES: ReadonlyMap<string, Cause> = new Map();

/** By chosen campaign, the campaign of the user's own engagement that contributes most to it. */
async function readCauses(
  { campaign_rows, epoch, published: { version }, signal }: RecommendOptions & { epoch: number } & Abortable,
  chosen: readonly Ranked[],
  { related }: SourceResults,
): Promise<ReadonlyMap<string, Cause>> {
  const causes = chosen.flatMap(({ campaign: { campaign_id } }) => {
    const cause = related.cause(campaign_id);
    return cause === null ? [] : [{ campaign_id, cause }];
  });
  if (causes.length === 0) return NO_CAUSES;
  const campaign_ids = [...new Set(causes.map(({ cause }) => cause.campaign_id))];
  const rows = await campaign_rows.get({ version, epoch, campaign_ids, signal });
  const titles = new Map(rows.map(({ campaign: { campaign_id, title } }) => [campaign_id, title]));
  return new Map(causes.map(({ campaign_id, cause }) => [campaign_id, {
    campaign_id: cause.campaign_id,
    title: titles.get(cause.campaign_id) ?? null,
    engagement: cause.by,
  }]));
}
