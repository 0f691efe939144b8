import { minimise } from "./lbfgs.ts";
import { dot, logSumExp, type Matrix, yieldIfDue } from "./matrix.ts";

/** Unit vectors are made this long first, for which the penalty below is right. */
const SCALE = 10;
/** Chosen on Banking77 between accuracy with all examples and with five per intent, and the detection of out of scope. */
const PENALTY = 1e-3;
/** More iterations do not improve accuracy. */
const ITERATIONS = 20;
/** Rows that are added to the gradient together, which takes a quarter of the time of one by one. */
const ROW_BLOCK = 4;

/**
 * Fits multinomial logistic regression with an L2 penalty on unit vectors: `weights` are, for each class in turn, a
 * weight a dimension and then the bias.
 */
export async function fitLogistic(
  rows: Matrix,
  classes: Int32Array,
  count: number,
  { signal, onProgress = () => {} }: {
    signal?: AbortSignal | undefined;
    onProgress?: ((share: number) => void) | undefined;
  } = {},
): Promise<Float64Array> {
  const width = rows.dimension + 1;
  const weights = new Float64Array(count * width);
  let losses = 0;
  const objective = (point: Float64Array, gradient: Float64Array) => {
    onProgress(Math.min(1, losses++ / (ITERATIONS + 1)));
    return logisticLoss(rows, classes, point, gradient, signal);
  };
  await minimise(objective, weights, ITERATIONS);
  return weights.map((weight, i) => i % width === rows.dimension ? weight : weight * SCALE);
}

/** The mean negative log likelihood of weights with its penalty. Fills in its gradient. */
export async function logisticLoss(
  rows: Matrix,
  classes: Int32Array,
  weights: Float64Array,
  gradient: Float64Array,
  signal?: AbortSignal,
): Promise<number> {
  const d = rows.dimension;
  const count = weights.length / (d + 1);
  const errors = Array.from({ length: ROW_BLOCK }, () => new Float64Array(count));
  const penalise = (i: number) => i % (d + 1) === d ? 0 : PENALTY * weights[i]!;
  let value = 0;
  for (let i = 0; i < weights.length; i++) {
    gradient[i] = penalise(i);
    value += penalise(i) * weights[i]! / 2;
  }
  for (let from = 0; from < rows.rows; from += ROW_BLOCK) {
    await yieldIfDue(signal);
    const to = Math.min(from + ROW_BLOCK, rows.rows);
    for (let n = from; n < to; n++) value += errorsOf(rows, n, classes[n]!, weights, errors[n - from]!);
    addRows(gradient, errors, rows, from, to);
  }
  return value;
}

/** Fills in by how much the probability of each class is too high; returns the row's share of the loss. */
function errorsOf(rows: Matrix, n: number, own: number, weights: Float64Array, errors: Float64Array): number {
  const d = rows.dimension;
  for (let k = 0; k < errors.length; k++) {
    const at = k * (d + 1);
    errors[k] = SCALE * dot(rows.data, n * d, weights, at, d) + weights[at + d]!;
  }
  const total = logSumExp(errors);
  const lost = total - errors[own]!;
  for (let k = 0; k < errors.length; k++) {
    errors[k] = (Math.exp(errors[k]! - total) - (k === own ? 1 : 0)) / rows.rows;
  }
  return lost / rows.rows;
}

function addRows(
  gradient: Float64Array,
  errors: readonly Float64Array[],
  rows: Matrix,
  from: number,
  to: number,
): void {
  const { data, dimension: d } = rows;
  // If fewer rows are left, the last one fills up the block, with weight 0.
  const start = (i: number) => Math.min(from + i, to - 1) * d;
  const error = (i: number, k: number) => from + i < to ? errors[i]![k]! : 0;
  const [a, b, c, e] = [start(0), start(1), start(2), start(3)];
  for (let k = 0; k < errors[0]!.length; k++) {
    const [p, q, r, s] = [error(0, k), error(1, k), error(2, k), error(3, k)];
    const at = k * (d + 1);
    for (let i = 0; i < d; i++) {
      gradient[at + i]! += SCALE *
        (p * data[a + i]! + q * data[b + i]! + r * data[c + i]! + s * data[e + i]!);
    }
    gradient[at + d]! += p + q + r + s;
  }
}
