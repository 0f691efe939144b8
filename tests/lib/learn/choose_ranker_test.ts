import assert from "node:assert/strict";
import { chooseRanker, type LearningQuery, MIN_HELD_OUT } from "../../../lib/learn/choose_ranker.ts";
import { WEIGHTS } from "../../../lib/recommend/score.ts";
import { distance, EXAMINED, shopQueries, WANTED } from "./shop.ts";

const ALL = EXAMINED.map(() => 1);
const isOdd = (user: number) => user % 2 === 1;
const shop = (examined: readonly number[], seed: number, queries = 2_000) =>
  shopQueries({ queries, seed, examined, held_out: isOdd });
const withoutPlaces = (queries: readonly LearningQuery[]) =>
  queries.map((query) => ({ ...query, places: null }));
const learn = async (queries: readonly LearningQuery[]) =>
  (await chooseRanker(queries, { before: WEIGHTS })).learnt!;

Deno.test("chooseRanker() learns what users want from choices that depend on the place too, four times as near as without correction", async () => {
  const queries = shop(EXAMINED, 1, 6_000);
  const corrected = distance(await learn(queries));
  const uncorrected = distance(await learn(withoutPlaces(queries)));
  const unbiased = distance(await learn(shop(ALL, 11, 5_000)));
  const found = `${corrected}, ${uncorrected} without correction, ${unbiased} from choices among all places`;
  assert.ok(corrected < 0.15 && corrected < uncorrected / 4 && unbiased < 0.12, found);
});

Deno.test("chooseRanker() takes weights that are better on other users, and gives the same each time", async () => {
  const queries = shop(ALL, 3);
  const chosen = await chooseRanker(queries, { before: WEIGHTS });
  assert.equal(chosen.outcome, "adopted");
  assert.ok(chosen.difference!.low > 0);
  assert.equal(chosen.weights, chosen.learnt);
  const counts = [chosen.queries.training, chosen.queries.held_out];
  assert.deepEqual(counts, [1_000, 1_000]);
  assert.deepEqual(await chooseRanker(queries, { before: WEIGHTS }), chosen);
});

Deno.test("chooseRanker() keeps the weights from before if the learnt ones are worse on users who are held out", async () => {
  const before = { ...WEIGHTS, ...WANTED };
  // Those who are learnt from chose what is worst.
  const queries = shop(ALL, 4).map((query) => query.is_held_out ? query : worst(query));
  const { outcome, weights, learnt, difference } = await chooseRanker(queries, { before });
  assert.deepEqual([outcome, weights], ["held_back", before]);
  assert.ok(difference!.high < 0 && distance(learnt!) > 0.5);
});

Deno.test("chooseRanker() learns nothing from users who are held out", async () => {
  const queries = shop(ALL, 5);
  const others = queries.map((query) => query.is_held_out ? worst(query) : query);
  assert.deepEqual(await learn(others), await learn(queries));
});

Deno.test(`chooseRanker() compares nothing with fewer than ${MIN_HELD_OUT} queries that are held out, and takes the fixed weights`, async () => {
  const queries = shop(ALL, 6);
  const training = queries.filter(({ is_held_out }) => !is_held_out);
  const held_out = queries.filter(({ is_held_out }) => is_held_out);
  const before = { ...WEIGHTS, ...WANTED };
  const few = await chooseRanker([...training, ...held_out.slice(0, MIN_HELD_OUT - 1)], { before });
  assert.deepEqual([few.outcome, few.weights], ["too_few", WEIGHTS]);
  assert.deepEqual([few.learnt, few.difference], [null, null]);
  const enough = await chooseRanker([...training, ...held_out.slice(0, MIN_HELD_OUT)], { before });
  assert.ok(enough.learnt !== null && enough.difference !== null);
});

/** The query of a user who chose the campaign that the sources say least of. */
function worst(query: LearningQuery): LearningQuery {
  const [least] = [...query.candidates.candidates].sort((a, b) =>
    a.sources.similar_conversations * a.sources.co_engagement -
    b.sources.similar_conversations * b.sources.co_engagement
  );
  return { ...query, gains: new Map([[least!.campaign.campaign_id, 1]]) };
}
