import assert from "node:assert/strict";
import { normalProbability, normalQuantile } from "../../../lib/ml/normal.ts";

Deno.test("normalProbability() and normalQuantile() agree with tables", () => {
  for (const [x, p] of [[0, 0.5], [1, 0.8413447461], [1.959963985, 0.975], [-3.090232306, 0.001]] as const) {
    assert.ok(Math.abs(normalProbability(x) - p) < 1e-9, String(x));
    assert.ok(Math.abs(normalQuantile(p) - x) < 1e-7, String(p));
  }
  assert.deepEqual([normalProbability(-40), normalProbability(40)], [0, 1]);
});
