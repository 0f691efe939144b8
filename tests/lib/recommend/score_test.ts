import assert from "node:assert/strict";
import { type Source, SOURCES, type Sources } from "../../../lib/recommend/answer.ts";
import type { Features } from "../../../lib/recommend/features.ts";
import {
  contribution,
  featureScores,
  leadingSource,
  rank,
  scoreOf,
  shortlist,
  WEIGHTS,
  weightsFor,
} from "../../../lib/recommend/score.ts";
import { campaign, features, NO_SOURCES, ranked } from "./samples.ts";

const EVIDENCE: Record<Exclude<Source, "popularity">, Partial<Features>> = {
  mention: { mention: true },
  similar_conversations: { similar_conversations: { value: 0.2, supporters: [] } },
  wording: { wording: { value: 0.1, supporters: [] } },
  co_engagement: { co_engagement: 0.3 },
  intent: { intent: { matched: [{ intent: "p", share: 1 }], sum: 1 } },
  similarity: { similarity: { value: 0.4, rank: 1 } },
};
/** Of a campaign that was not shown in vain. */
const FRESH = { fatigue: 0 };
const similar = (value: number) => ({ similarity: { value, rank: 1 } });
const sum = (weights: Sources) => SOURCES.reduce((total, source) => total + weights[source], 0);

/** Numbers 0 ≤ x < 1, the same in each run (mulberry32). */
function* numbers(seed: number): Generator<number, never> {
  for (;;) {
    seed = seed + 0x6d2b79f5 | 0;
    let t = Math.imul(seed ^ seed >>> 15, 1 | seed);
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
    yield ((t ^ t >>> 14) >>> 0) / 2 ** 32;
  }
}
const RANDOM = numbers(1);
const random = () => RANDOM.next().value;
const randomSources = () =>
  Object.fromEntries(SOURCES.map((source) => [source, random()])) as unknown as Sources;
/** Weights over a part of the sources, popularity always among them. */
function randomWeights(): Sources {
  const some = Object.entries(EVIDENCE).filter(() => random() < 0.5).map(([, evidence]) => evidence);
  return weightsFor([features("a", Object.assign({}, ...some))], WEIGHTS);
}

Deno.test("weightsFor() leaves all to popularity if nothing else says anything", () => {
  assert.deepEqual(weightsFor([features("a")], WEIGHTS), { ...NO_SOURCES, popularity: 1 });
  assert.deepEqual(weightsFor([], WEIGHTS), { ...NO_SOURCES, popularity: 1 });
});

for (const [source, evidence] of Object.entries(EVIDENCE) as [Source, Partial<Features>][]) {
  Deno.test(`weightsFor() counts ${source} if one candidate has it, and distributes the weight of absent sources`, () => {
    const weights = weightsFor([features("a"), features("b", evidence)], WEIGHTS);
    assert.ok(Math.abs(sum(weights) - 1) < 1e-9);
    for (const other of SOURCES) assert.equal(weights[other] > 0, other === source || other === "popularity");
    assert.ok(Math.abs(weights[source] / weights.popularity - WEIGHTS[source] / WEIGHTS.popularity) < 1e-9);
  });
}

Deno.test("featureScores() gives each source's value in four decimals", () => {
  const all = features("a", Object.assign({}, ...Object.values(EVIDENCE), { co_engagement: 1 / 3 }));
  assert.deepEqual(featureScores(all, { targets: 4, popularity: 0.5 }), {
    mention: 1,
    similar_conversations: 0.2,
    wording: 0.1,
    co_engagement: 0.3333,
    intent: 0.5,
    similarity: 0.4,
    popularity: 0.5,
  });
  assert.deepEqual(featureScores(features("a"), { targets: 0, popularity: 0 }), NO_SOURCES);
});

Deno.test("scoreOf() is within 0..1, and 1 only if all that counts is 1", () => {
  for (let i = 0; i < 1_000; i++) {
    const score = scoreOf(randomSources(), randomWeights(), FRESH);
    assert.ok(score > 0 && score < 1, `${score}`);
  }
  const ones = Object.fromEntries(SOURCES.map((source) => [source, 1])) as unknown as Sources;
  assert.equal(scoreOf(ones, WEIGHTS, FRESH), 1);
  assert.equal(scoreOf(ones, WEIGHTS, { fatigue: 0.25 }), 0.75);
});

Deno.test("scoreOf() rises with each source that counts, and does not change with one that is absent", () => {
  for (let i = 0; i < 1_000; i++) {
    const [sources, weights] = [randomSources(), randomWeights()];
    const before = scoreOf(sources, weights, FRESH);
    for (const source of SOURCES) {
      const more = scoreOf({ ...sources, [source]: (sources[source] + 1) / 2 }, weights, FRESH);
      if (weights[source] > 0) assert.ok(more > before, source);
      else assert.equal(more, before, source);
    }
  }
});

Deno.test("contribution() is what a source adds to the logarithm of the score", () => {
  for (let i = 0; i < 100; i++) {
    const [sources, weights] = [randomSources(), randomWeights()];
    for (const source of SOURCES) {
      const without = scoreOf({ ...sources, [source]: 0 }, weights, FRESH);
      const adds = Math.log(scoreOf(sources, weights, FRESH) / without);
      assert.ok(Math.abs(contribution(source, sources, weights) - adds) < 1e-9);
    }
  }
  assert.equal(contribution("intent", NO_SOURCES, WEIGHTS), 0);
});

Deno.test("shortlist() sorts by the highest possible score, ties by id", () => {
  const found = [features("b"), features("a"), features("c"), features("d")];
  const o = { weights: weightsFor(found, WEIGHTS), popularity: new Map([["c", 0.9], ["d", 0.1]]) };
  assert.deepEqual(shortlist(found, { ...o, default_popularity: 0 }), ["c", "d", "a", "b"]);
  assert.deepEqual(shortlist(found, { ...o, default_popularity: 0.1 }), ["c", "a", "b", "d"]);
  const tired = found.map((one) => one.campaign_id === "c" ? { ...one, fatigue: 0.5 } : one);
  const popularity = new Map([["c", 0.15], ["d", 0.1]]);
  assert.deepEqual(shortlist(tired, { ...o, popularity, default_popularity: 0 }), ["d", "c", "a", "b"]);
});

Deno.test("leadingSource() is what adds most to all items together", () => {
  const of = (...items: Partial<Sources>[]) =>
    leadingSource(items.map((some) => ({ sources: { ...NO_SOURCES, ...some } })), WEIGHTS);
  assert.equal(of({ similarity: 0.5 }, { intent: 0.5 }, { similarity: 0.5 }), "intent");
  assert.equal(of({ similarity: 1 }, { similarity: 1, popularity: 1 }), "similarity");
  assert.equal(of({ popularity: 1 }), "popularity");
  assert.equal(of({}), "popularity", "new campaigns alone");
  assert.equal(of(), null);
});

Deno.test("rank() puts the best score first, ties by id", () => {
  const found = new Map([
    ["b", features("b", similar(0.5))],
    ["a", features("a", similar(0.5))],
    ["c", features("c", similar(1))],
  ]);
  const rows = ["a", "b", "c"].map((id) => ({ campaign: campaign(id), stats: ranked(id).stats }));
  const order = rank(rows, {
    weights: weightsFor(found.values(), WEIGHTS),
    featuresOf: (id) => found.get(id)!,
  });
  assert.deepEqual(order.map((one) => one.campaign.campaign_id), ["c", "a", "b"]);
});
