import assert from "node:assert/strict";
import { seededRandom, shuffle } from "../../../lib/core/random.ts";
import { randomOf } from "../../fixtures/vectors.ts";

Deno.test("seededRandom() is mulberry32, so that a seed gives the same folds on every machine and in every version", () => {
  for (const seed of [0, 1, 42, 2 ** 31, 2 ** 32 - 1]) {
    const [ours, theirs] = [seededRandom(seed), randomOf(seed)];
    const first = Array.from({ length: 50 }, ours);
    assert.deepEqual(first, Array.from({ length: 50 }, theirs));
    assert.ok(first.every((x) => x >= 0 && x < 1));
  }
});

Deno.test("shuffle() gives each order equally often, and does not change the list", () => {
  const items = ["a", "b", "c", "d"];
  const random = seededRandom(7);
  const counts = new Map<string, number>();
  for (let n = 0; n < 24_000; n++) {
    const order = shuffle(items, random).join("");
    counts.set(order, (counts.get(order) ?? 0) + 1);
  }
  assert.equal(counts.size, 24);
  // Of 1,000 each; one standard deviation is 31.
  for (const [order, count] of counts) assert.ok(Math.abs(count - 1_000) < 150, `${order}: ${count}`);
  assert.deepEqual(items, ["a", "b", "c", "d"]);
});
