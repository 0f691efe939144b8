import { shuffle } from "../core/random.ts";
import type { Ranked } from "./score.ts";

/** A campaign that was shown fewer times in all is uncertain: its rate may be much higher than it looks. */
export const MAX_IMPRESSIONS = 200;
/** Uncertain campaigns that a version lists, those with fewest impressions. */
export const MAX_UNCERTAIN = 1_000;
/** Of them, those that are compared for one page. */
const DRAWN = 40;
/** A shorter page has no slot to spare. */
const MIN_K = 4;

/** How many slots of a page of `k` are explored: on average the given share of them. `random` gives numbers 0 ≤ x < 1. */
export function exploredSlots(k: number, share: number, random: () => number): number {
  return k < MIN_K ? 0 : Math.floor(share * k + random());
}

/** Some of the uncertain campaigns, by chance. */
export function drawUncertain(campaign_ids: readonly string[], random: () => number): string[] {
  return shuffle(campaign_ids, random).slice(0, DRAWN);
}

/**
 * Puts `slots` uncertain campaigns into a page, in its second half, in place of its last ones. They are those for whom a rate of
 * clicks drawn from what is known of it, times the score for this user, is best (Thompson sampling; Chapelle and Li, NIPS 2011): the less
 * often a campaign was shown, the more its drawn rate varies, so all are tried and the bad ones soon are not.
 */
export function withExplored(
  page: readonly Ranked[],
  uncertain: readonly Ranked[],
  { slots, random }: { slots: number; random: () => number },
): Ranked[] {
  const has = new Set(page.map(({ campaign }) => campaign.campaign_id));
  const explored = uncertain
    .filter(({ campaign, stats }) => !has.has(campaign.campaign_id) && stats.impressions < MAX_IMPRESSIONS)
    .map((ranked) => ({ ranked, value: drawnRate(ranked, random) * ranked.score }))
    .sort((a, b) => b.value - a.value)
    .slice(0, slots)
    .map(({ ranked }): Ranked => ({ ...ranked, explored: true }));
  const result = page.slice(0, page.length - explored.length);
  for (const ranked of explored) {
    const half = Math.ceil(result.length / 2);
    result.splice(half + Math.floor(random() * (result.length - half + 1)), 0, ranked);
  }
  return result;
}

/**
 * A rate of clicks from the Beta distribution that follows from a uniform prior and the events. Of n uniform numbers the a-th
 * smallest has the distribution Beta(a, n + 1 − a); they are drawn in ascending order, each as the least of those left, so that
 * it takes as many steps as there are clicks.
 */
function drawnRate({ stats: { impressions, clicks } }: Ranked, random: () => number): number {
  let rate = 0;
  for (let left = impressions + 1; left > impressions - Math.min(clicks, impressions); left--) {
    rate += (1 - rate) * (1 - random() ** (1 / left));
  }
  return rate;
}
