import assert from "node:assert/strict";
import { type Reason, SOURCES, type Sources } from "../../../lib/recommend/answer.ts";
import type { Supporter } from "../../../lib/recommend/candidates/similar_conversations.ts";
import { type Cause, explain } from "../../../lib/recommend/explain.ts";
import type { Features } from "../../../lib/recommend/features.ts";
import { contribution, WEIGHTS } from "../../../lib/recommend/score.ts";
import type { CampaignStats } from "../../../lib/stores/analytics/port.ts";
import { features, NO_SOURCES, ranked } from "./samples.ts";

const CAUSE: Cause = { campaign_id: "own", title: "Trail map", engagement: "conversion" };
const NONE = { impressions: 0, clicks: 0, conversions: 0, dismissals: 0 };
/** Conversations of so many people, who went so far. */
function people(converted: number, clicked: number, shown: number): Supporter[] {
  const did = (count: number, options: Partial<typeof NONE>) =>
    Array.from({ length: count }, () => ({ contribution: 1, engagement: { ...NONE, ...options } }));
  return [
    ...did(converted, { conversions: 1 }),
    ...did(clicked, { clicks: 1 }),
    ...did(shown, { impressions: 1 }),
  ]
    .map((one, i) => ({ ...one, user_id: `u${i}` }));
}
/** What every source that counts for something knows. */
const KNOWN: Partial<Features> = {
  mention: true,
  wording: { value: 0.5, supporters: people(0, 1, 0) },
  similar_conversations: { value: 0.5, supporters: people(0, 1, 0) },
  intent: { matched: [{ intent: "refund", share: 1 }], sum: 1 },
  similarity: { value: 0.5, rank: 2 },
};

function reasons(
  sources: Partial<Sources>,
  options: { features?: Partial<Features>; stats?: Partial<CampaignStats>; cause?: Cause } = {},
): readonly Reason[] {
  const plain = ranked("a");
  const one = {
    ...plain,
    sources: { ...NO_SOURCES, ...sources },
    features: features("a", { ...KNOWN, ...options.features }),
    stats: { ...plain.stats, ...options.stats },
  };
  return explain(one, { weights: WEIGHTS, causes: new Map([["a", options.cause ?? CAUSE]]) }).reasons;
}

const similar = (converted: number, clicked: number, shown: number) =>
  reasons({ similar_conversations: 1 }, {
    features: { similar_conversations: { value: 1, supporters: people(converted, clicked, shown) } },
  })[0]?.text;
const popular = (conversions: number, clicks: number, impressions: number) =>
  reasons({ popularity: 1 }, { stats: { conversions, clicks, impressions } })[0]?.text;

Deno.test("explain() counts people with similar requests", () => {
  const asked = "asked for something like this and";
  assert.equal(similar(1, 0, 4), `1 person ${asked} chose it.`);
  assert.equal(similar(3, 1, 0), `3 people ${asked} chose it, and 1 more looked at it.`);
  assert.equal(similar(0, 2, 5), `2 people ${asked} looked at it.`);
  assert.equal(similar(0, 0, 1), `1 person ${asked} came across it.`);
});

Deno.test("explain() counts people with similar wording, and says that a campaign was named", () => {
  const wording = { value: 1, supporters: people(2, 1, 0) };
  assert.deepEqual(reasons({ wording: 1 }, { features: { wording } }), [{
    code: "wording",
    facts: { converted: 2, clicked: 1, shown: 0 },
    text: "2 people asked in words like yours and chose it, and 1 more looked at it.",
  }]);
  assert.deepEqual(reasons({ mention: 1 }, { features: { mention: true } }), [
    { code: "mention", facts: {}, text: "You named it." },
  ]);
});

Deno.test("explain() names what the user engaged with, and how", () => {
  const [reason] = reasons({ co_engagement: 0.2 });
  const text = "It goes with Trail map, which you chose.";
  assert.deepEqual(reason, { code: "co_engagement", facts: CAUSE, text });
  const textOf = (cause: Cause) => reasons({ co_engagement: 0.2 }, { cause })[0]?.text;
  assert.equal(textOf({ ...CAUSE, engagement: "click" }), "It goes with Trail map, which you looked at.");
  assert.equal(textOf({ ...CAUSE, engagement: "mention" }), "It goes with Trail map, which you named.");
  assert.equal(textOf({ ...CAUSE, title: null }), "It goes with something that you chose.");
});

Deno.test("explain() counts all users' events with the right number", () => {
  assert.equal(popular(1, 2, 9), "Popular: chosen once and clicked twice by everyone together.");
  assert.equal(popular(3, 0, 9), "Popular: chosen 3 times by everyone together.");
  assert.equal(popular(0, 1, 9), "Popular: clicked once by everyone together.");
  assert.equal(popular(0, 0, 9), "Shown 9 times to everyone together.");
  assert.equal(popular(0, 0, 0), "New campaign.");
});

Deno.test("explain() names the user's intents, the most expressed first", () => {
  const matched = [{ intent: "late_delivery", share: 0.2 }, { intent: "refund", share: 0.5 }];
  const [reason] = reasons({ intent: 1 }, { features: { intent: { matched, sum: 1 } } });
  assert.deepEqual(reason, {
    code: "intent",
    facts: { intents: ["refund", "late_delivery"], share: 0.7 },
    text: "It answers what you asked about: refund and late delivery.",
  });
});

Deno.test("explain() gives the rank of a similar campaign", () => {
  const text = (rank: number) =>
    reasons({ similarity: 1 }, { features: { similarity: { value: 1, rank } } })[0]?.text;
  assert.equal(text(1), "It is the closest match to what you talk about.");
  assert.equal(text(3), "It is one of the 3 closest matches to what you talk about.");
});

Deno.test("explain() gives at most three reasons, the weightiest first", () => {
  const all = reasons({
    similar_conversations: 0.5,
    co_engagement: 0.5,
    intent: 1,
    similarity: 1,
    popularity: 0.5,
  });
  assert.deepEqual(all.map((one) => one.code), ["similar_conversations", "intent", "co_engagement"]);
});

Deno.test("explain() counts people once whose requests are similar in meaning and in wording, by the larger weight", () => {
  const codes = (sources: Partial<Sources>) => reasons(sources).map(({ code }) => code);
  assert.deepEqual(codes({ similar_conversations: 0.5, wording: 0.5 }), ["similar_conversations"]);
  assert.deepEqual(codes({ similar_conversations: 0.02, wording: 0.9 }), ["wording"]);
});

Deno.test("explain() leaves out a reason that adds little", () => {
  const codes = reasons({ similar_conversations: 0.5, similarity: 0.02 }).map((one) => one.code);
  assert.deepEqual(codes, ["similar_conversations"]);
});

Deno.test("explain() has the weightiest source among the reasons, whichever it is", () => {
  for (const weightiest of SOURCES) {
    const sources = { ...NO_SOURCES, popularity: 0.01, [weightiest]: 0.9 };
    const adds = SOURCES.map((source) => contribution(source, sources, WEIGHTS));
    assert.equal(SOURCES[adds.indexOf(Math.max(...adds))], weightiest);
    const code = weightiest === "popularity" ? "popular" : weightiest;
    assert.equal(reasons(sources)[0]?.code, code);
  }
});

Deno.test("explain() always gives one reason", () => {
  assert.deepEqual(reasons({}).map((one) => one.code), ["popular"]);
});
