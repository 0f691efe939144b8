import { DAY_MS, latestTime } from "../core/clock.ts";
import type { Engagement } from "../stores/analytics/port.ts";
import type { IntentCount } from "../stores/documents/port.ts";
import type { Target } from "../stores/graph/port.ts";
import type { Hit } from "../stores/vectors/port.ts";
import type { Connections, Neighbours } from "./candidates.ts";

/** What speaks for one campaign before it is weighed. */
export interface Evidence {
  readonly campaign_id: string;
  /** Sum over similar users of how alike they are, squared, times what they did with it; below 0 for dismissals. */
  similar_users: number;
  /** The most alike of these users, by the furthest that each of them went with it. */
  converted: number;
  clicked: number;
  shown: number;
  /** The user's intents that it targets, and their shares, which over all of a user's intents add up to 1. */
  readonly intents: { readonly intent: string; readonly share: number }[];
  /** Those shares summed, over the length of the vector of all the user's shares. */
  intent: number;
  /** Nearness to the user's profile, 0..1 within the campaigns found near; 0 for others. */
  similarity: number;
  /** Place among those, from 1; null for others. */
  similarity_rank: number | null;
}

/** What one step of engagement says. A conversion says more than a click, and the second of a kind less than the first. */
const GAIN = Object.freeze({ conversion: 3, click: 1, impression: 0.05, dismissal: -1 });

/**
 * From this {@link spread} on, a user is said to talk like the asking one. Where there are few users, even strangers are
 * among the nearest; squared, they hardly count, and no reason rests on them.
 */
const ALIKE = 0.5;

/** An intent last expressed so many days before the user's newest one counts half. */
const INTENT_HALF_LIFE_DAYS = 30;

/**
 * Similarities spread over 0..1 within one list of n neighbours: the best is 1, the last 1/n, as if one more stood a mean
 * gap below it at 0. Cosines of one model crowd in a narrow band (unrelated dialogue lines average .55 with the default
 * one), so only their differences say something.
 */
export function spread(hits: readonly Hit[]): number[] {
  const top = hits[0]?.score ?? 0;
  const last = hits.at(-1)?.score ?? 0;
  if (top === last) return hits.map(() => 1);
  const gap = (top - last) / (hits.length - 1);
  return hits.map((hit) => (hit.score - last + gap) / (top - last + gap));
}

/** How much one user's dealings with one campaign speak for it. */
export function gain(e: Omit<Engagement, "user_id" | "campaign_id" | "last">): number {
  return GAIN.conversion * Math.log2(1 + e.conversions) + GAIN.click * Math.log2(1 + e.clicks) +
    GAIN.impression * Math.log2(1 + e.impressions) + GAIN.dismissal * Math.log2(1 + e.dismissals);
}

/**
 * Each intent's share of all that the user expressed, older ones damped; the shares add up to 1. One last expressed at a
 * time that cannot have come yet counts like the newest of the others. `now` is epoch milliseconds.
 */
export function intentShares(intents: readonly IntentCount[], now: number): Map<string, number> {
  const latest = latestTime(now);
  const times = intents.map((one) => one.last <= latest ? Date.parse(one.last) : Infinity);
  const newest = Math.max(...times.filter(Number.isFinite));
  const weights = intents.map((one, i) => {
    const days = Math.max(0, newest - times[i]!) / DAY_MS;
    return one.count * 2 ** (-days / INTENT_HALF_LIFE_DAYS);
  });
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return new Map(intents.map((one, i) => [one.intent, weights[i]! / total]));
}

/** One campaign's evidence each, for every campaign that any neighbour, intent or similarity points to. */
export function collect(o: Neighbours & Omit<Connections, "asked"> & { now: number }): Map<string, Evidence> {
  const found = new Map<string, Evidence>();
  addEngagement(found, o.users, o.engaged);
  addIntents(found, intentShares(o.intents, o.now), o.targets);
  addSimilarity(found, o.campaigns);
  return found;
}

/** The campaign's evidence, blank at first. */
export function evidenceFor(found: Map<string, Evidence>, campaign_id: string): Evidence {
  let evidence = found.get(campaign_id);
  if (evidence === undefined) {
    evidence = {
      campaign_id,
      similar_users: 0,
      converted: 0,
      clicked: 0,
      shown: 0,
      intents: [],
      intent: 0,
      similarity: 0,
      similarity_rank: null,
    };
    found.set(campaign_id, evidence);
  }
  return evidence;
}

function addEngagement(
  found: Map<string, Evidence>,
  users: readonly Hit[],
  engaged: readonly Engagement[],
): void {
  const alike = spread(users);
  const weights = new Map(users.map((user, i) => [user.id, alike[i]!]));
  for (const engagement of engaged) {
    const weight = weights.get(engagement.user_id);
    if (weight === undefined) continue;
    const evidence = evidenceFor(found, engagement.campaign_id);
    const worth = gain(engagement);
    evidence.similar_users += weight ** 2 * worth;
    if (worth > 0 && weight >= ALIKE) countUser(evidence, engagement);
  }
}

function countUser(evidence: Evidence, engagement: Engagement): void {
  if (engagement.conversions > 0) evidence.converted++;
  else if (engagement.clicks > 0) evidence.clicked++;
  else evidence.shown++;
}

function addIntents(
  found: Map<string, Evidence>,
  shares: ReadonlyMap<string, number>,
  targets: readonly Target[],
): void {
  const length = Math.hypot(...shares.values());
  for (const { campaign_id, intent } of targets) {
    const share = shares.get(intent);
    if (share === undefined) continue;
    const evidence = evidenceFor(found, campaign_id);
    evidence.intents.push({ intent, share });
    evidence.intent += share / length;
  }
}

function addSimilarity(found: Map<string, Evidence>, campaigns: readonly Hit[]): void {
  const near = spread(campaigns);
  campaigns.forEach((hit, i) => {
    const evidence = evidenceFor(found, hit.id);
    evidence.similarity = near[i]!;
    evidence.similarity_rank = i + 1;
  });
}
