import { dot, type Matrix, rowOf, yieldIfDue } from "./matrix.ts";
import { matrixProducts, type PaddedMatrix } from "./products.ts";

/** The share of the scatter within intents that is assumed equal in every direction; `deno task bench intents` tries some. */
const SHRINKAGE = 0.8;
/** The most rows from which the scatter is estimated, evenly spaced. */
const SCATTER_ROWS = 4_096;
/** Rows between two turns of other work. */
const ROW_BLOCK = 32;
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
  const { matrices: { block, square }, addProduct } = matrixProducts({
    block: [ROW_BLOCK, d],
    square: [d, d],
  });
  const used = Math.min(rows.rows, SCATTER_ROWS);
  const numberOf = (i: number) => Math.floor(i * rows.rows / used);
  for (let from = 0; from < used; from += ROW_BLOCK) {
    await yieldIfDue(signal);
    const numbers = Array.from({ length: Math.min(ROW_BLOCK, used - from) }, (_, i) => numberOf(from + i));
    loadDeviations(rows, numbers, (n) => centres[classes[n]!]!, block);
    addProduct(block, block, square, { transposed: true });
  }
  const scatter = new Float64Array(d * (d + 1) / 2);
  for (let i = 0; i < d; i++) {
    for (let j = 0; j <= i; j++) {
      scatter[start(i) + j] = square.data[i * square.columns + j]! / Math.max(1, used);
    }
  }
  return scatter;
}

/** Fills in by how much the rows differ from their centres, and zeros after the last one. */
function loadDeviations(
  { data, dimension }: Matrix,
  numbers: readonly number[],
  centreOf: (n: number) => Float64Array,
  block: PaddedMatrix,
): void {
  numbers.forEach((n, row) => {
    const [at, centre] = [row * block.columns, centreOf(n)];
    for (let i = 0; i < dimension; i++) block.data[at + i] = data[n * dimension + i]! - centre[i]!;
  });
  block.data.fill(0, numbers.length * block.columns);
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
  normalise(solved);
  return solved;
}

function normalise(vector: Float64Array): void {
  const norm = Math.sqrt(dot(vector, 0, vector, 0, vector.length)) || 1;
  for (let i = 0; i < vector.length; i++) vector[i]! /= norm;
}

/** {@link whiten} for all rows, by products with the factor's inverse. */
export async function whitenAll(
  { mean, factor }: Whitening,
  rows: Matrix,
  signal?: AbortSignal,
): Promise<Matrix> {
  const d = rows.dimension;
  const { matrices: { block, inverse, solved }, addProduct } = matrixProducts({
    block: [ROW_BLOCK, d],
    inverse: [d, d],
    solved: [ROW_BLOCK, d],
  });
  for (let i = 0; i < d; i++) {
    await yieldIfDue(signal);
    solveColumn(factor, i, inverse);
  }
  const whitened = { data: new Float64Array(rows.data.length), rows: rows.rows, dimension: d };
  for (let from = 0; from < rows.rows; from += ROW_BLOCK) {
    await yieldIfDue(signal);
    const numbers = Array.from({ length: Math.min(ROW_BLOCK, rows.rows - from) }, (_, i) => from + i);
    loadDeviations(rows, numbers, () => mean, block);
    solved.data.fill(0);
    addProduct(block, inverse, solved);
    for (const [i, n] of numbers.entries()) {
      const row = rowOf(whitened, n);
      row.set(solved.data.subarray(i * solved.columns, i * solved.columns + d));
      normalise(row);
    }
  }
  return whitened;
}

/** Fills in row `column` of the transposed inverse of a lower triangle: the solution of L z = e. */
function solveColumn(factor: Float64Array, column: number, { data, columns }: PaddedMatrix): void {
  const at = column * columns;
  for (let i = column; i < columns && diagonal(i) < factor.length; i++) {
    const sum = dot(factor, start(i) + column, data, at + column, i - column);
    data[at + i] = ((i === column ? 1 : 0) - sum) / factor[diagonal(i)]!;
  }
}
