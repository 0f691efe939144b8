import type { Interval } from "../evaluate/bootstrap_mean.ts";
import { bootstrapMean } from "../evaluate/bootstrap_mean.ts";
import { fitWeights, listOf } from "../evaluate/fit_weights.ts";
import { scoreRanking } from "../evaluate/metrics.ts";
import { type CandidateSet, rankBy } from "../evaluate/rescore.ts";
import type { Abortable } from "../core/types.ts";
import type { Sources } from "../recommend/answer.ts";
import { WEIGHTS } from "../recommend/score.ts";
import { estimatePropensities, inversePropensity, type Propensities } from "./propensities.ts";
import type { Moment } from "./user_moments.ts";

/** A moment of a user with the candidates of an answer then, of which nothing was learnt from this user. */
export interface LearningQuery extends Pick<Moment, "gains" | "places"> {
  readonly user_id: string;
  /** Weights are compared by it, and not learnt. All queries of a user are, or none. */
  readonly is_held_out: boolean;
  /** What the user chose from, if that is known, else the candidates of an answer. */
  readonly candidates: CandidateSet;
}

/** With fewer queries that are held out, the fixed weights count. */
export const MIN_HELD_OUT = 500;
/** Of the bootstrap: the same queries give the same interval. */
const SEED = 1;

export interface ChosenRanker {
  /**
   * `adopted`: the learnt weights are not worse than those before; `held_back`: those before stay; `too_few`: there are too few queries to
   * compare any, and the fixed weights count.
   */
  readonly outcome: "adopted" | "held_back" | "too_few";
  readonly weights: Sources;
  /** Null with too few queries. */
  readonly learnt: Sources | null;
  /** NDCG@10 of the learnt weights less that of those before, on the held-out queries, with its paired 95 % interval; null if not compared. */
  readonly difference: Interval | null;
  readonly queries: { readonly training: number; readonly held_out: number };
  /** How often places are looked at, as estimated from the training queries; empty without known lists. */
  readonly propensities: Propensities;
}

/**
 * Learns weights from the queries that are not held out, and compares them with the `before` ones on those that are. They are taken if
 * the lower bound of the paired difference is 0 or more. A choice counts by its gain, times the inverse propensity of its place in lists that are known:
 * the same both in learning and in comparing.
 */
export async function chooseRanker(
  queries: readonly LearningQuery[],
  { before, signal }: { before: Sources } & Abortable,
): Promise<ChosenRanker> {
  const training = queries.filter(({ is_held_out }) => !is_held_out);
  const held_out = queries.filter(({ is_held_out }) => is_held_out);
  const counts = { training: training.length, held_out: held_out.length };
  if (held_out.length < MIN_HELD_OUT) {
    return tooFew(counts);
  }
  const propensities = await estimatePropensities(training, { signal });
  const learnt = await fitWeights(
    training.map(({ candidates, gains, places }) => {
      const total = [...gains.values()].reduce((a, b) => a + b);
      return listOf(candidates, (id) => {
        const gain = gains.get(id) ?? 0;
        return gain === 0 ? 0 : gain * inversePropensity(propensities, places?.get(id)) / total;
      });
    }),
    { signal },
  );
  const difference = compareWeights(held_out, { learnt, before, propensities });
  const isAdopted = difference.low >= 0;
  return {
    outcome: isAdopted ? "adopted" : "held_back",
    weights: isAdopted ? learnt : before,
    learnt,
    difference,
    queries: counts,
    propensities,
  };
}

/** Nothing is compared, and the fixed weights count. */
export function tooFew(queries: ChosenRanker["queries"]): ChosenRanker {
  const none = { weights: WEIGHTS, learnt: null, difference: null, propensities: [] };
  return { outcome: "too_few", ...none, queries };
}

/** The mean over queries, each by the mean inverse propensity of its choices. */
function compareWeights(
  queries: readonly LearningQuery[],
  { learnt, before, propensities }: { learnt: Sources; before: Sources; propensities: Propensities },
): Interval {
  const counts = queries.map(({ gains, places }) => {
    const all = Array.from(gains.keys(), (id) => inversePropensity(propensities, places?.get(id)));
    return all.reduce((a, b) => a + b) / all.length;
  });
  const mean = counts.reduce((a, b) => a + b) / counts.length;
  const differences = queries.map(({ candidates, gains }, i) => {
    const relevant = new Set(gains.keys());
    const ndcg = (weights: Sources) => scoreRanking(rankBy(candidates, weights, 10), relevant).ndcg_10;
    return (ndcg(learnt) - ndcg(before)) * counts[i]! / mean;
  });
  return bootstrapMean(differences, { groups: queries.map(({ user_id }) => user_id), seed: SEED });
}
