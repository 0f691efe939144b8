import assert from "node:assert/strict";
import { estimatePropensities, inversePropensity, MAX_INVERSE } from "../../../lib/learn/propensities.ts";
import { EXAMINED, shopQueries } from "./shop.ts";

const ALL = EXAMINED.map(() => 1);

Deno.test("estimatePropensities() finds how often places are looked at, although answers put first what users want", async () => {
  const found = await estimatePropensities(shopQueries({ queries: 4_000, seed: 1, examined: EXAMINED }));
  found.forEach((share, at) => assert.ok(Math.abs(share - EXAMINED[at]!) < 0.06, `${at + 1}: ${share}`));
});

Deno.test("estimatePropensities() finds all places alike if users look at all of them", async () => {
  const found = await estimatePropensities(shopQueries({ queries: 4_000, seed: 2, examined: ALL }));
  for (const share of found) assert.ok(share > 0.85 && share <= 1, `${found}`);
});

Deno.test("estimatePropensities() says nothing without lists that are known", async () => {
  const unknown = shopQueries({ queries: 10, seed: 3, examined: ALL }).map((query) => ({
    ...query,
    places: null,
  }));
  assert.deepEqual(await estimatePropensities(unknown), []);
});

Deno.test("inversePropensity() is clipped, 1 for an unknown place, and that of the last place for places after it", () => {
  const propensities = [1, 0.5, 0.01];
  const places = [1, 2, 3, 9, undefined];
  assert.deepEqual(places.map((place) => inversePropensity(propensities, place)), [
    1,
    2,
    MAX_INVERSE,
    MAX_INVERSE,
    1,
  ]);
  assert.equal(inversePropensity([], 3), 1);
});
