import assert from "node:assert/strict";
import { fitWeights, listOf, PRIORS } from "../../../lib/evaluate/fit_weights.ts";
import { seededRandom } from "../../../lib/core/random.ts";
import type { CandidateSet } from "../../../lib/evaluate/rescore.ts";
import { type Source, SOURCES, type Sources } from "../../../lib/recommend/answer.ts";
import { normalizeWeights, scoreOf, WEIGHTS } from "../../../lib/recommend/score.ts";
import { campaign } from "../../fixtures/rows.ts";

const random = seededRandom(1);
const bySource = (value: () => number) =>
  Object.fromEntries(SOURCES.map((source) => [source, value()])) as unknown as Sources;

function candidates(present: ReadonlySet<Source>): CandidateSet {
  const rows = Array.from({ length: 6 }, (_, n) => ({
    campaign: campaign({ campaign_id: `k${n}` }),
    sources: bySource(random),
    features: { fatigue: n % 3 / 10 },
  }));
  return { present, candidates: rows };
}

Deno.test("listOf() has features that give the logarithm of the score by any weights, times those of sources that contribute", () => {
  for (const present of [new Set(SOURCES), new Set(["wording", "intent", "popularity"] as const)]) {
    const set = candidates(present);
    const { features, gains } = listOf(set, (id) => id === "k2" ? 0.5 : 0);
    assert.deepEqual([...gains], [0, 0, 0.5, 0, 0, 0]);
    for (let draw = 0; draw < 5; draw++) {
      const weights = bySource(random);
      const total = [...present].reduce((sum, source) => sum + weights[source], 0);
      for (const [n, { sources, features: own }] of [...set.candidates].entries()) {
        const value = SOURCES.reduce(
          (sum, source, s) => sum + weights[source] * features[n * SOURCES.length + s]!,
          0,
        );
        const score = scoreOf(sources, normalizeWeights(weights, present), own);
        assert.ok(Math.abs(value - total * Math.log(score)) < 1e-5);
      }
    }
  }
});

Deno.test("fitWeights() gives the fixed weights without queries, and weights that add up to as much with some", async () => {
  const none = await fitWeights([]);
  for (const source of SOURCES) assert.ok(Math.abs(none[source] - WEIGHTS[source]) < 1e-9);
  const lists = Array.from({ length: 300 }, () => {
    const set = candidates(new Set(SOURCES));
    const best = [...set.candidates].sort((a, b) => b.sources.wording - a.sources.wording)[0]!;
    return listOf(set, (id) => id === best.campaign.campaign_id ? 1 : 0);
  });
  const learnt = await fitWeights(lists);
  const sum = (weights: Iterable<number>) => [...weights].reduce((a, b) => a + b);
  assert.ok(Math.abs(sum(Object.values(learnt)) - sum(PRIORS)) < 1e-9);
  assert.ok(learnt.wording > 5 * (sum(PRIORS) - learnt.wording), JSON.stringify(learnt));
});
