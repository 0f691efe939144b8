import assert from "node:assert/strict";
import { logisticLoss } from "../../../lib/ml/logistic_regression.ts";
import { matrixOf } from "../../../lib/ml/matrix.ts";
import { random } from "../../fixtures/rows.ts";

const D = 3, CLASSES = 4;

/** Rows, their classes and weights by chance: each class's weights, then its bias. */
function problem(rows: number) {
  const next = random(rows);
  const between = () => 2 * next() - 1;
  const vectors = Array.from({ length: rows }, () => Float64Array.from({ length: D }, between));
  const classes = Int32Array.from({ length: rows }, () => Math.floor(CLASSES * next()));
  const weights = Float64Array.from({ length: CLASSES * (D + 1) }, between);
  return { vectors, classes, weights };
}

/** The loss as the textbook has it: of vectors ten times as long, the penalty 1e-3 on all weights but the biases. */
function textbook({ vectors, classes }: ReturnType<typeof problem>, weights: Float64Array): number {
  const score = (vector: Float64Array, k: number) =>
    vector.reduce((sum, x, i) => sum + 10 * x * weights[k * (D + 1) + i]!, weights[k * (D + 1) + D]!);
  const lost = vectors.map((vector, n) => {
    const scores = Array.from({ length: CLASSES }, (_, k) => score(vector, k));
    const total = scores.reduce((sum, each) => sum + Math.exp(each), 0);
    return -Math.log(Math.exp(scores[classes[n]!]!) / total);
  });
  const penalty = weights.reduce((sum, w, i) => sum + (i % (D + 1) === D ? 0 : w * w), 0) * 1e-3 / 2;
  return lost.reduce((sum, each) => sum + each) / vectors.length + penalty;
}

const near = (a: number, b: number, tolerance: number, what: string) =>
  assert.ok(Math.abs(a - b) <= tolerance * Math.max(1, Math.abs(b)), `${what}: ${a} is not ${b}`);

// Rows are worked on 32 at a time: fewer, as many, and some left over.
for (const rows of [1, 4, 9, 32, 40, 70]) {
  Deno.test(`logisticLoss() of ${rows} rows is the textbook's, and its gradient that of finite differences`, async () => {
    const one = problem(rows);
    const { classes, weights } = one;
    const matrix = matrixOf(one.vectors, D);
    const loss = logisticLoss(matrix, classes, CLASSES);
    // What an earlier call left in it, or in memory, does not count.
    const gradient = new Float64Array(weights.length).fill(7);
    await loss(weights.map((weight) => 2 * weight), gradient);
    near(await loss(weights, gradient), textbook(one, weights), 1e-12, "loss");
    const unused = new Float64Array(weights.length);
    for (let i = 0; i < weights.length; i++) {
      const at = (step: number) => loss(weights.with(i, weights[i]! + step), unused);
      const difference = (await at(1e-5) - await at(-1e-5)) / 2e-5;
      near(gradient[i]!, difference, 1e-7, `by weight ${i}`);
    }
  });
}
