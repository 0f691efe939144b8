import assert from "node:assert/strict";
import { SOURCES } from "../../../lib/recommend/answer.ts";
import { blend, measure, rank, shortlist, sourcesOf, WEIGHTS } from "../../../lib/recommend/rank.ts";
import { campaign, evidence, ranked } from "./samples.ts";

const sum = (weights: typeof WEIGHTS) => SOURCES.reduce((total, source) => total + weights[source], 0);

Deno.test("WEIGHTS add up to 1", () => {
  assert.ok(Math.abs(sum(WEIGHTS) - 1) < 1e-9);
});

Deno.test("measure() leaves all to popularity where nothing else speaks", () => {
  const { weights } = measure([evidence("a")]);
  assert.deepEqual(weights, { similar_users: 0, intent: 0, similarity: 0, popularity: 1 });
});

Deno.test("measure() shares the weight of silent sources among those that speak", () => {
  const { best, weights } = measure([
    evidence("a", { similar_users: 4 }),
    evidence("b", { similar_users: 2 }),
  ]);
  assert.equal(best, 4);
  assert.ok(Math.abs(sum(weights) - 1) < 1e-9);
  assert.equal(weights.intent, 0);
  assert.ok(Math.abs(weights.similar_users / weights.popularity - 0.4 / 0.15) < 1e-9);
});

Deno.test("sourcesOf() scales to 0..1 and never below 0", () => {
  const liked = evidence("a", { similar_users: 4, similarity: 0.25 });
  const dismissed = evidence("b", { similar_users: -3 });
  const o = { best: 4, targets: 0, popularity: 0.5 };
  assert.deepEqual(sourcesOf(liked, o), { similar_users: 1, intent: 0, similarity: 0.25, popularity: 0.5 });
  assert.equal(sourcesOf(dismissed, o).similar_users, 0);
});

Deno.test("sourcesOf() damps an intent by how many the campaign targets", () => {
  const wanted = evidence("a", { intent: 1, intents: [{ intent: "p", share: 1 }] });
  const of = (targets: number) => sourcesOf(wanted, { best: 0, targets, popularity: 0 }).intent;
  assert.equal(of(1), 1);
  assert.equal(of(4), 0.5);
});

Deno.test("blend() is the weighted sum in four decimals", () => {
  const sources = { similar_users: 1 / 3, intent: 0, similarity: 1, popularity: 0 };
  assert.equal(blend(sources, WEIGHTS), 0.3333);
});

Deno.test("shortlist() uses known popularity and breaks ties by id", () => {
  const found = [evidence("b"), evidence("a"), evidence("c")];
  const popularity = new Map([["c", 0.9]]);
  assert.deepEqual(shortlist(found, { measure: measure(found), popularity }), ["c", "a", "b"]);
});

Deno.test("rank() puts the best blend first, ties by id, and skips rows without evidence", () => {
  const found = new Map([
    ["b", evidence("b", { similarity: 0.5 })],
    ["a", evidence("a", { similarity: 0.5 })],
    ["c", evidence("c", { similarity: 1 })],
  ]);
  const rows = ["a", "b", "c", "d"].map((id) => ({ campaign: campaign(id), stats: ranked(id).stats }));
  const order = rank(rows, { measure: measure(found.values()), found });
  assert.deepEqual(order.map((one) => one.campaign.campaign_id), ["c", "a", "b"]);
  assert.ok(order.every((one) => one.score >= 0 && one.score <= 1));
});
