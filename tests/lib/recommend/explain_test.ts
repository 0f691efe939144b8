import assert from "node:assert/strict";
import type { Reason, Sources } from "../../../lib/recommend/answer.ts";
import type { Evidence } from "../../../lib/recommend/evidence.ts";
import { explain } from "../../../lib/recommend/explain.ts";
import { WEIGHTS } from "../../../lib/recommend/rank.ts";
import type { CampaignStats } from "../../../lib/stores/analytics/port.ts";
import { evidence, ranked } from "./samples.ts";

const NONE: Sources = { similar_users: 0, intent: 0, similarity: 0, popularity: 0 };

function reasons(
  sources: Partial<Sources>,
  o: { evidence?: Partial<Evidence>; stats?: Partial<CampaignStats> } = {},
): readonly Reason[] {
  const plain = ranked("a");
  return explain({
    ...plain,
    sources: { ...NONE, ...sources },
    evidence: evidence("a", o.evidence),
    stats: { ...plain.stats, ...o.stats },
  }, WEIGHTS).reasons;
}

const similar = (converted: number, clicked: number, shown: number) =>
  reasons({ similar_users: 1 }, { evidence: { converted, clicked, shown } })[0]?.text;
const popular = (conversions: number, clicks: number, impressions: number) =>
  reasons({ popularity: 1 }, { stats: { conversions, clicks, impressions } })[0]?.text;

Deno.test("explain() counts similar users with the right number", () => {
  assert.equal(similar(1, 0, 4), "1 person who talks like you chose it.");
  assert.equal(similar(3, 1, 0), "3 people who talk like you chose it, and 1 more looked at it.");
  assert.equal(similar(0, 2, 5), "2 people who talk like you looked at it.");
  assert.equal(similar(0, 0, 1), "1 person who talks like you came across it.");
});

Deno.test("explain() counts everybody's events with the right number", () => {
  assert.equal(popular(1, 2, 9), "Popular: chosen once and clicked twice by everyone together.");
  assert.equal(popular(3, 0, 9), "Popular: chosen 3 times by everyone together.");
  assert.equal(popular(0, 1, 9), "Popular: clicked once by everyone together.");
  assert.equal(popular(0, 0, 9), "Shown 9 times to everyone together.");
  assert.equal(popular(0, 0, 0), "New: nobody has met it yet.");
});

Deno.test("explain() names the user's intents, the most expressed first", () => {
  const intents = [{ intent: "late_delivery", share: 0.2 }, { intent: "refund", share: 0.5 }];
  const [reason] = reasons({ intent: 1 }, { evidence: { intents } });
  assert.deepEqual(reason, {
    code: "intent",
    facts: { intents: ["refund", "late_delivery"], share: 0.7 },
    text: "It answers what you asked about: refund and late delivery.",
  });
});

Deno.test("explain() tells the place of a similar campaign", () => {
  const text = (similarity_rank: number) =>
    reasons({ similarity: 1 }, { evidence: { similarity_rank } })[0]?.text;
  assert.equal(text(1), "It is the closest match to what you talk about.");
  assert.equal(text(3), "It is one of the 3 closest matches to what you talk about.");
});

Deno.test("explain() gives at most three reasons, the weightiest first", () => {
  const all = reasons(
    { similar_users: 0.1, intent: 1, similarity: 1, popularity: 0.5 },
    { evidence: { clicked: 1 } },
  );
  assert.deepEqual(all.map((one) => one.code), ["intent", "similarity", "popular"]);
});

Deno.test("explain() says nothing of users who are only distantly alike", () => {
  const codes = reasons({ similar_users: 1, similarity: 0.1 }).map((one) => one.code);
  assert.deepEqual(codes, ["similarity"]);
});

Deno.test("explain() always gives one reason", () => {
  assert.deepEqual(reasons({}).map((one) => one.code), ["popular"]);
});
