import assert from "node:assert/strict";
import { fatigueOf } from "../../../lib/recommend/fatigue.ts";

const of = (impressions: number, clicks = 0, conversions = 0) =>
  fatigueOf({ impressions, clicks, conversions, dismissals: 0 });

Deno.test("fatigueOf() rises with each showing after the first, up to half", () => {
  assert.deepEqual([0, 1, 2, 4, 6, 7, 1_000].map((n) => of(n)), [0, 0, 0.1, 0.3, 0.5, 0.5, 0.5]);
});

Deno.test("fatigueOf() is 0 for a campaign that was clicked or converted on, however often it was shown", () => {
  assert.deepEqual([of(50, 1), of(50, 0, 1)], [0, 0]);
});
