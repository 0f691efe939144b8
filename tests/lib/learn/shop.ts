import { SOURCES, type Sources } from "../../../lib/recommend/answer.ts";
import type { LearningQuery } from "../../../lib/learn/choose_ranker.ts";
import { logValue } from "../../../lib/recommend/score.ts";
import { campaign, random } from "../../fixtures/rows.ts";

/** What users of the shop want: popularity says little of it, and the earlier answers were ordered by popularity most. */
export const WANTED = { similar_conversations: 0.8, co_engagement: 0.5, popularity: 0.1 } as const;
const SHOWN_BY = { similar_conversations: 0.2, co_engagement: 0.1, popularity: 0.6 } as const;
const NOISE = 0.5;
const PLACES = 10;
const PRESENT = new Set(["similar_conversations", "co_engagement", "popularity"] as const);

type Weights = Readonly<Record<keyof typeof WANTED, number>>;
const NOTHING = Object.fromEntries(SOURCES.map((source) => [source, 0])) as unknown as Sources;

/** How often each place is looked at: the first always, the tenth in one of ten cases. */
export const EXAMINED = Array.from({ length: PLACES }, (_, at) => 1 / (1 + at));

interface ShopOptions {
  readonly queries: number;
  readonly seed: number;
  /** By place. */
  readonly examined: readonly number[];
  readonly held_out?: (user: number) => boolean;
}

/** Campaigns of the shop, which some users want more than others do. */
const CAMPAIGNS = Array.from({ length: 60 }, (_, n) => campaign({ campaign_id: `k${n}`, category: null }));

/**
 * Lists that users of a shop were shown, and what they chose: of the places that are looked at the campaign with the highest of
 * {@link WANTED} and chance (a softmax), by the position-based model. Four queries a user.
 */
export function shopQueries(
  { queries, seed, examined, held_out = () => false }: ShopOptions,
): LearningQuery[] {
  const next = random(seed);
  const made: LearningQuery[] = [];
  while (made.length < queries) {
    const list = Array.from({ length: PLACES }, () => CAMPAIGNS[Math.floor(next() * CAMPAIGNS.length)]!);
    if (new Set(list).size < PLACES) continue;
    const rows = list.map((campaign) => {
      const n = Number(campaign.campaign_id.slice(1));
      const sources = {
        ...NOTHING,
        similar_conversations: next() ** 2,
        co_engagement: next() ** 2,
        popularity: (n + 1) / CAMPAIGNS.length,
      };
      const shown_by = scoreBy(sources, SHOWN_BY) + NOISE * gumbel(next);
      return { campaign, sources, shown_by, wanted: Math.exp(2 * scoreBy(sources, WANTED)) };
    }).sort((a, b) => b.shown_by - a.shown_by);
    const best = Math.max(...rows.map(({ wanted }) => wanted));
    const chosen = rows.filter(({ wanted }, at) => next() < examined[at]! * wanted / best * 0.5);
    if (chosen.length === 0) continue;
    const user = Math.floor(made.length / 4);
    made.push({
      user_id: `user-${user}`,
      is_held_out: held_out(user),
      gains: new Map(chosen.map(({ campaign }) => [campaign.campaign_id, 1])),
      places: new Map(rows.map(({ campaign }, at) => [campaign.campaign_id, at + 1])),
      candidates: {
        present: PRESENT,
        candidates: rows.map(({ campaign, sources }) => ({ campaign, sources, features: { fatigue: 0 } })),
      },
    });
  }
  return made;
}

function scoreBy(sources: Sources, weights: Weights): number {
  return (Object.keys(weights) as (keyof Weights)[])
    .reduce((sum, source) => sum + weights[source] * logValue(sources[source]), 0);
}

function gumbel(next: () => number): number {
  return -Math.log(-Math.log(next() || 1e-9));
}

/** How far weights are from what users want: the root mean square of the differences in logarithm, after the best common factor. */
export function distance(weights: Sources): number {
  const logs = (Object.keys(WANTED) as (keyof Weights)[]).map((source) =>
    Math.log(weights[source] / WANTED[source])
  );
  const mean = logs.reduce((a, b) => a + b) / logs.length;
  return Math.sqrt(logs.reduce((sum, log) => sum + (log - mean) ** 2, 0) / logs.length);
}
