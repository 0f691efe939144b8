import { yieldToEventLoop } from "../core/abort.ts";
import type { Abortable } from "../core/types.ts";
import { minimise } from "./lbfgs.ts";

/** A list of items of which some were chosen. */
export interface List {
  /** One row of `d` features for each item. */
  readonly features: Float32Array;
  /** How much the choice of each item counts, 0 for one that was not chosen. */
  readonly gains: Float64Array;
}

interface ListwiseOptions {
  /** `d` weights above 0 that the learnt ones are drawn to. */
  readonly priors: Float64Array;
  /** By how much the logarithm of a weight is expected to differ from that of its prior, all weights times one factor: the less, the stronger the priors. */
  readonly deviation: number;
}

const MAX_ITERATIONS = 100;
const LISTS_PER_YIELD = 200;

/**
 * Weights above 0 by which the softmax over each list's weighted features gives chosen items the most likelihood (ListNet's top-one
 * cross entropy; Cao and others, ICML 2007), with a Gaussian penalty on how the logarithms of the weights differ from the priors'. The
 * scale of all weights together is not penalised, since a ranking does not depend on it. Equal input gives equal bits. O(lists × items × d)
 * for each of at most {@link MAX_ITERATIONS} steps.
 */
export async function fitListwise(
  lists: readonly List[],
  options: ListwiseOptions & Abortable,
): Promise<Float64Array> {
  const point = new Float64Array(options.priors.length + 1);
  await minimise((at, gradient) => listwiseLoss(lists, at, gradient, options), point, MAX_ITERATIONS);
  return weightsAt(point, options.priors);
}

/** The penalised loss, and its gradient. `point` has the logarithms of the ratios of weights to priors, and last that of the common scale. */
export async function listwiseLoss(
  lists: readonly List[],
  point: Float64Array,
  gradient: Float64Array,
  { priors, deviation, signal }: ListwiseOptions & Abortable,
): Promise<number> {
  const d = priors.length;
  const weights = weightsAt(point, priors);
  const byWeight = new Float64Array(d);
  let loss = 0;
  for (const [i, list] of lists.entries()) {
    loss += addList(list, weights, byWeight);
    if (i % LISTS_PER_YIELD === LISTS_PER_YIELD - 1) await yieldToEventLoop({ signal });
  }
  gradient.fill(0);
  for (let s = 0; s < d; s++) {
    const slope = byWeight[s]! * weights[s]!;
    gradient[s] = slope + point[s]! / deviation ** 2;
    gradient[d]! += slope;
    loss += point[s]! ** 2 / (2 * deviation ** 2);
  }
  return loss;
}

function weightsAt(point: Float64Array, priors: Float64Array): Float64Array {
  const scale = point[priors.length]!;
  return priors.map((prior, s) => prior * Math.exp(point[s]! + scale));
}

/** The cross entropy of one list, of which the gradient by the weights is added. */
function addList({ features, gains }: List, weights: Float64Array, gradient: Float64Array): number {
  const d = weights.length;
  const scores = new Float64Array(gains.length);
  let [best, total] = [-Infinity, 0];
  for (let i = 0, at = 0; i < gains.length; i++) {
    let score = 0;
    for (let s = 0; s < d; s++) score += weights[s]! * features[at++]!;
    scores[i] = score;
    if (score > best) best = score;
    total += gains[i]!;
  }
  if (total === 0) return 0;
  let sum = 0;
  for (let i = 0; i < gains.length; i++) sum += Math.exp(scores[i]! - best);
  let loss = total * (best + Math.log(sum));
  for (let i = 0, at = 0; i < gains.length; i++) {
    const residual = total * Math.exp(scores[i]! - best) / sum - gains[i]!;
    loss -= gains[i]! * scores[i]!;
    for (let s = 0; s < d; s++) gradient[s]! += residual * features[at++]!;
  }
  return loss;
}
