import { DAY_MS, latestTime } from "../../core/clock.ts";
import type { Abortable } from "../../core/types.ts";
import type { IntentCount } from "../../stores/documents/port.ts";
import type { GraphStore, Target } from "../../stores/graph/port.ts";

/** The most campaigns that are queried; twice as many double the time of the query. */
const MAX_TARGETS = 300;
/** The age, compared with the user's newest intent, at which an intent counts half. */
const HALF_LIFE_DAYS = 30;

/** The user's intents that one campaign targets. */
export interface IntentFeature {
  /** With their shares of all that the user expressed. */
  readonly matched: { readonly intent: string; readonly share: number }[];
  /** Those shares added up, over the length of the vector of all the user's shares. */
  sum: number;
}

export async function findTargets(
  { graph, intents, signal }: {
    graph: Pick<GraphStore, "targeting">;
    intents: readonly string[];
  } & Abortable,
): Promise<Target[]> {
  return intents.length === 0 ? [] : await graph.targeting({ intents, limit: MAX_TARGETS, signal });
}

/**
 * Each intent's share of all that the user expressed, older ones damped; the shares add up to 1. An intent whose last time is
 * in the future counts like the newest of the others. `now` is epoch milliseconds.
 */
export function intentShares(intents: readonly IntentCount[], now: number): Map<string, number> {
  const latest = latestTime(now);
  const times = intents.map((row) => row.last <= latest ? Date.parse(row.last) : Infinity);
  const newest = Math.max(...times.filter(Number.isFinite));
  const weights = intents.map((row, i) => {
    const days = Math.max(0, newest - times[i]!) / DAY_MS;
    return row.count * 2 ** (-days / HALF_LIFE_DAYS);
  });
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return new Map(intents.map((row, i) => [row.intent, weights[i]! / total]));
}

/** Features of the campaigns that target any of the user's intents. */
export function intentFeatures(
  shares: ReadonlyMap<string, number>,
  targets: readonly Target[],
): Map<string, IntentFeature> {
  const length = Math.hypot(...shares.values());
  const features = new Map<string, IntentFeature>();
  for (const { campaign_id, intent } of targets) {
    const share = shares.get(intent);
    if (share === undefined) continue;
    const feature = features.get(campaign_id) ?? { matched: [], sum: 0 };
    feature.matched.push({ intent, share });
    feature.sum += share / length;
    features.set(campaign_id, feature);
  }
  return features;
}

/**
 * The cosine between the user's shares of intents and the campaign's targets, each counted alike, so that a campaign which
 * targets everything answers nothing in particular.
 */
export function intentValue({ matched, sum }: IntentFeature, targets: number): number {
  return Math.min(1, sum / Math.sqrt(Math.max(targets, matched.length, 1)));
}
