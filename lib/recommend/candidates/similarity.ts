import { dot } from "../../core/dot.ts";
import { compareText } from "../../core/text.ts";
import type { Abortable } from "../../core/types.ts";
import type { Hit, VectorStore } from "../../stores/vectors/port.ts";
import type { NewCampaigns } from "../catalogue_reader.ts";

/** The most campaigns that are searched for. */
const MAX_CAMPAIGNS = 64;
/** Standard deviations above the mean of the hits at which a campaign counts about half. */
const HALF_AT = 3;
/** {@link logistic} at their mean. */
const AT_MEAN = logistic(0);

/** The similarity of one campaign to the profile. */
export interface SimilarityFeature {
  /** 0..1. */
  readonly value: number;
  /** Rank among the hits, from 1. */
  readonly rank: number;
}

/** The campaigns nearest to a profile, best first. Of those that are newer than the index, their present vectors count. */
export async function findCampaigns(
  { store, version, vector, newCampaigns, signal }: {
    store: Pick<VectorStore, "search">;
    version: number;
    vector: Float32Array;
    newCampaigns: NewCampaigns;
  } & Abortable,
): Promise<Hit[]> {
  const hits = await store.search({ collection: "campaigns", version, vector, k: MAX_CAMPAIGNS, signal });
  if (newCampaigns.size === 0) return hits;
  const present = [...newCampaigns].flatMap(([id, other]) =>
    other === null ? [] : [{ id, score: dot(vector, other) }]
  );
  return [...hits.filter(({ id }) => !newCampaigns.has(id)), ...present]
    .sort((a, b) => b.score - a.score || compareText(a.id, b.id))
    .slice(0, MAX_CAMPAIGNS);
}

/**
 * How much a campaign stands out among the hits: 0 at their mean and below it. Cosines of one model are in a narrow band
 * (unrelated dialogue lines average .55 with the default one), so only their differences matter, and the nearest of many equal
 * hits is no match.
 */
export function similarityFeatures(hits: readonly Hit[]): Map<string, SimilarityFeature> {
  const mean = hits.reduce((sum, { score }) => sum + score, 0) / hits.length;
  const deviation = Math.sqrt(hits.reduce((sum, { score }) => sum + (score - mean) ** 2, 0) / hits.length);
  return new Map(hits.map(({ id, score }, i) => {
    const z = deviation < 1e-6 ? 0 : (score - mean) / deviation;
    return [id, { value: Math.max(0, (logistic(z) - AT_MEAN) / (1 - AT_MEAN)), rank: i + 1 }];
  }));
}

function logistic(deviations: number): number {
  return 1 / (1 + Math.exp(HALF_AT - deviations));
}
