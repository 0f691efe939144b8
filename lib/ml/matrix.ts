import { yieldToEventLoop } from "../core/abort.ts";

/**
 * Vectors of one length, one after another. All arithmetic here is on doubles: loops that meet one kind of array only
 * run several times as fast as those that meet two.
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

/** The dot product of two stretches of `length`; four sums at a time, which takes half the time of one. */
export function dot(
  a: Float64Array,
  from: number,
  b: Float64Array,
  at: number,
  length: number,
): number {
  let p = 0, q = 0, r = 0, s = 0;
  let i = 0;
  for (; i + 3 < length; i += 4) {
    p += a[from + i]! * b[at + i]!;
    q += a[from + i + 1]! * b[at + i + 1]!;
    r += a[from + i + 2]! * b[at + i + 2]!;
    s += a[from + i + 3]! * b[at + i + 3]!;
  }
  for (; i < length; i++) p += a[from + i]! * b[at + i]!;
  return p + q + r + s;
}

/** The logarithm of the sum of exponentials, without overflow. */
export function logSumExp(values: Float64Array): number {
  let most = -Infinity;
  for (const value of values) if (value > most) most = value;
  let sum = 0;
  for (const value of values) sum += Math.exp(value - most);
  return most + Math.log(sum);
}

/** How long arithmetic continues before other work gets its turn. */
const SLICE_MS = 5;
let turnBegan = 0;

/**
 * Between stretches of arithmetic of less than a millisecond or two: lets timers and sockets have their turn if the
 * last one was some milliseconds ago, and heeds the signal.
 */
export async function yieldIfDue(signal?: AbortSignal): Promise<void> {
  if (performance.now() - turnBegan < SLICE_MS) return signal?.throwIfAborted();
  await yieldToEventLoop({ signal });
  turnBegan = performance.now();
}
