import assert from "node:assert/strict";
import { TopK } from "../../../lib/core/top_k.ts";
import { random } from "../../fixtures/rows.ts";

Deno.test("Best keeps what a sort would put first, of equal scores the lower item", () => {
  const next = random(3);
  const scores = Array.from({ length: 300 }, () => Math.floor(next() * 20));
  const order = [...scores.keys()].sort((a, b) => scores[b]! - scores[a]! || a - b);
  for (const limit of [1, 25, 300, 400]) {
    for (const items of [[...scores.keys()], [...scores.keys()].reverse()]) {
      const best = new TopK(limit);
      for (const item of items) best.add(item, scores[item]!);
      assert.deepEqual(best.list, order.slice(0, limit).map((item) => ({ item, score: scores[item] })));
    }
  }
});
