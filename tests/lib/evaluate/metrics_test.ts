import assert from "node:assert/strict";
import { bootstrapMean } from "../../../lib/evaluate/bootstrap_mean.ts";
import { METRICS, scoreRanking } from "../../../lib/evaluate/metrics.ts";
import { seededRandom, shuffle } from "../../../lib/core/random.ts";

const close = (a: number, b: number) => assert.ok(Math.abs(a - b) < 1e-12, `${a} is not ${b}`);

const ranking = (length: number) => Array.from({ length }, (_, i) => `c${i + 1}`);
const at = (...places: number[]) => new Set(places.map((place) => `c${place}`));

Deno.test("scoreRanking() gives 1 to the best ranking and 0 to one without a relevant campaign", () => {
  const best = scoreRanking(ranking(3), at(1, 2));
  const full = METRICS.filter((metric) => !metric.startsWith("precision"));
  assert.deepEqual(full.map((metric) => best[metric]), full.map(() => 1));
  const nothing = METRICS.map(() => 0);
  for (const [shown, relevant] of [[["x", "y"], at(1)], [[], at(1)], [["x"], at()]] as const) {
    assert.deepEqual(Object.values(scoreRanking(shown, relevant)), nothing);
  }
});

Deno.test("scoreRanking() gives the values worked out by hand for relevant campaigns at places 2, 6, 20 and nowhere", () => {
  const scores = scoreRanking(ranking(30), new Set([...at(2, 6, 20), "elsewhere"]));
  // 1 / log2(place + 1) at places 1 to 4, which the four would have in the best ranking, and at 2, 6 and 20.
  const ideal = 1 + 0.6309297535714575 + 0.5 + 0.43067655807339306;
  const gains = [0.6309297535714575, 0.3562071871080222, 0.22767024869695315];
  const by_hand = {
    ndcg_5: gains[0]! / ideal,
    ndcg_10: (gains[0]! + gains[1]!) / ideal,
    ndcg_25: (gains[0]! + gains[1]! + gains[2]!) / ideal,
    precision_5: 0.2,
    precision_10: 0.2,
    precision_25: 0.12,
    recall_5: 0.25,
    recall_10: 0.5,
    recall_25: 0.75,
    mrr_25: 0.5,
  };
  assert.deepEqual(Object.keys(scores), Object.keys(by_hand));
  for (const metric of METRICS) close(scores[metric], by_hand[metric]);
});

/** The same by sorting, sets and sums over places instead of loops over hits. */
function byDefinition(shown: readonly string[], relevant: ReadonlySet<string>): Record<string, number> {
  const grades = shown.map((id) => relevant.has(id) ? 1 : 0);
  const perfect = [...grades, ...Array(relevant.size).fill(1), ...Array(25).fill(0)]
    .toSorted((a, b) => b - a).slice(0, relevant.size).concat(Array(25).fill(0));
  const gain = (row: readonly number[], k: number) =>
    row.slice(0, k).map((grade, i) => (2 ** grade - 1) * Math.LN2 / Math.log(i + 2)).reduce(
      (a, b) => a + b,
      0,
    );
  const found = (k: number) => new Set(shown.slice(0, k)).intersection(relevant).size;
  const places = [5, 10, 25];
  const each = (name: string, value: (k: number) => number) => places.map((k) => [`${name}_${k}`, value(k)]);
  const reciprocal = Math.max(0, ...shown.slice(0, 25).map((id, i) => relevant.has(id) ? 1 / (i + 1) : 0));
  return Object.fromEntries([
    ...each("ndcg", (k) => gain(grades, k) / gain(perfect, k)),
    ...each("precision", (k) => found(k) / k),
    ...each("recall", (k) => found(k) / relevant.size),
    ["mrr_25", reciprocal],
  ]);
}

Deno.test("scoreRanking() agrees with the metrics' definitions on any ranking", () => {
  const random = seededRandom(11);
  for (let n = 0; n < 500; n++) {
    const shown = shuffle(ranking(40), random).slice(0, Math.floor(random() * 41));
    const relevant = new Set(shuffle(ranking(60), random).slice(0, 1 + Math.floor(random() * 40)));
    const [scores, expected] = [scoreRanking(shown, relevant), byDefinition(shown, relevant)];
    for (const metric of METRICS) close(scores[metric], expected[metric]!);
  }
});

Deno.test("scoreRanking() looks at as many places as each metric says", () => {
  for (const metric of METRICS) {
    const k = Number(metric.split("_")[1]);
    assert.ok(scoreRanking(ranking(40), at(k))[metric] > 0, metric);
    assert.equal(scoreRanking(ranking(40), at(k + 1))[metric], 0, metric);
  }
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
