import { DAY_MS, latestTime } from "../../core/clock.ts";
import type { Abortable } from "../../core/types.ts";
import type { IntentCount } from "../../stores/documents/port.ts";
import type { GraphStore, Target } from "../../stores/graph/port.ts";

/** Campaigns that are asked for at most; twice as many double the time of the question. */
const MAX_TARGETS = 300;
/** An intent last expressed so many days before the user's newest one counts half. */
const HALF_LIFE_DAYS = 30;

/** The user's intents that one campaign targets. */
export interface IntentFeature {
  /** With their shares of all that the user expressed. */
  readonly matched: { readonly intent: string; readonly share: number }[];
  /** Those shares added up, over the length of the vector of all the user's shares. */
  sum: number;
}

/** Campaigns that target any of these intents. */
export async function findTargets(
  { graph, intents, signal }: {
    graph: Pick<GraphStore, "targeting">;
    intents: readonly string[];
  } & Abortable,
): Promise<Target[]> {
  return intents.length === 0 ? [] : await graph.targeting({ intents, limit: MAX_TARGETS, signal });
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
    return one.count * 2 ** (-days / HALF_LIFE_DAYS);
  });
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return new Map(intents.map((one, i) => [one.intent, weights[i]! / total]));
}

/** What the user's intents say of each campaign that targets any of them. */
export function intentFeatures(
  shares: ReadonlyMap<string, number>,
  targets: readonly Target[],
): Map<string, IntentFeature> {
  const length = Math.hypot(...shares.values());
  const found = new Map<string, IntentFeature>();
  for (const { campaign_id, intent } of targets) {
    const share = shares.get(intent);
    if (share === undefined) continue;
    const evidence = found.get(campaign_id) ?? { matched: [], sum: 0 };
    evidence.matched.push({ intent, share });
    evidence.sum += share / length;
    found.set(campaign_id, evidence);
  }
  return found;
}

/**
 * The cosine between the user's shares of intents and the campaign's targets, each counted alike, so that a campaign which
 * targets everything answers nothing in particular.
 */
export function intentValue({ matched, sum }: IntentFeature, targets: number): number {
  return Math.min(1, sum / Math.sqrt(Math.max(targets, matched.length, 1)));
}
