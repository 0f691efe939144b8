import assert from "node:assert/strict";
import { chooseWeights, type EvaluatedQuery } from "../../../lib/evaluate/choose_weights.ts";
import { seededRandom } from "../../../lib/core/random.ts";
import { SOURCES } from "../../../lib/recommend/answer.ts";
import { WEIGHTS } from "../../../lib/recommend/score.ts";
import { campaign } from "../../fixtures/rows.ts";
import { NO_SOURCES } from "../recommend/samples.ts";

const CAMPAIGNS = Array.from({ length: 30 }, (_, i) => campaign({ campaign_id: `c${i}` }));

/** Queries whose relevant campaign `good` puts first by a lead, while `bad` says much of others. */
function cases(
  persons: readonly string[],
  good: "intent" | "similarity",
  bad: "intent" | "similarity",
  lead = 0.1,
): EvaluatedQuery[] {
  const random = seededRandom(3);
  return persons.map((person, n) => ({
    query: { user_id: `q${n}`, person, messages: [], events: [], relevant: new Set([`c${n % 30}`]) },
    weighable: {
      present: new Set([good, bad, "popularity"] as const),
      candidates: CAMPAIGNS.map((campaign, i) => ({
        campaign,
        sources: { ...NO_SOURCES, [good]: i === n % 30 ? 0.4 + lead : 0.4, [bad]: random(), popularity: 0.1 },
        features: { fatigue: 0 },
      })),
    },
  }));
}

const persons = (prefix: string, n: number) => Array.from({ length: n }, (_, i) => `${prefix}${i}`);
const options = { groups: 4, seed: 5 };

Deno.test("chooseWeights() finds the source that helps, for each group of users, and counts every query once", async () => {
  const some = cases(persons("u", 40), "intent", "similarity");
  const { groups, weightsOf } = await chooseWeights(some, options);
  assert.equal(groups.length, 4);
  assert.equal(groups.reduce((sum, { queries }) => sum + queries, 0), 40);
  for (const { weights } of groups) {
    assert.ok(weights.similarity < 0.1 * weights.intent);
    assert.ok(weights.popularity > 0);
    assert.ok(Math.abs(SOURCES.reduce((sum, source) => sum + weights[source], 0) - 1) < 1e-3);
  }
  assert.equal(weightsOf.length, 40);
});

Deno.test("chooseWeights() gives no weight to a source that misleads with any, and still some to popularity", async () => {
  const { groups } = await chooseWeights(cases(persons("u", 20), "intent", "similarity", 1e-6), options);
  for (const { weights } of groups) {
    assert.equal(weights.similarity, 0);
    assert.ok(weights.intent > 0 && weights.popularity > 0);
  }
});

Deno.test("chooseWeights() chooses a user's weights without that user's queries", async () => {
  const others = cases(persons("u", 20), "intent", "similarity");
  const own = cases(Array(200).fill("odd"), "similarity", "intent");
  const { weightsOf } = await chooseWeights([...others, ...own], { ...options, groups: 21 });
  const [first, odd] = [weightsOf[0]!, weightsOf.at(-1)!];
  assert.ok(odd.similarity < 0.1 * odd.intent, "by the others, similarity misleads");
  assert.ok(first.similarity > first.intent, "by 200 queries of one other user, intents mislead");
});

Deno.test("chooseWeights() keeps the fixed weights if no others are better, and chooses nothing of nothing", async () => {
  const alike = cases(persons("u", 8), "intent", "similarity").map((one) => ({
    ...one,
    weighable: { ...one.weighable, candidates: [...one.weighable.candidates].filter((_, i) => i === 0) },
  }));
  const { groups } = await chooseWeights(alike, options);
  const total = SOURCES.reduce((sum, source) => sum + WEIGHTS[source], 0);
  for (const { weights } of groups) {
    for (const source of SOURCES) assert.ok(Math.abs(weights[source] - WEIGHTS[source] / total) < 1e-4);
  }
  assert.deepEqual(await chooseWeights([], options), { groups: [], weightsOf: [] });
});
