import assert from "node:assert/strict";
import { invert, solveInPlace } from "../../../lib/ml/positive_definite.ts";

/** X Xᵀ + I of fixed numbers: symmetric and positive definite. */
function sample(n: number): Float64Array {
  const x = Float64Array.from({ length: n * n }, (_, i) => Math.sin(1 + 7 * i));
  const a = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      for (let k = 0; k < n; k++) a[i * n + j]! += x[i * n + k]! * x[j * n + k]!;
    }
    a[i * n + i]! += 1;
  }
  return a;
}

const close = (a: number, b: number) => assert.ok(Math.abs(a - b) < 1e-9, `${a} is not ${b}`);

Deno.test("solveInPlace() finds x of A x = b", () => {
  for (const n of [1, 2, 5, 33]) {
    const a = sample(n);
    const x = Float64Array.from({ length: n }, (_, i) => Math.cos(i));
    const b = Float64Array.from({ length: n }, (_, i) => x.reduce((sum, v, k) => sum + a[i * n + k]! * v, 0));
    solveInPlace(a.slice(), n, b);
    b.forEach((value, i) => close(value, x[i]!));
  }
});

Deno.test("invert() gives the matrix whose product with A is the identity", async () => {
  for (const n of [1, 2, 5, 33]) {
    const a = sample(n);
    const inverse = await invert(a.slice(), n);
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < n; j++) {
        let sum = 0;
        for (let k = 0; k < n; k++) sum += a[i * n + k]! * inverse[k * n + j]!;
        close(sum, i === j ? 1 : 0);
      }
    }
  }
});

Deno.test("solveInPlace() and invert() refuse matrices that are not positive definite", async () => {
  const a = Float64Array.of(1, 2, 2, 1);
  assert.throws(() => solveInPlace(a.slice(), 2, Float64Array.of(1, 1)), RangeError);
  await assert.rejects(invert(a.slice(), 2), RangeError);
});
