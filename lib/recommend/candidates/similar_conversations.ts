import type { Abortable } from "../../core/types.ts";
import type { EngagementCounts } from "../../stores/analytics/port.ts";
import type { ConversationEngagement, GraphStore } from "../../stores/graph/port.ts";
import type { Hit, VectorStore } from "../../stores/vectors/port.ts";

/** Conversations that count. On dialogues about films, R@10 is .156 with 25, .169 with 50, .173 with 75 and .172 with 100 or 150. */
const MAX_NEIGHBOURS = 75;
/** Additional hits, since the user's own conversations are among the nearest and do not count. */
const SPARE_HITS = 25;
export const MAX_HITS = MAX_NEIGHBOURS + SPARE_HITS;
/** Hits of each list that are first looked up in the graph: few users have many conversations of their own. */
const FIRST_HITS = MAX_NEIGHBOURS + 5;
/** Of the softmax over cosines: a conversation that is this much farther than the nearest counts 1/e of it. */
const TEMPERATURE = 0.05;
/**
 * A cosine by words counts by this power of its share of one that is near; on dialogues about films the best one is mostly .2 to .4.
 * Few shared words count little, although they may be the most that any conversation shares.
 */
const NEAR_POWER = 1.5;
const NEAR_COSINE = 0.3;
/**
 * Adds so many conversations, as near as the nearest, that led to nothing. With 75 neighbours that changes little; with one or
 * two it prevents values near 1.
 */
const PRIOR = 3;
/** A person is counted in a reason if they contribute at least this share of the largest contribution. */
const MIN_SHARE = 0.1;
/** The weight of one person's engagement: the furthest step counts. */
const ENGAGEMENT_WEIGHTS = Object.freeze({ conversion: 1, click: 0.5, impression: 0.1 });

/** A conversation of another user that led to engagement. */
export interface Neighbour {
  readonly conversation_id: string;
  readonly user_id: string;
  /** Cosine to what the user said. */
  readonly cosine: number;
  /** 0..1, of the nearest 1. */
  readonly weight: number;
  readonly engagement: readonly ConversationEngagement[];
}

/** What people with similar requests did with one campaign, each counted once, by their furthest step. */
export interface People {
  readonly converted: number;
  readonly clicked: number;
  readonly shown: number;
}

/** The feature of one campaign from similar conversations. */
export interface ConversationFeature {
  /** 0..1: about the weighted share of them that led to it. */
  readonly value: number;
  /** Conversations that contribute. */
  readonly supporters: readonly Supporter[];
}

/** One conversation that contributes to a campaign. */
export interface Supporter {
  readonly user_id: string;
  /** Its weight times that of the engagement. */
  readonly contribution: number;
  readonly engagement: EngagementCounts;
}

/** The weight of one person's engagement with a campaign, 0..1; 0 after a dismissal. */
export function engagementWeight(e: EngagementCounts): number {
  if (e.dismissals > 0) return 0;
  if (e.conversions > 0) return ENGAGEMENT_WEIGHTS.conversion;
  if (e.clicks > 0) return ENGAGEMENT_WEIGHTS.click;
  return e.impressions > 0 ? ENGAGEMENT_WEIGHTS.impression : 0;
}

/** The conversations nearest to a profile, including the user's own. */
export function findConversations(
  { store, version, vector, signal }: {
    store: Pick<VectorStore, "search">;
    version: number;
    vector: Float32Array;
  } & Abortable,
): Promise<Hit[]> {
  return store.search({ collection: "conversations", version, vector, k: MAX_HITS, signal });
}

/** Conversations by similarity, best first. */
export type ConversationHits = readonly Pick<Hit, "id" | "score">[];

/** Conversations of others that led to engagement, by meaning and by words. */
export interface Neighbours {
  readonly neighbours: readonly Neighbour[];
  readonly wording_neighbours: readonly Neighbour[];
}
export const NO_NEIGHBOURS: Neighbours = Object.freeze({ neighbours: [], wording_neighbours: [] });

/** Their engagement: of each list the best {@link MAX_NEIGHBOURS} conversations of other users, best first. */
export async function findNeighbours(
  { graph, vectorHits, wordingHits, user_id, signal }: {
    graph: Pick<GraphStore, "engagedIn">;
    /** By cosine of vectors. */
    vectorHits: ConversationHits;
    /** By cosine of words. */
    wordingHits: ConversationHits;
    /** Whose conversations do not count; null for none. */
    user_id: string | null;
  } & Abortable,
): Promise<Neighbours> {
  const engagement = new Map<string, ConversationEngagement[]>();
  const read = async (hits: ConversationHits) => {
    const conversation_ids = [...new Set(hits.map(({ id }) => id))];
    if (conversation_ids.length === 0) return;
    for (const row of await graph.engagedIn({ conversation_ids, signal })) {
      if (row.user_id === user_id) continue;
      const rows = engagement.get(row.conversation_id);
      if (rows === undefined) engagement.set(row.conversation_id, [row]);
      else rows.push(row);
    }
  };
  const lists = [vectorHits, wordingHits];
  await read(lists.flatMap((hits) => hits.slice(0, FIRST_HITS)));
  const short = lists.filter((hits) => {
    const useful = hits.slice(0, FIRST_HITS).filter(({ id }) => engagement.has(id));
    return useful.length < MAX_NEIGHBOURS;
  });
  await read(short.flatMap((hits) => hits.slice(FIRST_HITS)).filter(({ id }) => !engagement.has(id)));
  return {
    neighbours: nearest(vectorHits, engagement, (score, best) => Math.exp((score - best) / TEMPERATURE)),
    wording_neighbours: nearest(
      wordingHits,
      engagement,
      (score) => Math.min(1, score / NEAR_COSINE) ** NEAR_POWER,
    ),
  };
}

function nearest(
  hits: ConversationHits,
  engagement: ReadonlyMap<string, readonly ConversationEngagement[]>,
  weigh: (score: number, best: number) => number,
): Neighbour[] {
  const neighbours = hits.filter(({ id }) => engagement.has(id)).slice(0, MAX_NEIGHBOURS);
  const best = neighbours[0]?.score ?? 0;
  return neighbours.map(({ id, score }) => {
    const rows = engagement.get(id)!;
    const { user_id } = rows[0]!;
    return { conversation_id: id, user_id, cosine: score, weight: weigh(score, best), engagement: rows };
  });
}

/** Features of the campaigns that neighbours engaged with. */
export function conversationFeatures(neighbours: readonly Neighbour[]): Map<string, ConversationFeature> {
  const total = PRIOR + neighbours.reduce((sum, { weight }) => sum + weight, 0);
  const features = new Map<string, { value: number; supporters: Supporter[] }>();
  for (const { weight, user_id, engagement } of neighbours) {
    for (const row of engagement) {
      const contribution = weight * engagementWeight(row);
      if (contribution === 0) continue;
      let feature = features.get(row.campaign_id);
      if (feature === undefined) features.set(row.campaign_id, feature = { value: 0, supporters: [] });
      feature.value += contribution / total;
      feature.supporters.push({ user_id, contribution, engagement: row });
    }
  }
  return features;
}

/** Supporters with a relevant contribution, each user counted once. There is at least one. */
export function countPeople({ supporters }: ConversationFeature): People {
  const maxContribution = Math.max(...supporters.map(({ contribution }) => contribution));
  const furthest = new Map<string, number>();
  for (const { user_id, contribution, engagement } of supporters) {
    if (contribution < MIN_SHARE * maxContribution) continue;
    furthest.set(user_id, Math.max(furthest.get(user_id) ?? 0, engagementWeight(engagement)));
  }
  const count = (step: number) => [...furthest.values()].filter((value) => value === step).length;
  return {
    converted: count(ENGAGEMENT_WEIGHTS.conversion),
    clicked: count(ENGAGEMENT_WEIGHTS.click),
    shown: count(ENGAGEMENT_WEIGHTS.impression),
  };
}
