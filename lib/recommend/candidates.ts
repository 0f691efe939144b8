import type { AnalyticsStore, CampaignStats, Engagement } from "../stores/analytics/port.ts";
import type { IntentCount } from "../stores/documents/port.ts";
import type { GraphStore, Target } from "../stores/graph/port.ts";
import type { Hit, VectorStores } from "../stores/vectors/port.ts";
import { type Abortable, type Campaign, parseModelKey, type Published } from "../core/types.ts";

/** How far each question to a store reaches. Twice as far doubles the time of an answer. */
const REACH = Object.freeze({
  similar_users: 40,
  /** Newest engagements of each similar user. */
  engagements: 15,
  similar_campaigns: 50,
  /** The user's most expressed intents. */
  intents: 8,
  targets: 300,
});

/** What the vectors say: who talks like the user, and which campaigns are worded like what the user says. */
export interface Neighbours {
  readonly users: readonly Hit[];
  readonly campaigns: readonly Hit[];
}
export const NO_NEIGHBOURS: Neighbours = Object.freeze({ users: [], campaigns: [] });

/** What the graph says: what similar users did, what the user wants, and which campaigns answer that. */
export interface Connections {
  readonly engaged: readonly Engagement[];
  readonly intents: readonly IntentCount[];
  readonly targets: readonly Target[];
  /** Campaigns that target the intent which was asked for. */
  readonly asked: readonly string[];
}
export const NO_CONNECTIONS: Connections = Object.freeze({
  engaged: [],
  intents: [],
  targets: [],
  asked: [],
});

/** A campaign as analytics holds it. */
export interface Row {
  readonly campaign: Campaign;
  readonly stats: CampaignStats;
}

export async function findNeighbours(
  o: {
    vectors: Pick<VectorStores, "of">;
    user_id: string;
    published: Pick<Published, "version" | "model">;
  } & Abortable,
): Promise<Neighbours> {
  const { published: { version, model }, user_id, signal } = o;
  // The version names its model, so a profile is never compared with vectors of another one.
  const store = await o.vectors.of({ model: parseModelKey(model), signal });
  const profiles = await store.get({ collection: "profiles", ids: [user_id], signal });
  const vector = profiles.get(user_id);
  if (vector === undefined) return NO_NEIGHBOURS;
  const question = { version, vector, signal };
  const [users, campaigns] = await Promise.all([
    store.search({ ...question, collection: "profiles", k: REACH.similar_users, exclude: [user_id] }),
    store.search({ ...question, collection: "campaigns", k: REACH.similar_campaigns }),
  ]);
  return { users, campaigns };
}

export async function findConnections(
  o: {
    graph: Pick<GraphStore, "engagedBy" | "intentsOf" | "targeting">;
    user_id: string;
    users: readonly Hit[];
    intent?: string | undefined;
  } & Abortable,
): Promise<Connections> {
  const { signal } = o;
  const user_ids = o.users.map((user) => user.id);
  const [engaged, intents, asked] = await Promise.all([
    user_ids.length === 0 ? [] : o.graph.engagedBy({ user_ids, limit: REACH.engagements, signal }),
    o.graph.intentsOf({ user_id: o.user_id, limit: REACH.intents, signal }),
    o.intent === undefined ? [] : o.graph.targeting({ intents: [o.intent], limit: REACH.targets, signal }),
  ]);
  const wanted = intents.map((one) => one.intent);
  const targets = wanted.length === 0
    ? []
    : await o.graph.targeting({ intents: wanted, limit: REACH.targets, signal });
  return { engaged, intents, targets, asked: asked.map(({ campaign_id }) => campaign_id) };
}

/** These campaigns with their stats, whichever exist and may be shown at `now` (ISO 8601). */
export async function loadShowable(
  o: {
    analytics: Pick<AnalyticsStore, "campaigns" | "stats">;
    version: number;
    campaign_ids: readonly string[];
    now: string;
  } & Abortable,
): Promise<Row[]> {
  const { campaign_ids, version, signal } = o;
  const [campaigns, stats] = await Promise.all([
    o.analytics.campaigns({ campaign_ids, signal }),
    o.analytics.stats({ version, campaign_ids, signal }),
  ]);
  const byId = new Map(stats.map((one) => [one.campaign_id, one]));
  return campaigns.filter((campaign) => isShowable(campaign, o.now)).map((campaign) => ({
    campaign,
    stats: byId.get(campaign.campaign_id) ?? unmet(campaign.campaign_id),
  }));
}

/** Active, begun and not ended. ISO times in UTC with milliseconds compare as text. */
export function isShowable(campaign: Campaign, now: string): boolean {
  return campaign.status === "active" &&
    (campaign.starts_at === null || campaign.starts_at <= now) &&
    (campaign.ends_at === null || now < campaign.ends_at);
}

function unmet(campaign_id: string): CampaignStats {
  return { campaign_id, impressions: 0, clicks: 0, conversions: 0, dismissals: 0, popularity: 0 };
}
