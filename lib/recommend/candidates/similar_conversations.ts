import type { Abortable } from "../../core/types.ts";
import type { EngagementCounts } from "../../stores/analytics/port.ts";
import type { ConversationEngagement, GraphStore } from "../../stores/graph/port.ts";
import type { Hit, VectorStore } from "../../stores/vectors/port.ts";

/** Conversations that count. On dialogues about films, R@10 is .156 with 25, .169 with 50, .173 with 75 and .172 with 100 or 150. */
const MAX_NEIGHBOURS = 75;
/** So many more are searched for, since the user's own are among the nearest and do not count. */
const SPARE = 25;
export const MAX_HITS = MAX_NEIGHBOURS + SPARE;
/** Of each list the graph is first asked about so many: few users have many conversations of their own. */
const FIRST_HITS = MAX_NEIGHBOURS + 5;
/** Of the softmax over cosines: one that is so much farther than the nearest counts 1/e of it. */
const TEMPERATURE = 0.05;
/**
 * A cosine by words counts by this power of its share of one that is near; on dialogues about films the best one is mostly .2 to .4.
 * Few shared words count little, although they may be the most that any conversation shares.
 */
const POWER = 1.5;
const NEAR = 0.3;
/**
 * As if so many conversations as near as the nearest had led to nothing. With 75 neighbours that changes next to nothing; it
 * keeps one or two from making a certainty.
 */
const PRIOR = 3;
/** A person is counted in a reason if they add at least this share of what the one does who adds most. */
const MIN_SHARE = 0.1;
/** What one person's engagement says: the furthest step counts. */
const STEP = Object.freeze({ conversion: 1, click: 0.5, impression: 0.1 });

/** A conversation of another user that led to engagement. */
export interface Neighbour {
  readonly conversation_id: string;
  readonly user_id: string;
  /** Cosine to what the asking user said. */
  readonly cosine: number;
  /** 0..1, of the nearest 1. */
  readonly weight: number;
  readonly engagement: readonly ConversationEngagement[];
}

/** Of people who asked for something alike: what they did with one campaign, each counted once, by the furthest that they went. */
export interface People {
  readonly converted: number;
  readonly clicked: number;
  readonly shown: number;
}

/** What similar conversations say of one campaign. */
export interface ConversationFeature {
  /** 0..1: about the share of them, weighted, that ended well with it. */
  readonly value: number;
  /** Those that speak for it. */
  readonly supporters: readonly Supporter[];
}

/** One conversation that speaks for a campaign. */
export interface Supporter {
  readonly user_id: string;
  /** How much, by its nearness and how far the user went. */
  readonly adds: number;
  readonly engagement: EngagementCounts;
}

/** How much one person's engagement with one campaign speaks for it, 0..1; 0 after a dismissal. */
export function engagementWeight(e: EngagementCounts): number {
  if (e.dismissals > 0) return 0;
  if (e.conversions > 0) return STEP.conversion;
  if (e.clicks > 0) return STEP.click;
  return e.impressions > 0 ? STEP.impression : 0;
}

/** The conversations nearest to a profile, those of the asking user among them. */
export function findConversations(
  { store, version, vector, signal }: {
    store: Pick<VectorStore, "search">;
    version: number;
    vector: Float32Array;
  } & Abortable,
): Promise<Hit[]> {
  return store.search({ collection: "conversations", version, vector, k: MAX_HITS, signal });
}

/** Conversations found near to what was said, best first. */
export type ConversationHits = readonly Pick<Hit, "id" | "score">[];

/** Conversations of others that led to engagement, by both ways to be near. */
export interface Neighbours {
  readonly neighbours: readonly Neighbour[];
  readonly alike: readonly Neighbour[];
}
export const NO_NEIGHBOURS: Neighbours = Object.freeze({ neighbours: [], alike: [] });

/** What they led to: of each list the best of other users' conversations, at most 75, best first. */
export async function findNeighbours(
  { graph, similar, alike, user_id, signal }: {
    graph: Pick<GraphStore, "engagedIn">;
    /** By cosine of vectors. */
    similar: ConversationHits;
    /** By cosine of words. */
    alike: ConversationHits;
    user_id: string;
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
  const lists = [similar, alike];
  await read(lists.flatMap((hits) => hits.slice(0, FIRST_HITS)));
  const short = lists.filter((hits) => {
    const others = hits.slice(0, FIRST_HITS).filter(({ id }) => engagement.has(id));
    return others.length < MAX_NEIGHBOURS;
  });
  await read(short.flatMap((hits) => hits.slice(FIRST_HITS)).filter(({ id }) => !engagement.has(id)));
  return {
    neighbours: nearest(similar, engagement, (score, best) => Math.exp((score - best) / TEMPERATURE)),
    alike: nearest(alike, engagement, (score) => Math.min(1, score / NEAR) ** POWER),
  };
}

function nearest(
  hits: ConversationHits,
  engagement: ReadonlyMap<string, readonly ConversationEngagement[]>,
  weigh: (score: number, best: number) => number,
): Neighbour[] {
  const near = hits.filter(({ id }) => engagement.has(id)).slice(0, MAX_NEIGHBOURS);
  const best = near[0]?.score ?? 0;
  return near.map(({ id, score }) => {
    const rows = engagement.get(id)!;
    const { user_id } = rows[0]!;
    return { conversation_id: id, user_id, cosine: score, weight: weigh(score, best), engagement: rows };
  });
}

/** What neighbours say of each campaign that any of them engaged with. */
export function conversationFeatures(neighbours: readonly Neighbour[]): Map<string, ConversationFeature> {
  const total = PRIOR + neighbours.reduce((sum, { weight }) => sum + weight, 0);
  const found = new Map<string, { value: number; supporters: Supporter[] }>();
  for (const { weight, user_id, engagement } of neighbours) {
    for (const row of engagement) {
      const adds = weight * engagementWeight(row);
      if (adds === 0) continue;
      let evidence = found.get(row.campaign_id);
      if (evidence === undefined) found.set(row.campaign_id, evidence = { value: 0, supporters: [] });
      evidence.value += adds / total;
      evidence.supporters.push({ user_id, adds, engagement: row });
    }
  }
  return found;
}

/** Those who added something to speak of, each counted once. There is at least one. */
export function countPeople({ supporters }: ConversationFeature): People {
  const most = Math.max(...supporters.map(({ adds }) => adds));
  const furthest = new Map<string, number>();
  for (const { user_id, adds, engagement } of supporters) {
    if (adds < MIN_SHARE * most) continue;
    furthest.set(user_id, Math.max(furthest.get(user_id) ?? 0, engagementWeight(engagement)));
  }
  const count = (step: number) => [...furthest.values()].filter((value) => value === step).length;
  return { converted: count(STEP.conversion), clicked: count(STEP.click), shown: count(STEP.impression) };
}
