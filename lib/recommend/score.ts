import { round } from "../core/round.ts";
import { compareText } from "../core/text.ts";
import { type Source, SOURCES, type Sources } from "./answer.ts";
import { intentValue } from "./candidates/intents.ts";
import type { Features } from "./features.ts";
import type { CampaignRow } from "./showable.ts";

/**
 * How much each source counts if the data version has no weights of its own. Chosen by cross-validation on dialogues about films (conversations in meaning and wording) and on
 * ratings (co-engagement against popularity); mentions, intents and, for campaigns without engagement, similarity by judgement.
 */
export const WEIGHTS: Sources = Object.freeze({
  mention: 1,
  similar_conversations: 0.6,
  wording: 0.3,
  co_engagement: 0.25,
  intent: 0.3,
  similarity: 0.05,
  popularity: 0.02,
});

/** Added to each source, so that a campaign which a source does not know is ranked lower and not excluded. */
const EPSILON = 0.01;

export interface Scored extends Pick<CampaignRow, "campaign"> {
  /** 0..1. */
  readonly score: number;
}

export interface Ranked extends CampaignRow, Scored {
  readonly features: Features;
  readonly sources: Sources;
  /** Shown to find out how good it is. */
  readonly explored?: true;
}

/**
 * The version's weights over the sources that contribute for this user, adding up to 1, and 0 for others. Popularity always
 * counts, so its weight is 1 if nothing else does.
 */
export function weightsFor(candidates: Iterable<Features>, weights: Sources): Sources {
  return normalizeWeights(weights, presentSources(candidates));
}

/** The sources that contribute for a user with these candidates. */
export function presentSources(candidates: Iterable<Features>): Set<Source> {
  const present = new Set<Source>(["popularity"]);
  for (const features of candidates) {
    if (features.similar_conversations !== undefined) present.add("similar_conversations");
    if (features.wording !== undefined) present.add("wording");
    if (features.mention) present.add("mention");
    if (features.co_engagement > 0) present.add("co_engagement");
    if (features.intent !== undefined) present.add("intent");
    if ((features.similarity?.value ?? 0) > 0) present.add("similarity");
  }
  return present;
}

/** Weights over these sources alone, adding up to 1; all 0 if none of them has a weight. */
export function normalizeWeights(weights: Sources, present: ReadonlySet<Source>): Sources {
  const total = [...present].reduce((sum, source) => sum + weights[source], 0);
  return bySource((source) => total > 0 && present.has(source) ? weights[source] / total : 0);
}

/** Each source's value, 0..1. `targets` is how many intents the campaign targets. */
export function featureScores(
  features: Features,
  { targets, popularity }: { targets: number; popularity: number },
): Sources {
  const { mention, similar_conversations, wording, co_engagement, intent, similarity } = features;
  return {
    mention: mention ? 1 : 0,
    similar_conversations: round(similar_conversations?.value ?? 0),
    wording: round(wording?.value ?? 0),
    co_engagement: round(co_engagement),
    intent: intent === undefined ? 0 : round(intentValue(intent, targets)),
    similarity: round(similarity?.value ?? 0),
    popularity: round(popularity),
  };
}

/**
 * The weighted geometric mean of (value + ε) / (1 + ε), less the share of it that fatigue takes, 0..1. Unlike a sum it asks the sources
 * to agree, and a source that varies little between candidates changes little.
 */
export function scoreOf(sources: Sources, weights: Sources, { fatigue }: Pick<Features, "fatigue">): number {
  let log = 0;
  for (const source of SOURCES) {
    if (weights[source] > 0) log += weights[source] * logValue(sources[source]);
  }
  return Math.exp(log) * (1 - fatigue);
}

/** What a source with this value adds to the logarithm of a score by each unit of its weight: 0 or less. */
export function logValue(value: number): number {
  return Math.log((value + EPSILON) / (1 + EPSILON));
}

/** How much a source adds to the logarithm of the score, compared with a value of 0: 0 or more. */
export function contribution(source: Source, sources: Sources, weights: Sources): number {
  return weights[source] * Math.log((sources[source] + EPSILON) / EPSILON);
}

/** The source that adds most to these items together; null without items. */
export function leadingSource(items: readonly Pick<Ranked, "sources">[], weights: Sources): Source | null {
  if (items.length === 0) return null;
  const adds = bySource((source) =>
    items.reduce((sum, { sources }) => sum + contribution(source, sources, weights), 0)
  );
  return SOURCES.reduce<Source>((best, source) => adds[source] > adds[best] ? source : best, "popularity");
}

/**
 * Candidates by the best score that they can have by what is known before their rows are read, best first: targets are taken to be those
 * that matched, and popularity, if it is not known, to be `elsewhere`.
 */
export function shortlist(
  candidates: Iterable<Features>,
  options: { weights: Sources; popularity: ReadonlyMap<string, number>; default_popularity: number },
): string[] {
  const scored = Array.from(candidates, (features) => {
    const { campaign_id: id } = features;
    const popularity = options.popularity.get(id) ?? options.default_popularity;
    return {
      id,
      score: scoreOf(featureScores(features, { targets: 0, popularity }), options.weights, features),
    };
  });
  return scored.sort((a, b) => b.score - a.score || compareText(a.id, b.id)).map(({ id }) => id);
}

/** Rows with their scores, best first, ties by id. Each must be of a candidate. */
export function rank(
  rows: readonly CampaignRow[],
  options: { weights: Sources; featuresOf: (campaign_id: string) => Features },
): Ranked[] {
  const ranked = rows.map((row) => {
    const features = options.featuresOf(row.campaign.campaign_id);
    const { popularity } = row.stats;
    const sources = featureScores(features, { targets: row.campaign.intents.length, popularity });
    return { ...row, features, sources, score: scoreOf(sources, options.weights, features) };
  });
  return ranked.sort(byScore);
}

/** Best first, ties by id. */
export function byScore(a: Scored, b: Scored): number {
  return b.score - a.score || compareText(a.campaign.campaign_id, b.campaign.campaign_id);
}

function bySource(value: (source: Source) => number): Sources {
  return Object.fromEntries(SOURCES.map((source) => [source, value(source)])) as unknown as Sources;
}
