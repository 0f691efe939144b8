import assert from "node:assert/strict";
import { type Interactions, type ItemWeights, learnItemWeights } from "../../../lib/recommend/item_item.ts";

function interactions(rows: readonly (readonly number[])[], count: number): Interactions {
  const offsets = new Uint32Array(rows.length + 1);
  rows.forEach((row, u) => offsets[u + 1] = offsets[u]! + row.length);
  return { offsets, items: Uint32Array.from(rows.flat()), count };
}

function weight({ offsets, targets, weights }: ItemWeights, source: number, target: number): number {
  for (let at = offsets[source]!; at < offsets[source + 1]!; at++) {
    if (targets[at] === target) return weights[at]!;
  }
  return 0;
}

const times = (n: number, row: readonly number[]) => Array.from({ length: n }, () => row);

Deno.test("learnItemWeights() gives related campaigns more weight than merely popular ones", async () => {
  // 0 and 1 go together; 2 goes with everything; 3 goes with none of them.
  const rows = [...times(200, [0, 1, 2]), ...times(200, [2, 3]), ...times(200, [2])];
  const learned = await learnItemWeights(interactions(rows, 5));
  assert.ok(weight(learned, 1, 0) > 2 * weight(learned, 2, 0));
  assert.ok(weight(learned, 1, 0) > 0.5);
  assert.equal(weight(learned, 0, 3), 0);
  assert.equal(weight(learned, 0, 0), 0);
});

Deno.test("learnItemWeights() gives weights below 0 to what speaks against an item", async () => {
  // Of those who took 2, some took 0 and the others 1; 0 and 1 met a few times only.
  const rows = [...times(300, [0, 2]), ...times(300, [1, 2]), ...times(5, [0, 1, 2])];
  const learned = await learnItemWeights(interactions(rows, 3));
  assert.ok(weight(learned, 2, 0) > 0);
  assert.ok(weight(learned, 1, 0) < 0);
});

Deno.test("learnItemWeights() is the regression on all other items if these are few", async () => {
  const rows = [...times(120, [0, 1]), ...times(80, [1, 2]), ...times(60, [0, 2]), ...times(40, [0, 1, 2])];
  const learned = await learnItemWeights(interactions(rows, 3));
  // Column 0: (G + 100 I) b = g over the items 1 and 2, solved by hand.
  const [g11, g22, g12, g10, g20] = [240 + 100, 180 + 100, 120, 160, 100];
  const determinant = g11 * g22 - g12 * g12;
  assert.ok(Math.abs(weight(learned, 1, 0) - (g10 * g22 - g12 * g20) / determinant) < 1e-6);
  assert.ok(Math.abs(weight(learned, 2, 0) - (g11 * g20 - g12 * g10) / determinant) < 1e-6);
});

Deno.test("learnItemWeights() takes no users, no items and items that no user met", async () => {
  assert.deepEqual([...(await learnItemWeights(interactions([], 0))).offsets], [0]);
  const learned = await learnItemWeights(interactions([[1], []], 3));
  assert.deepEqual([...learned.offsets], [0, 0, 0, 0]);
});

Deno.test("learnItemWeights() stops when its signal is aborted", async () => {
  const signal = AbortSignal.abort(new Error("enough"));
  await assert.rejects(learnItemWeights(interactions([[0, 1]], 2), { signal }), /enough/);
});
