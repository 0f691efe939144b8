import assert from "node:assert/strict";
import { areaUnderCurve, calibrationError } from "../../../lib/intents/calibrate.ts";
import { classify } from "../../../lib/intents/classifier.ts";
import { probabilitiesOf, scoreIntents } from "../../../lib/intents/oos_features.ts";
import type { Example } from "../../../lib/intents/folds.ts";
import { classOffsetsOf, fit } from "../../../lib/intents/fit.ts";
import { foldsOf } from "../../../lib/intents/folds.ts";
import { fitLogistic } from "../../../lib/ml/logistic_regression.ts";
import { dot, matrixOf } from "../../../lib/ml/matrix.ts";
import { vote } from "../../../lib/ml/nearest_neighbours.ts";
import { cholesky, fitWhitening, whiten } from "../../../lib/ml/whitening.ts";
import { random } from "../../fixtures/rows.ts";
import { about, examples, noise, unit } from "./samples.ts";

const near = (a: number, b: number, tolerance: number) =>
  assert.ok(Math.abs(a - b) <= tolerance, `${a} is not within ${tolerance} of ${b}`);

Deno.test("cholesky() gives the triangle whose product with itself is the matrix", async () => {
  const d = 7;
  const next = random(3);
  const rows = Array.from({ length: 20 }, () => Array.from({ length: d }, () => noise(next)));
  const product = (i: number, j: number) => rows.reduce((sum, row) => sum + row[i]! * row[j]!, 0);
  const lower = Float64Array.from(
    Array.from({ length: d }, (_, i) => Array.from({ length: i + 1 }, (_, j) => product(i, j))).flat(),
  );
  const factor = await cholesky(lower, d);
  const at = (i: number, j: number) => j <= i ? factor[i * (i + 1) / 2 + j]! : 0;
  for (let i = 0; i < d; i++) {
    for (let j = 0; j <= i; j++) {
      const sum = Array.from({ length: d }, (_, k) => at(i, k) * at(j, k)).reduce((a, b) => a + b);
      near(sum, product(i, j), 1e-9);
    }
  }
});

Deno.test("whiten() makes directions in which intents scatter count for less", async () => {
  const next = random(5);
  const vectors = Array.from(
    { length: 400 },
    (_, n) => Float64Array.of(n % 2, 4 * noise(next), 0.2 * noise(next)),
  );
  const classes = Int32Array.from(vectors, (_, n) => n % 2);
  const order = [...vectors.keys()].sort((a, b) => classes[a]! - classes[b]!);
  const whitening = await fitWhitening(matrixOf(order.map((n) => vectors[n]!), 3), classes.toSorted());
  const cosine = (a: Float64Array, b: Float64Array) =>
    dot(a, 0, b, 0, 3) / (Math.hypot(...a) * Math.hypot(...b));
  const [a, b] = [Float64Array.of(1.5, 1, 0), Float64Array.of(1.5, -1, 0)];
  const mean = (v: Float64Array) => v.map((x, i) => x - whitening.mean[i]!);
  assert.ok(cosine(whiten(whitening, a), whiten(whitening, b)) > cosine(mean(a), mean(b)) + 0.2);
  near(Math.hypot(...whiten(whitening, a)), 1, 1e-12);
});

Deno.test("fitLogistic() comes to where plain gradient descent comes to", async () => {
  const all = examples({ intents: 3, each: 15, dimension: 4 }).sort((a, b) => a.intent < b.intent ? -1 : 1);
  const rows = matrixOf(all.map(({ vector }) => vector), 4);
  const classes = Int32Array.from(all, ({ intent }) => Number(intent.at(-1)));
  const fitted = await fitLogistic(rows, classes, 3);
  const slow = descend(all.map(({ vector }) => vector), classes, 3);
  for (const { vector } of all) {
    const ours = [0, 1, 2].map((k) =>
      dot(fitted, 5 * k, Float64Array.from(vector), 0, 4) + fitted[5 * k + 4]!
    );
    const theirs = slow(vector);
    for (const k of [0, 1, 2]) near(softmax(ours)[k]!, softmax(theirs)[k]!, 0.02);
  }
});

const softmax = (scores: readonly number[]) => {
  const weights = scores.map((score) => Math.exp(score - Math.max(...scores)));
  return weights.map((weight) => weight / weights.reduce((a, b) => a + b));
};

/** Multinomial logistic regression on vectors ten times as long, penalty 1e-3, by many small steps. */
function descend(vectors: readonly Float32Array[], classes: Int32Array, count: number) {
  const d = vectors[0]!.length;
  const weights = Array.from({ length: count }, () => new Float64Array(d + 1));
  const scores = (vector: Float32Array) =>
    weights.map((own) => vector.reduce((sum, x, i) => sum + 10 * x * own[i]!, own[d]!));
  for (let step = 0; step < 4_000; step++) {
    const gradients = weights.map((own) => own.map((weight, i) => i < d ? 1e-3 * weight : 0));
    vectors.forEach((vector, n) => {
      softmax(scores(vector)).forEach((p, k) => {
        const error = (p - (classes[n] === k ? 1 : 0)) / vectors.length;
        vector.forEach((x, i) => gradients[k]![i]! += error * 10 * x);
        gradients[k]![d]! += error;
      });
    });
    weights.forEach((own, k) => own.forEach((_, i) => own[i]! -= 0.05 * gradients[k]![i]!));
  }
  return scores;
}

Deno.test("vote() is what sorting all examples gives", () => {
  const next = random(9);
  const all = Array.from(
    { length: 90 },
    (_, n) => ({ k: Math.floor(n / 30), vector: about(Math.floor(n / 30), 6, next) }),
  );
  const starts = classOffsetsOf(Int32Array.from(all, ({ k }) => k), 3);
  const matrix = matrixOf(all.map(({ vector }) => vector), 6);
  for (let round = 0; round < 20; round++) {
    const asked = Float64Array.from(about(round % 3, 6, next));
    const { shares, nearness } = vote(asked, matrix, starts, [2, 0]);
    const cosine = (vector: Float32Array) => vector.reduce((sum, x, i) => sum + x * asked[i]!, 0);
    const nearest = all.filter(({ k }) => k !== 1).map(({ k, vector }) => ({ k, cosine: cosine(vector) }))
      .sort((a, b) => b.cosine - a.cosine).slice(0, 10);
    const weight = (one: { cosine: number }) => Math.exp((one.cosine - nearest[0]!.cosine) / 0.1);
    const total = nearest.reduce((sum, one) => sum + weight(one), 0);
    for (const k of [0, 1, 2]) {
      near(
        shares[k]!,
        nearest.filter((one) => one.k === k).reduce((sum, one) => sum + weight(one), 0) / total,
        1e-9,
      );
    }
    const five = nearest.slice(0, 5).reduce((sum, one) => sum + one.cosine, 0) / 5;
    near(nearness, (nearest[0]!.cosine + five) / 2, 1e-9);
  }
});

Deno.test("fit() separates intents, its probabilities add up to 1, and a text like no intent is out of scope", async () => {
  const fitted = await fit({ examples: examples({ intents: 6, each: 20 }) });
  const next = random(77);
  let right = 0, out = 0;
  for (let n = 0; n < 120; n++) {
    const vector = about(n % 6, 12, next);
    const verdict = classify(fitted, vector, { top: 6 });
    if (verdict.intents[0]!.intent === `intent-${n % 6}`) right++;
    const { logits } = scoreIntents(fitted.learnt, vector);
    near(probabilitiesOf(logits, fitted.calibration.temperature).reduce((a, b) => a + b), 1, 1e-12);
    assert.ok(verdict.score >= 0 && verdict.score <= 1);
    if (classify(fitted, about(6 + n % 6, 12, next)).intent === null) out++;
  }
  assert.ok(right >= 110, `${right} of 120 are right`);
  assert.ok(out >= 100, `${out} of 120 are out of scope`);
});

Deno.test("scoreIntents() multiplies regression and votes, half and half, for each intent from the first to the last", async () => {
  const { learnt } = await fit({ examples: examples({ intents: 6, each: 8 }) });
  const { whitening, weights, examples: own, classOffsets } = learnt;
  const next = random(8), intents = [0, 1, 2, 3, 4, 5];
  for (let n = 0; n < 12; n++) {
    const vector = about(n % 6, 12, next);
    const x = whiten(whitening, Float64Array.from(vector));
    const regression = softmax(
      intents.map((k) =>
        x.reduce((sum, value, i) => sum + value * weights[13 * k + i]!, weights[13 * k + 12]!)
      ),
    );
    const { shares, nearness } = vote(x, own, classOffsets, intents);
    const { logits, oosFeatures } = scoreIntents(learnt, vector);
    for (const k of intents) {
      near(logits[k]!, Math.log(Math.sqrt(regression[k]! * (0.9 * shares[k]! + 0.1 / 6))), 1e-9);
    }
    near(oosFeatures[0], Math.log(Math.max(...softmax([...logits]))), 1e-9);
    near(oosFeatures[1], 4 * nearness, 1e-12);
  }
});

Deno.test("fit() does not mind the order of examples, nor other work meanwhile", async () => {
  const all = examples({ intents: 4, each: 9 });
  const turned = all.toSorted((a, b) => a.key.length - b.key.length || (a.vector[0]! - b.vector[0]!));
  const [one, two] = await Promise.all([fit({ examples: all }), fit({ examples: turned })]);
  assert.deepEqual(one, two);
});

Deno.test("fit() is good with five examples an intent, and ends by its signal", async () => {
  const fitted = await fit({ examples: examples({ intents: 5, each: 5 }) });
  const next = random(8);
  const right =
    Array.from({ length: 100 }, (_, n) => classify(fitted, about(n % 5, 12, next)).intents[0]!.intent)
      .filter((intent, n) => intent === `intent-${n % 5}`).length;
  assert.ok(right >= 85, `${right} of 100 are right`);
  const reason = new Error("no more");
  await assert.rejects(
    fit({ examples: examples({ intents: 5, each: 5 }), signal: AbortSignal.abort(reason) }),
    reason,
  );
});

Deno.test("fit() takes examples that are all alike", async () => {
  const same = unit([1, 2, 3]);
  const all = ["a", "b", "c"].flatMap((intent) =>
    [1, 2, 3].map((n) => ({ intent, key: `${intent}${n}`, vector: same }))
  );
  const { intents, score } = classify(await fit({ examples: all }), same);
  assert.ok([score, ...intents.map(({ probability }) => probability)].every(Number.isFinite));
});

/** How many examples an intent has, how many further texts resemble each, and how far they are: .02 is a cosine of .998, .15 of .92. */
const TWINS = [
  { each: 20, twins: 0, apart: 0 },
  { each: 10, twins: 1, apart: 0.02 },
  { each: 10, twins: 1, apart: 0.15 },
  { each: 10, twins: 3, apart: 0.15 },
];

Deno.test("fit() keeps nine of ten new texts, also if each of its examples has a near duplicate or paraphrases", async () => {
  const shares = [];
  for (const { each, twins, apart } of TWINS) {
    const some = examples({ intents: 8, each, dimension: 24 });
    const next = random(6);
    const twinsOf = ({ intent, key, vector }: Example) =>
      Array.from({ length: twins }, (_, n) => ({
        intent,
        key: `${key} again ${n}`,
        vector: unit([...vector].map((x) => x + apart * noise(next))),
      }));
    const fitted = await fit({ examples: [...some, ...some.flatMap(twinsOf)] });
    const verdicts = Array.from({ length: 400 }, (_, n) => classify(fitted, about(n % 8, 24, next)));
    shares.push(verdicts.filter(({ intent }) => intent !== null).length / verdicts.length);
  }
  assert.ok(shares.every((share) => share >= 0.87), `${shares} are kept`);
});

Deno.test("fit() withholds each intent in four rounds if there are few examples, and in one if there are many", async () => {
  const withheld = async (each: number) =>
    (await fit({ examples: examples({ intents: 3, each, dimension: 24 }) })).figures.withheld;
  assert.equal(await withheld(4), 4 * 3 * 4);
  assert.equal(await withheld(40), 3 * 40);
});

Deno.test("fit() says how far it is, never less than before, and lets timers have their turn", async () => {
  const told: number[] = [];
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  await fit({
    examples: examples({ intents: 8, each: 20, dimension: 48 }),
    onProgress: (share) => told.push(share),
  });
  clearInterval(timer);
  assert.ok(
    told.length > 50 && told[0]! < 0.05 && told.at(-1)! > 0.95,
    `${told.length}: ${told[0]} … ${told.at(-1)}`,
  );
  assert.deepEqual(told, told.toSorted((a, b) => a - b));
  assert.ok(turns >= 3, `${turns} turns`);
});

Deno.test("foldsOf() puts near duplicates into one fold and judges one of them, and each fold learns every intent", async () => {
  const some = examples({ intents: 3, each: 12, dimension: 24 });
  const copies = some.slice(0, 9).map((one) => ({ ...one, key: `${one.key} again` }));
  const alike = ["a", "b", "c"].map((key) => ({ intent: "alike", key, vector: unit(Array(24).fill(1)) }));
  const all = [...some, ...copies, ...alike];
  const folds = await foldsOf(all, 4);
  assert.deepEqual(new Set(folds.flatMap(({ heldOut }) => [...heldOut])), new Set(all));
  for (const { heldOut } of folds) {
    for (const [n, copy] of copies.entries()) assert.equal(heldOut.has(copy), heldOut.has(some[n]!));
    const learnt = new Set(all.filter((one) => !heldOut.has(one)).map(({ intent }) => intent));
    assert.deepEqual([...learnt].sort(), ["alike", "intent-0", "intent-1", "intent-2"]);
  }
  const judged = folds.flatMap(({ texts }) => texts);
  for (const [n, copy] of copies.entries()) assert.ok(!(judged.includes(copy) && judged.includes(some[n]!)));
  // Two that happen to be far nearer to each other than to all others pass for paraphrases.
  assert.ok(judged.length >= 0.9 * (some.length + alike.length), `${judged.length} are judged`);
});

Deno.test("foldsOf() puts paraphrases into one fold, and judges one of them", async () => {
  const next = random(9);
  const some = examples({ intents: 3, each: 8, dimension: 24 });
  const groups = some.map((one) => [
    one,
    ...[1, 2].map((n) => ({
      ...one,
      key: `${one.key} in other words ${n}`,
      vector: unit([...one.vector].map((x) => x + 0.15 * noise(next))),
    })),
  ]);
  const folds = await foldsOf(groups.flat(), 4);
  for (const { heldOut } of folds) {
    for (const group of groups) {
      assert.equal(new Set(group.map((one) => heldOut.has(one))).size, 1, group[0]!.key);
    }
  }
  const judged = folds.flatMap(({ texts }) => texts);
  for (const group of groups) {
    assert.ok(group.filter((one) => judged.includes(one)).length <= 1, group[0]!.key);
  }
});

Deno.test("areaUnderCurve() is the share of pairs in the right order", () => {
  const next = random(4);
  const some = (count: number) => Array.from({ length: count }, () => Math.floor(6 * next()));
  const [high, low] = [some(40), some(30)];
  const pairs = high.flatMap((a) => low.map((b) => a > b ? 1 : a === b ? 0.5 : 0));
  near(areaUnderCurve(high, low), pairs.reduce((a: number, b) => a + b, 0) / pairs.length, 1e-12);
});

Deno.test("calibrationError() is 0 if the share of correct answers equals the confidence", () => {
  const tops = Array.from({ length: 100 }, (_, n) => ({ confidence: 0.8, right: n < 80 }));
  near(calibrationError(tops), 0, 1e-9);
  near(calibrationError(tops.map((top) => ({ ...top, right: false }))), 0.8, 1e-9);
});
