import assert from "node:assert/strict";
import { Candidates, NO_SOURCE_RESULTS, type SourceResults } from "../../../lib/recommend/features.ts";
import { engagement } from "./samples.ts";

const SPOKE = {
  conversation_id: "d",
  user_id: "cat",
  campaign_id: "said",
  impressions: 0,
  clicks: 0,
  conversions: 1,
  dismissals: 0,
};
const EVIDENCE: SourceResults = {
  own: [engagement("ann", "popular", { impressions: 3 })],
  wording_neighbours: [{ conversation_id: "d", user_id: "cat", cosine: 0.5, weight: 1, engagement: [SPOKE] }],
  mentions: ["named"],
  negated: new Set(["talked"]),
  neighbours: [{
    conversation_id: "c",
    user_id: "bob",
    cosine: 0.9,
    weight: 1,
    engagement: [{
      conversation_id: "c",
      user_id: "bob",
      campaign_id: "talked",
      impressions: 1,
      clicks: 1,
      conversions: 0,
      dismissals: 0,
    }],
  }],
  campaigns: [{ id: "worded", score: 0.7 }, { id: "talked", score: 0.6 }],
  intents: [{ user_id: "ann", intent: "p", count: 1, last: "2025-03-01T00:00:00.000Z" }],
  targets: [{ campaign_id: "targeting", intent: "p" }],
  related: {
    strongest: ["related"],
    value: (id) => id === "related" ? 0.5 : id === "popular" ? 0.1 : 0,
    cause: () => null,
  },
};

Deno.test("Candidates are what any source found, each known to all sources", () => {
  const candidates = new Candidates(EVIDENCE, Date.UTC(2026, 0, 1));
  const ids = [...candidates.all()].map(({ campaign_id }) => campaign_id);
  assert.deepEqual(ids.toSorted(), ["named", "related", "said", "talked", "targeting", "worded"]);
  const talked = candidates.get("talked")!;
  assert.deepEqual([talked.similar_conversations?.value, talked.similarity?.rank], [0.125, 2]);
  assert.deepEqual(candidates.get("targeting")!.intent?.matched, [{ intent: "p", share: 1 }]);
  assert.equal(candidates.get("related")!.co_engagement, 0.5);
  assert.deepEqual([candidates.get("said")!.wording?.value, talked.wording], [0.25, undefined]);
  assert.deepEqual([candidates.get("named")!.mention, talked.mention], [true, false]);
  assert.equal(candidates.get("popular"), undefined);
  candidates.add(["popular"]);
  assert.deepEqual(["popular", "talked"].map((id) => candidates.get(id)!.fatigue), [0.2, 0.5]);
});

Deno.test("Candidates.add() gives the sources' values of a campaign that no source proposed", () => {
  const candidates = new Candidates(EVIDENCE, Date.UTC(2026, 0, 1));
  candidates.add(["popular", "talked"]);
  assert.equal(candidates.size, 7);
  assert.equal(candidates.get("popular")!.co_engagement, 0.1);
  assert.equal(candidates.get("talked")!.similarity?.rank, 2);
});

Deno.test("Candidates without evidence are blank", () => {
  const candidates = new Candidates(NO_SOURCE_RESULTS, 0);
  candidates.add(["a"]);
  assert.deepEqual([...candidates.all()], [{
    campaign_id: "a",
    similar_conversations: undefined,
    wording: undefined,
    mention: false,
    co_engagement: 0,
    intent: undefined,
    similarity: undefined,
    fatigue: 0,
  }]);
});
