import assert from "node:assert/strict";
import { bootstrapMean } from "../../../lib/evaluate/intervals.ts";
import { scoreRanking } from "../../../lib/evaluate/metrics.ts";
import { seededRandom, shuffle } from "../../../lib/evaluate/random.ts";

const close = (a: number, b: number) => assert.ok(Math.abs(a - b) < 1e-12, `${a} is not ${b}`);

Deno.test("scoreRanking() gives 1 to the best ranking and 0 to one without a relevant campaign", () => {
  const best = scoreRanking(["a", "b", "c"], new Set(["a", "b"]));
  assert.deepEqual([best.ndcg_5, best.ndcg_10, best.ndcg_25, best.recall_10, best.mrr_25], [1, 1, 1, 1, 1]);
  assert.equal(best.precision_10, 0.2);
  const worst = scoreRanking(["x", "y"], new Set(["a"]));
  assert.deepEqual(Object.values(worst), [0, 0, 0, 0, 0, 0]);
  assert.deepEqual(Object.values(scoreRanking([], new Set(["a"]))), [0, 0, 0, 0, 0, 0]);
});

Deno.test("scoreRanking() discounts by the logarithm of the place", () => {
  const scores = scoreRanking(["x", "a", "y", "z", "w", "b"], new Set(["a", "b", "c"]));
  const ideal = 1 + 1 / Math.log2(3) + 1 / 2;
  close(scores.ndcg_5, 1 / Math.log2(3) / ideal);
  close(scores.ndcg_10, (1 / Math.log2(3) + 1 / Math.log2(7)) / ideal);
  close(scores.recall_10, 2 / 3);
  close(scores.mrr_25, 1 / 2);
});

Deno.test("scoreRanking() looks at as many places as each metric says", () => {
  const ranking = Array.from({ length: 40 }, (_, i) => String(i));
  const at = (place: number) => scoreRanking(ranking, new Set([String(place - 1)]));
  assert.equal(at(10).recall_10, 1);
  assert.equal(at(11).recall_10, 0);
  assert.ok(at(5).ndcg_5 > 0 && at(6).ndcg_5 === 0);
  assert.ok(at(25).mrr_25 > 0 && at(26).mrr_25 === 0);
});

Deno.test("bootstrapMean() holds the mean, is the same for a seed, and is wider for few users than for many", () => {
  const values = Array.from({ length: 200 }, (_, i) => i % 2);
  const users = (n: number) => values.map((_, i) => String(Math.floor(i / 2) % n));
  const many = bootstrapMean(values.map((v, i) => v * (i % 4)), { groups: users(100), seed: 1 });
  const few = bootstrapMean(values.map((v, i) => v * (i % 4)), { groups: users(5), seed: 1 });
  assert.ok(many.low <= many.mean && many.mean <= many.high);
  assert.deepEqual(many, bootstrapMean(values.map((v, i) => v * (i % 4)), { groups: users(100), seed: 1 }));
  assert.ok(few.high - few.low >= 0);
  assert.deepEqual(bootstrapMean([], { groups: [], seed: 1 }), { mean: 0, low: 0, high: 0 });
});

Deno.test("bootstrapMean() covers the true mean in about 95 % of draws", () => {
  const random = seededRandom(7);
  let covered = 0;
  for (let draw = 0; draw < 200; draw++) {
    const values = Array.from({ length: 100 }, random);
    const { low, high } = bootstrapMean(values, { groups: values.map((_, i) => String(i)), seed: draw });
    if (low <= 0.5 && 0.5 <= high) covered++;
  }
  assert.ok(covered >= 180 && covered <= 199, `${covered} of 200`);
});

Deno.test("shuffle() keeps every item and gives the same order for a seed", () => {
  const items = Array.from({ length: 50 }, (_, i) => i);
  const shuffled = shuffle(items, seededRandom(3));
  assert.deepEqual([...shuffled].sort((a, b) => a - b), items);
  assert.notDeepEqual(shuffled, items);
  assert.deepEqual(shuffled, shuffle(items, seededRandom(3)));
});
