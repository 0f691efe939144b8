import { dot, type Matrix, matrixOf, rowOf, yieldIfDue } from "./matrix.ts";

/** The share of the scatter within intents that is assumed equal in every direction; `deno task bench intents` tries some. */
const SHRINKAGE = 0.8;
/** The most rows from which the scatter is estimated, evenly spaced. */
const SCATTER_ROWS = 4_096;
/** Keeps the scatter of identical examples above zero. */
const MIN_SCATTER = 1e-6;

/**
 * A map that subtracts the mean and makes the scatter within intents spherical, as in linear discriminant analysis, so that the
 * wording of an intent counts for less. `factor` is the lower triangle, row by row, of the Cholesky factor L of the shrunk
 * scatter: x becomes the unit vector along L⁻¹(x − mean).
 */
export interface Whitening {
  readonly mean: Float64Array;
  readonly factor: Float64Array;
}

/** `classes` says which intent each row is an example of. */
export async function fitWhitening(
  rows: Matrix,
  classes: Int32Array,
  { shrinkage = SHRINKAGE, signal }: { shrinkage?: number; signal?: AbortSignal | undefined } = {},
): Promise<Whitening> {
  const mean = meanOf(rows, () => 0, 1)[0]!;
  const centres = meanOf(rows, (n) => classes[n]!, (classes.at(-1) ?? 0) + 1);
  const scatter = await scatterOf(rows, classes, centres, signal);
  shrink(scatter, rows.dimension, shrinkage);
  return { mean, factor: await cholesky(scatter, rows.dimension, signal) };
}

function meanOf(rows: Matrix, group: (n: number) => number, groups: number): Float64Array[] {
  const sums = Array.from({ length: groups }, () => new Float64Array(rows.dimension));
  const counts = new Int32Array(groups);
  for (let n = 0; n < rows.rows; n++) {
    const sum = sums[group(n)]!;
    counts[group(n)]!++;
    for (let i = 0; i < sum.length; i++) sum[i]! += rows.data[n * rows.dimension + i]!;
  }
  return sums.map((sum, g) => sum.map((value) => value / Math.max(1, counts[g]!)));
}

/** The lower triangle of the covariance within classes, row by row. */
async function scatterOf(
  rows: Matrix,
  classes: Int32Array,
  centres: readonly Float64Array[],
  signal: AbortSignal | undefined,
): Promise<Float64Array> {
  const d = rows.dimension;
  const scatter = new Float64Array(d * (d + 1) / 2);
  const stride = Math.max(1, rows.rows / SCATTER_ROWS);
  const deviation = new Float64Array(d);
  let used = 0;
  for (let at = 0; at < rows.rows; at += stride, used++) {
    const n = Math.floor(at);
    const centre = centres[classes[n]!]!;
    for (let i = 0; i < d; i++) deviation[i] = rows.data[n * d + i]! - centre[i]!;
    for (let i = 0, k = 0; i < d; i++) {
      const by = deviation[i]!;
      for (let j = 0; j <= i; j++, k++) scatter[k]! += by * deviation[j]!;
    }
    await yieldIfDue(signal);
  }
  return scatter.map((value) => value / Math.max(1, used));
}

function shrink(scatter: Float64Array, d: number, shrinkage: number): void {
  let trace = 0;
  for (let i = 0; i < d; i++) trace += scatter[diagonal(i)]!;
  for (let k = 0; k < scatter.length; k++) scatter[k]! *= 1 - shrinkage;
  const ridge = Math.max(shrinkage * trace / d, MIN_SCATTER);
  for (let i = 0; i < d; i++) scatter[diagonal(i)]! += ridge;
}

/** Of a positive definite matrix; both are lower triangles, row by row. */
export async function cholesky(matrix: Float64Array, d: number, signal?: AbortSignal): Promise<Float64Array> {
  const factor = new Float64Array(matrix.length);
  for (let i = 0; i < d; i++) {
    await yieldIfDue(signal);
    const row = start(i);
    for (let j = 0; j < i; j++) {
      factor[row + j] = (matrix[row + j]! - dot(factor, row, factor, start(j), j)) / factor[diagonal(j)]!;
    }
    factor[row + i] = Math.sqrt(matrix[row + i]! - dot(factor, row, factor, row, i));
  }
  return factor;
}

const start = (i: number) => i * (i + 1) / 2;
const diagonal = (i: number) => start(i) + i;

/** The unit vector that a text's vector becomes. */
export function whiten({ mean, factor }: Whitening, vector: Float64Array): Float64Array {
  const solved = new Float64Array(vector.length);
  for (let i = 0, row = 0; i < vector.length; row += ++i) {
    solved[i] = (vector[i]! - mean[i]! - dot(factor, row, solved, 0, i)) / factor[row + i]!;
  }
  const norm = Math.sqrt(dot(solved, 0, solved, 0, solved.length)) || 1;
  return solved.map((value) => value / norm);
}

/** {@link whiten} for all rows. */
export async function whitenAll(whitening: Whitening, rows: Matrix, signal?: AbortSignal): Promise<Matrix> {
  const done: Float64Array[] = [];
  for (let n = 0; n < rows.rows; n++) {
    await yieldIfDue(signal);
    done.push(whiten(whitening, rowOf(rows, n)));
  }
  return matrixOf(done, rows.dimension);
}
