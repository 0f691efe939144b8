import { yieldToEventLoop } from "../core/abort.ts";

/**
 * Vectors of one length, row by row. All arithmetic is on doubles: loops over one type of array run several times as fast as
 * loops over two.
 */
export interface Matrix {
  readonly data: Float64Array;
  readonly rows: number;
  readonly dimension: number;
}

export function matrixOf(vectors: readonly ArrayLike<number>[], dimension: number): Matrix {
  const data = new Float64Array(vectors.length * dimension);
  vectors.forEach((vector, n) => data.set(vector, n * dimension));
  return { data, rows: vectors.length, dimension };
}

export function rowOf({ data, dimension }: Matrix, n: number): Float64Array {
  return data.subarray(n * dimension, (n + 1) * dimension);
}

/** The dot product of two slices of `length`. Four partial sums take half the time of one. */
export function dot(
  a: Float64Array,
  aStart: number,
  b: Float64Array,
  bStart: number,
  length: number,
): number {
  let p = 0, q = 0, r = 0, s = 0;
  let i = 0;
  for (; i + 3 < length; i += 4) {
    p += a[aStart + i]! * b[bStart + i]!;
    q += a[aStart + i + 1]! * b[bStart + i + 1]!;
    r += a[aStart + i + 2]! * b[bStart + i + 2]!;
    s += a[aStart + i + 3]! * b[bStart + i + 3]!;
  }
  for (; i < length; i++) p += a[aStart + i]! * b[bStart + i]!;
  return p + q + r + s;
}

/** The logarithm of the sum of exponentials, without overflow. */
export function logSumExp(values: Float64Array): number {
  let max = -Infinity;
  for (const value of values) if (value > max) max = value;
  let sum = 0;
  for (const value of values) sum += Math.exp(value - max);
  return max + Math.log(sum);
}

/** How long arithmetic may block the event loop. */
const SLICE_MS = 5;
let lastYield = 0;

/**
 * Call it between pieces of arithmetic of a millisecond or two: yields to the event loop if the last time was more than {@link
 * SLICE_MS} ago. Throws if the signal is aborted.
 */
export async function yieldIfDue(signal?: AbortSignal): Promise<void> {
  if (performance.now() - lastYield < SLICE_MS) return signal?.throwIfAborted();
  await yieldToEventLoop({ signal });
  lastYield = performance.now();
}
