import assert from "node:assert/strict";
import { similarityFeatures } from "../../../../lib/recommend/candidates/similarity.ts";

const values = (
  scores: readonly number[],
) => [...similarityFeatures(scores.map((score, i) => ({ id: `${i}`, score }))).values()];

Deno.test("similarityEvidence() gives much to a campaign far above the mean, and little to the best of many alike", () => {
  const out = values([0.9, ...Array.from({ length: 49 }, (_, i) => 0.5 - i / 1_000)]);
  const alike = values(Array.from({ length: 50 }, (_, i) => 0.5 - i / 1_000));
  assert.ok(out[0]!.value > 0.9 && out[1]!.value < 0.1);
  assert.ok(alike[0]!.value < 0.3);
});

Deno.test("similarityEvidence() does not depend on the level or the width of a model's cosines", () => {
  const wide = values([0.6, 0.4, 0.3, 0.2]);
  const narrow = values([0.96, 0.94, 0.93, 0.92]);
  wide.forEach(({ value }, i) => assert.ok(Math.abs(value - narrow[i]!.value) < 1e-9));
});

Deno.test("similarityEvidence() is 0 at the mean and below it, as for campaigns that were not found", () => {
  assert.deepEqual(values([0.3, 0.3]).map(({ value }) => value), [0, 0]);
  assert.deepEqual(values([0.5, 0.4, 0.4, 0.3]).map(({ value }) => value > 0), [true, false, false, false]);
});

Deno.test("similarityEvidence() ranks from 1, falls with the rank, and gives equals the same", () => {
  const found = values([0.9, 0.7, 0.7, 0.1]);
  assert.deepEqual(found.map(({ rank }) => rank), [1, 2, 3, 4]);
  assert.ok(found[0]!.value > found[1]!.value && found[1]!.value === found[2]!.value);
  assert.deepEqual(values([]), []);
});
