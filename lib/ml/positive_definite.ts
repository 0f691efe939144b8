import { yieldToEventLoop } from "../core/abort.ts";
import type { Abortable } from "../core/types.ts";

/**
 * Solves A x = b for a symmetric positive definite matrix, n × n row by row, by its Cholesky factor: `b` becomes x and A is lost.
 * Takes about n³/6 multiplications. Only the lower triangle is read. Throws `RangeError` if the matrix is not positive definite.
 */
export function solveInPlace(a: Float64Array, n: number, b: Float64Array): void {
  for (let i = 0; i < n; i++) factorRow(a, n, i);
  for (let i = 0; i < n; i++) {
    let rest = b[i]!;
    for (let k = 0; k < i; k++) rest -= a[i * n + k]! * b[k]!;
    b[i] = rest / a[i * n + i]!;
  }
  for (let i = n - 1; i >= 0; i--) {
    const value = b[i]! / a[i * n + i]!;
    b[i] = value;
    for (let k = 0; k < i; k++) b[k]! -= a[i * n + k]! * value;
  }
}

/** Puts one row of the Cholesky factor into the lower triangle, given the rows before it. */
function factorRow(a: Float64Array, n: number, i: number): void {
  const row = i * n;
  for (let j = 0; j <= i; j++) {
    const other = j * n;
    let rest = a[row + j]!;
    for (let k = 0; k < j; k++) rest -= a[row + k]! * a[other + k]!;
    if (j < i) a[row + j] = rest / a[other + j]!;
    else if (rest > 0) a[row + i] = Math.sqrt(rest);
    else throw new RangeError("the matrix is not positive definite");
  }
}

/**
 * The inverse of a symmetric positive definite matrix, n × n row by row; A is lost. Takes about n³/2 multiplications, and
 * yields to the event loop between rows. Only the lower triangle is read. Rejects with `RangeError` if the matrix is not
 * positive definite.
 */
export async function invert(a: Float64Array, n: number, options: Abortable = {}): Promise<Float64Array> {
  for (let i = 0; i < n; i++) {
    await yieldToEventLoop(options);
    factorRow(a, n, i);
  }
  // U = L⁻ᵀ, so that every inner loop is along rows.
  const u = new Float64Array(n * n);
  for (let j = 0; j < n; j++) {
    await yieldToEventLoop(options);
    u[j * n + j] = 1 / a[j * n + j]!;
    for (let i = j + 1; i < n; i++) {
      let sum = 0;
      for (let k = j; k < i; k++) sum += a[i * n + k]! * u[j * n + k]!;
      u[j * n + i] = -sum / a[i * n + i]!;
    }
  }
  for (let i = 0; i < n; i++) {
    await yieldToEventLoop(options);
    for (let j = 0; j <= i; j++) {
      let sum = 0;
      for (let k = i; k < n; k++) sum += u[i * n + k]! * u[j * n + k]!;
      a[i * n + j] = a[j * n + i] = sum;
    }
  }
  return a;
}
