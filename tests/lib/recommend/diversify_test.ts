import assert from "node:assert/strict";
import { diversify, redundancy } from "../../../lib/recommend/diversify.ts";
import type { Ranked } from "../../../lib/recommend/score.ts";
import { campaign, ranked } from "./samples.ts";

const of = (id: string, category: string | null, score: number): Ranked =>
  ranked(id, { campaign: campaign(id, { category }), score });
const ids = (chosen: readonly Ranked[]) => chosen.map((one) => one.campaign.campaign_id);

Deno.test("diversify() keeps the order where all are of one kind", () => {
  assert.deepEqual(ids(diversify([of("a", "x", 0.9), of("b", "x", 0.8), of("c", "x", 0.1)], 3)), [
    "a",
    "b",
    "c",
  ]);
});

Deno.test("diversify() lets a slightly lesser campaign of another kind pass", () => {
  const all = [of("a", "x", 0.9), of("b", "x", 0.88), of("c", "x", 0.865), of("d", "y", 0.86)];
  assert.deepEqual(ids(diversify(all, 4)), ["a", "b", "d", "c"]);
});

Deno.test("diversify() does not lift a far worse campaign", () => {
  const all = [of("a", "x", 0.9), of("b", "x", 0.88), of("c", "y", 0.3)];
  assert.deepEqual(ids(diversify(all, 3)), ["a", "b", "c"]);
});

Deno.test("diversify() begins a longer answer with the shorter one", () => {
  const all = Array.from({ length: 30 }, (_, i) => of(`${i}`, i % 3 === 0 ? "x" : "y", 1 - i / 40));
  assert.deepEqual(ids(diversify(all, 20)).slice(0, 5), ids(diversify(all, 5)));
});

Deno.test("diversify() keeps a top ten of near equals from being one category", () => {
  const crowd = Array.from({ length: 20 }, (_, i) => of(`x${i}`, "x", 0.9 - i / 1_000));
  const others = Array.from({ length: 5 }, (_, i) => of(`y${i}`, "y", 0.86 - i / 1_000));
  const top = diversify([...crowd, ...others], 10);
  assert.ok(top.filter((one) => one.campaign.category === "y").length >= 2);
});

Deno.test("diversify() returns all there are, and never more than k", () => {
  const all = [of("a", null, 0), of("b", null, 0)];
  assert.equal(diversify(all, 5).length, 2);
  assert.equal(diversify(all, 1).length, 1);
  assert.deepEqual(diversify([], 3), []);
});

Deno.test("sameness() weighs category and intents alike, and is full at ten of a kind", () => {
  const one = campaign("a", { category: "x", intents: ["p", "q"] });
  assert.equal(redundancy(one, new Map([["category x", 10], ["intent p", 5]])), (1 + 0.25) / 2);
  assert.equal(redundancy(one, new Map([["category x", 20], ["intent p", 20], ["intent q", 20]])), 1);
  assert.equal(redundancy(campaign("b"), new Map([["category x", 10]])), 0);
});
