import { dot, logSumExp, type Matrix } from "../ml/matrix.ts";
import { vote } from "../ml/nearest_neighbours.ts";
import { whiten, type Whitening } from "../ml/whitening.ts";

/** What was learnt of examples, before it is calibrated. */
export interface LearntModel {
  readonly whitening: Whitening;
  /** As {@link fitLogistic} gives them. */
  readonly weights: Float64Array;
  /** Whitened, in order of class. */
  readonly examples: Matrix;
  /** Where each class begins in `examples`, and their number at the end. */
  readonly classOffsets: Int32Array;
}

/** What speaks for each intent, and for a text being in scope at all. */
export interface IntentScores {
  /** By class; a softmax of these over a temperature is the probabilities. */
  readonly logits: Float64Array;
  /** The logarithm of the best intent's share, and {@link PROXIMITY_SCALE} times how near the nearest examples are. */
  readonly oosFeatures: readonly [confidence: number, proximity: number];
}

/** Examples of so many intents, those best by regression, are looked at: of 77 it takes a seventh of the time. */
const SHORTLIST = 10;
/** Both signs then weigh about alike, on Banking77, in telling what is in scope; few examples need such a hint. */
const PROXIMITY_SCALE = 4;
/** What the votes are mixed with, so that an intent without any is not ruled out. */
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

/** Places of the highest scores, best first, ties by place. */
export function topClasses(scores: Float64Array, count: number): number[] {
  return Array.from(scores.keys()).sort((a, b) => scores[b]! - scores[a]! || a - b).slice(0, count);
}

/** Probabilities at a temperature. */
export function probabilitiesOf(logits: Float64Array, temperature: number): Float64Array {
  const scaled = logits.map((logit) => logit / temperature);
  const total = logSumExp(scaled);
  return scaled.map((logit) => Math.exp(logit - total));
}
