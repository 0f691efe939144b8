import assert from "node:assert/strict";
import { matrixOf, rowOf } from "../../../lib/ml/matrix.ts";
import { fitWhitening, whiten, whitenAll } from "../../../lib/ml/whitening.ts";
import { random } from "../../fixtures/rows.ts";

const D = 3;

/** Rows of two classes, with another spread in each direction. */
function sample(count: number) {
  const next = random(7);
  const classes = Int32Array.from({ length: count }, (_, n) => n % 2);
  const rows = Array.from(classes, (of) => [1, 2, 3].map((spread) => 10 * of + spread * (next() - 0.5)));
  return { rows: matrixOf(rows, D), classes };
}

/** L Lᵀ, the scatter of which `factor` is the Cholesky factor. */
function scatterOf(factor: Float64Array): number[][] {
  const at = (i: number, j: number) => j > i ? 0 : factor[i * (i + 1) / 2 + j]!;
  const indexes = Array.from({ length: D }, (_, i) => i);
  return indexes.map((i) => indexes.map((j) => indexes.reduce((sum, k) => sum + at(i, k) * at(j, k), 0)));
}

/** The covariance of all rows around the mean of their class. */
function covariance({ rows, classes }: ReturnType<typeof sample>): number[][] {
  const indexes = Array.from({ length: D }, (_, i) => i);
  const value = (n: number, i: number) => rows.data[n * D + i]!;
  const mean = (of: number, i: number) => {
    const own = [...classes.keys()].filter((n) => classes[n] === of);
    return own.reduce((sum, n) => sum + value(n, i), 0) / own.length;
  };
  const means = [0, 1].map((of) => indexes.map((i) => mean(of, i)));
  const deviation = (n: number, i: number) => value(n, i) - means[classes[n]!]![i]!;
  return indexes.map((i) =>
    indexes.map((j) =>
      [...classes.keys()].reduce((sum, n) => sum + deviation(n, i) * deviation(n, j), 0) / rows.rows
    )
  );
}

/** The diagonal has at least this added, so that the scatter of identical examples is above zero. */
const RIDGE = 1e-6;

// Of many rows, some are taken.
for (const [count, tolerance] of [[50, 1.1 * RIDGE], [20_000, 0.05]] as const) {
  Deno.test(`fitWhitening() of ${count} rows factors their scatter within classes`, async () => {
    const data = sample(count);
    const { factor } = await fitWhitening(data.rows, data.classes, { shrinkage: 0 });
    const expected = covariance(data);
    scatterOf(factor).flat().forEach((value, k) => {
      const wanted = expected.flat()[k]!;
      assert.ok(Math.abs(value - wanted) <= tolerance, `${value} is not ${wanted}`);
    });
  });
}

Deno.test("fitWhitening() assumes the share `shrinkage` of the scatter equal in every direction", async () => {
  const data = sample(50);
  const { factor } = await fitWhitening(data.rows, data.classes, { shrinkage: 0.8 });
  const plain = covariance(data);
  const ridge = 0.8 * (plain[0]![0]! + plain[1]![1]! + plain[2]![2]!) / D;
  scatterOf(factor).forEach((row, i) =>
    row.forEach((value, j) => {
      const wanted = 0.2 * plain[i]![j]! + (i === j ? ridge : 0);
      assert.ok(Math.abs(value - wanted) < 1e-9, `${value} is not ${wanted}`);
    })
  );
});

Deno.test("whiten() gives the unit vector along L⁻¹(x − mean)", () => {
  const whitening = { mean: Float64Array.of(1, 1), factor: Float64Array.of(2, 1, 4) };
  // L z = x − mean: 2 · 3 = 6, and 1 · 3 + 4 · 4 = 19.
  const [a, b] = whiten(whitening, Float64Array.of(7, 20));
  assert.ok(Math.abs(a! - 0.6) < 1e-12 && Math.abs(b! - 0.8) < 1e-12, `${a}, ${b}`);
  assert.deepEqual(whiten(whitening, Float64Array.of(1, 1)), Float64Array.of(0, 0));
});

Deno.test("whitenAll() gives for each row what whiten() gives for one", async () => {
  const { rows, classes } = sample(70);
  const whitening = await fitWhitening(rows, classes);
  const all = await whitenAll(whitening, rows);
  for (let n = 0; n < rows.rows; n++) {
    whiten(whitening, rowOf(rows, n)).forEach((value, i) =>
      assert.ok(Math.abs(value - rowOf(all, n)[i]!) < 1e-12, `row ${n}`)
    );
  }
});
