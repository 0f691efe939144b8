import assert from "node:assert/strict";
import { seededRandom } from "../../../lib/core/random.ts";
import { fitListwise, type List, listwiseLoss } from "../../../lib/ml/listwise_softmax.ts";

/** Lists of `n` items with random features, of which one is chosen by the softmax of these weights. */
function listsBy(weights: readonly number[], { lists, n, seed }: { lists: number; n: number; seed: number }) {
  const random = seededRandom(seed);
  return Array.from({ length: lists }, (): List => {
    const features = Float32Array.from({ length: n * weights.length }, () => -4 * random());
    const odds = Array.from({ length: n }, (_, i) =>
      Math.exp(
        weights.reduce((sum, weight, s) => sum + weight * features[i * weights.length + s]!, 0),
      ));
    let left = random() * odds.reduce((a, b) => a + b);
    const gains = new Float64Array(n);
    gains[Math.max(0, odds.findIndex((one) => (left -= one) < 0))] = 1;
    return { features, gains };
  });
}

const TRUE = [1, 0.4, 0.1];
const priors = Float64Array.of(0.2, 0.2, 0.2);
const size = { lists: 2_000, n: 20, seed: 1 };

Deno.test("listwiseLoss() has the gradient that finite differences give", async () => {
  const lists = listsBy(TRUE, { lists: 20, n: 7, seed: 2 });
  lists[0]!.gains[3] = 0.5;
  lists[1]!.gains.fill(0);
  const options = { priors, deviation: 0.7 };
  const point = Float64Array.of(0.3, -0.5, 0.1, 0.4);
  const gradient = new Float64Array(4);
  await listwiseLoss(lists, point, gradient, options);
  for (let i = 0; i < 4; i++) {
    const at = (step: number) => {
      const moved = point.slice();
      moved[i]! += step;
      return listwiseLoss(lists, moved, new Float64Array(4), options);
    };
    const difference = (await at(1e-5) - await at(-1e-5)) / 2e-5;
    assert.ok(Math.abs(difference - gradient[i]!) < 1e-5 * (1 + Math.abs(difference)), `${i}`);
  }
});

Deno.test("fitListwise() recovers the weights that choices were made by, the same bits each time", async () => {
  const lists = listsBy(TRUE, size);
  const learnt = await fitListwise(lists, { priors, deviation: 1 });
  TRUE.forEach((weight, s) => assert.ok(Math.abs(learnt[s]! - weight) < 0.06, `${learnt}`));
  assert.deepEqual(await fitListwise(lists, { priors, deviation: 1 }), learnt);
});

Deno.test("fitListwise() leaves the ratios of the priors if they are certain, there are no lists, or the features say nothing", async () => {
  const lists = listsBy(TRUE, size);
  const flat = lists.map(({ features, gains }) => ({ features: features.map(() => -1), gains }));
  for (const [some, deviation] of [[lists, 1e-4], [[], 1], [flat, 1]] as const) {
    const learnt = await fitListwise(some, { priors: Float64Array.of(0.4, 0.2, 0.1), deviation });
    assert.ok(Math.abs(learnt[0]! / learnt[1]! - 2) < 1e-3 && Math.abs(learnt[1]! / learnt[2]! - 2) < 1e-3);
  }
});

Deno.test("fitListwise() gives a source that misleads little weight, and none below 0", async () => {
  const learnt = await fitListwise(listsBy([1, -0.5, 0.2], size), { priors, deviation: 1 });
  assert.ok(learnt[1]! > 0 && learnt[1]! < 0.05 * learnt[0]!, `${learnt}`);
});

Deno.test("fitListwise() counts a choice by its gain", async () => {
  const one = (chosen: number, gain: number): List => ({
    features: Float32Array.of(0, -1, -1, 0),
    gains: Float64Array.from([0, 1], (i) => i === chosen ? gain : 0),
  });
  const lists = [...Array(50).fill(one(0, 1)), ...Array(50).fill(one(1, 3))];
  const same = [...Array(50).fill(one(0, 1)), ...Array(150).fill(one(1, 1))];
  const options = { priors: Float64Array.of(1, 1), deviation: 1 };
  for (const learnt of [await fitListwise(lists, options), await fitListwise(same, options)]) {
    assert.ok(Math.abs(learnt[1]! - learnt[0]! - Math.log(3)) < 0.01, `${learnt}`);
  }
});
