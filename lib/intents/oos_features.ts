import { dot, logSumExp, type Matrix } from "../ml/matrix.ts";
import { vote } from "../ml/nearest_neighbours.ts";
import { whiten, type Whitening } from "../ml/whitening.ts";

/** A fit without its calibration. */
export interface LearntModel {
  readonly whitening: Whitening;
  /** As {@link fitLogistic} returns them. */
  readonly weights: Float64Array;
  /** Whitened, in order of class. */
  readonly examples: Matrix;
  /** The index at which each class begins in `examples`, and their number at the end. */
  readonly classOffsets: Int32Array;
}

/** Scores of the intents, and features of being in scope. */
export interface IntentScores {
  /** By class; a softmax of these over a temperature is the probabilities. */
  readonly logits: Float64Array;
  /** The logarithm of the best intent's share, and {@link PROXIMITY_SCALE} times how near the nearest examples are. */
  readonly oosFeatures: readonly [confidence: number, proximity: number];
}

/**
 * Neighbours are searched among the examples of so many intents, the best by regression: with 77 intents that takes a seventh
 * of the time.
 */
const SHORTLIST = 10;
/** Makes both features about equally important on Banking77; with few examples their weights cannot be learnt well. */
const PROXIMITY_SCALE = 4;
/** Mixed into the votes, so that an intent without votes is not excluded. */
const SMOOTHING = 0.1;

/**
 * Logistic regression and the vote of the nearest examples, multiplied half and half: they err on different texts, and
 * the product is right more often than either.
 */
export function scoreIntents(learnt: LearntModel, vector: Float32Array): IntentScores {
  const { whitening, weights, examples, classOffsets } = learnt;
  const count = classOffsets.length - 1;
  const d = examples.dimension;
  const x = whiten(whitening, Float64Array.from(vector));
  const scores = new Float64Array(count);
  for (let k = 0; k < count; k++) {
    scores[k] = dot(weights, k * (d + 1), x, 0, d) + weights[k * (d + 1) + d]!;
  }
  const { shares, nearness } = vote(x, examples, classOffsets, topClasses(scores, SHORTLIST));
  const total = logSumExp(scores);
  const logits = scores.map((score, k) =>
    (score - total + Math.log((1 - SMOOTHING) * shares[k]! + SMOOTHING / count)) / 2
  );
  return { logits, oosFeatures: [Math.max(...logits) - logSumExp(logits), PROXIMITY_SCALE * nearness] };
}

/** Classes with the highest scores, best first, ties by class. */
export function topClasses(scores: Float64Array, count: number): number[] {
  return Array.from(scores.keys()).sort((a, b) => scores[b]! - scores[a]! || a - b).slice(0, count);
}

/** Probabilities at a temperature. */
export function probabilitiesOf(logits: Float64Array, temperature: number): Float64Array {
  const scaled = logits.map((logit) => logit / temperature);
  const total = logSumExp(scaled);
  return scaled.map((logit) => Math.exp(logit - total));
}
