import { compareText } from "../core/text.ts";
import type { Source, Sources } from "./answer.ts";
import { SOURCES } from "./answer.ts";
import type { Row } from "./candidates.ts";
import type { Evidence } from "./evidence.ts";

/**
 * How much each source counts. Set by hand: what alike users did says most, what the user asked for and talks about
 * comes next, and popularity settles what is left. To be learnt from held-out engagement.
 */
export const WEIGHTS: Sources = Object.freeze({
  similar_users: 0.4,
  intent: 0.25,
  similarity: 0.2,
  popularity: 0.15,
});

/** A campaign with what speaks for it, weighed. */
export interface Ranked extends Row {
  readonly evidence: Evidence;
  readonly sources: Sources;
  /** 0..1, four decimals. */
  readonly score: number;
}

/** What evidence is measured by for one user. */
export interface Measure {
  /** The strongest `similar_users` among all candidates. */
  readonly best: number;
  /** {@link WEIGHTS} over the sources that say anything for this user, adding up to 1. */
  readonly weights: Sources;
}

/** The measure for one user's candidates. Popularity always counts, so that its weight is 1 where nothing else does. */
export function measure(found: Iterable<Evidence>): Measure {
  const most = { similar_users: 0, intent: 0, similarity: 0, popularity: 1 };
  for (const evidence of found) {
    most.similar_users = Math.max(most.similar_users, evidence.similar_users);
    most.intent = Math.max(most.intent, evidence.intent);
    most.similarity = Math.max(most.similarity, evidence.similarity);
  }
  const total = SOURCES.reduce((sum, source) => sum + (most[source] > 0 ? WEIGHTS[source] : 0), 0);
  const weights = bySource((source) => most[source] > 0 ? WEIGHTS[source] / total : 0);
  return { best: most.similar_users, weights };
}

/**
 * Evidence by source, each scaled to 0..1. `intent` is the cosine between the user's shares of intents and the campaign's
 * targets (each counted alike), so that a campaign which targets everything answers nothing in particular.
 */
export function sourcesOf(
  evidence: Evidence,
  o: { best: number; targets: number; popularity: number },
): Sources {
  const targets = Math.max(o.targets, evidence.intents.length, 1);
  return {
    similar_users: o.best > 0 ? round(Math.max(0, evidence.similar_users / o.best)) : 0,
    intent: round(Math.min(1, evidence.intent / Math.sqrt(targets))),
    similarity: round(evidence.similarity),
    popularity: round(o.popularity),
  };
}

/** The sources' weighted sum, four decimals. */
export function blend(sources: Sources, weights: Sources): number {
  return round(SOURCES.reduce((sum, source) => sum + weights[source] * sources[source], 0));
}

/**
 * Candidates by what is known before their rows are read, best first: targets are taken to be those that matched, and
 * `popularity` holds what is known of it.
 */
export function shortlist(
  found: Iterable<Evidence>,
  o: { measure: Measure; popularity: ReadonlyMap<string, number> },
): string[] {
  const { best, weights } = o.measure;
  const scored = Array.from(found, (evidence) => {
    const popularity = o.popularity.get(evidence.campaign_id) ?? 0;
    const sources = sourcesOf(evidence, { best, targets: evidence.intents.length, popularity });
    return { id: evidence.campaign_id, score: blend(sources, weights) };
  });
  return scored.sort((a, b) => b.score - a.score || compareText(a.id, b.id)).map((one) => one.id);
}

/** Rows weighed, best first, ties by id. */
export function rank(
  rows: readonly Row[],
  o: { measure: Measure; found: ReadonlyMap<string, Evidence> },
): Ranked[] {
  const { best, weights } = o.measure;
  const ranked = rows.flatMap((row) => {
    const evidence = o.found.get(row.campaign.campaign_id);
    if (evidence === undefined) return [];
    const targets = row.campaign.intents.length;
    const sources = sourcesOf(evidence, { best, targets, popularity: row.stats.popularity });
    return [{ ...row, evidence, sources, score: blend(sources, weights) }];
  });
  return ranked.sort((a, b) =>
    b.score - a.score || compareText(a.campaign.campaign_id, b.campaign.campaign_id)
  );
}

function round(value: number): number {
  return Math.round(value * 10_000) / 10_000;
}

function bySource(value: (source: Source) => number): Sources {
  return {
    similar_users: value("similar_users"),
    intent: value("intent"),
    similarity: value("similarity"),
    popularity: value("popularity"),
  };
}
