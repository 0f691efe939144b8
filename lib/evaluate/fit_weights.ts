import type { Abortable } from "../core/types.ts";
import { fitListwise, type List } from "../ml/listwise_softmax.ts";
import { type Source, SOURCES, type Sources } from "../recommend/answer.ts";
import { logValue, WEIGHTS } from "../recommend/score.ts";
import type { CandidateSet } from "./rescore.ts";

/** By which factor a learnt weight is expected to differ from the fixed one, as a natural logarithm; chosen by cross-validation. */
export const DEVIATION = 2;
/** {@link WEIGHTS} in the order of {@link SOURCES}, which is that of features. */
export const PRIORS = Float64Array.from(SOURCES, (source) => WEIGHTS[source]);

/**
 * The candidates of an answer as a list to fit weights to. A candidate's features by any weights give the logarithm of its score, times
 * the sum of the weights of sources that contribute: the others are masked, and what fatigue takes is taken.
 */
export function listOf(
  { present, candidates }: CandidateSet,
  gainOf: (campaign_id: string) => number,
): List {
  const features: number[] = [];
  const gains: number[] = [];
  for (const { campaign, sources, features: { fatigue } } of candidates) {
    const freshness = Math.log(1 - fatigue);
    for (const source of SOURCES) {
      features.push(present.has(source) ? logValue(sources[source]) + freshness : 0);
    }
    gains.push(gainOf(campaign.campaign_id));
  }
  return { features: Float32Array.from(features), gains: Float64Array.from(gains) };
}

/** Weights above 0 that add up to as much as {@link WEIGHTS}, to which they are drawn: see {@link fitListwise}. */
export async function fitWeights(lists: readonly List[], { signal }: Abortable = {}): Promise<Sources> {
  const learnt = await fitListwise(lists, { priors: PRIORS, deviation: DEVIATION, signal });
  const sum = (weights: Float64Array) => weights.reduce((a, b) => a + b);
  const scale = sum(PRIORS) / sum(learnt);
  return Object.fromEntries(SOURCES.map((source, s) => [source, scale * learnt[s]!])) as Record<
    Source,
    number
  >;
}
