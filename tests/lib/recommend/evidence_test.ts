import assert from "node:assert/strict";
import { collect, gain, intentShares, spread } from "../../../lib/recommend/evidence.ts";
import type { Engagement } from "../../../lib/stores/analytics/port.ts";

const NOW = Date.UTC(2026, 0, 1);
const EMPTY = { users: [], campaigns: [], engaged: [], intents: [], targets: [], now: NOW };

function engagement(user_id: string, campaign_id: string, o: Partial<Engagement>): Engagement {
  return {
    user_id,
    campaign_id,
    impressions: 0,
    clicks: 0,
    conversions: 0,
    dismissals: 0,
    last: "2025-03-01T12:00:00.000Z",
    ...o,
  };
}

function close(actual: number | undefined, expected: number) {
  assert.ok(actual !== undefined && Math.abs(actual - expected) < 1e-9, `${actual} is not ${expected}`);
}

Deno.test("spread() gives the best 1 and the last of n 1/n, whatever the cosines' level", () => {
  const high = spread([{ id: "a", score: 0.9 }, { id: "b", score: 0.8 }, { id: "c", score: 0.7 }]);
  const low = spread([{ id: "a", score: 0.3 }, { id: "b", score: 0.2 }, { id: "c", score: 0.1 }]);
  [1, 2 / 3, 1 / 3].forEach((expected, i) => {
    close(high[i], expected);
    close(low[i], expected);
  });
});

Deno.test("spread() gives equals 1 each and none nothing", () => {
  assert.deepEqual(spread([{ id: "a", score: 0.5 }, { id: "b", score: 0.5 }]), [1, 1]);
  assert.deepEqual(spread([]), []);
});

Deno.test("gain() puts a conversion above a click, an impression near nothing and a dismissal below", () => {
  const none = { impressions: 0, clicks: 0, conversions: 0, dismissals: 0 };
  const of = (o: Partial<typeof none>) => gain({ ...none, ...o });
  assert.equal(of({ conversions: 1 }), 3);
  assert.equal(of({ clicks: 1 }), 1);
  assert.equal(of({ impressions: 1 }), 0.05);
  assert.equal(of({ dismissals: 1 }), -1);
  assert.ok(of({ clicks: 2 }) < 2 * of({ clicks: 1 }));
});

Deno.test("intentShares() adds up to 1 and halves what is 30 days older", () => {
  const shares = intentShares([
    { user_id: "u", intent: "new", count: 1, last: "2025-03-31T00:00:00.000Z" },
    { user_id: "u", intent: "old", count: 1, last: "2025-03-01T00:00:00.000Z" },
  ], NOW);
  close(shares.get("new"), 2 / 3);
  close(shares.get("old"), 1 / 3);
  assert.equal(intentShares([], NOW).size, 0);
});

Deno.test("intentShares() counts an intent stamped years ahead like the newest of the others", () => {
  const intent = (intent: string, count: number, last: string) => ({ user_id: "u", intent, count, last });
  const others = [intent("new", 2, "2025-12-01T00:00:00.000Z"), intent("old", 1, "2025-11-01T00:00:00.000Z")];
  const ahead = intent("ahead", 1, "2106-02-07T06:28:15.000Z");
  const shares = intentShares([...others, ahead], NOW);
  close(shares.get("new"), 2 / 3.5);
  close(shares.get("ahead"), 1 / 3.5);
  close(shares.get("old"), 0.5 / 3.5);
  assert.deepEqual(intentShares([ahead], NOW), new Map([["ahead", 1]]));
});

Deno.test("collect() adds up what similar users did, the more alike the more", () => {
  const found = collect({
    ...EMPTY,
    users: [{ id: "near", score: 0.9 }, { id: "far", score: 0.7 }],
    engaged: [
      engagement("near", "a", { clicks: 1 }),
      engagement("far", "a", { conversions: 1 }),
      engagement("far", "b", { clicks: 1 }),
      engagement("near", "c", { impressions: 1, dismissals: 1 }),
    ],
  });
  close(found.get("a")?.similar_users, 1 * 1 + 0.25 * 3);
  close(found.get("b")?.similar_users, 0.25);
  close(found.get("c")?.similar_users, 0.05 - 1);
});

Deno.test("collect() counts each similar user once, by the furthest step, and no one who dismissed", () => {
  const users = ["a", "b", "c", "d"].map((id) => ({ id, score: 0.5 }));
  const found = collect({
    ...EMPTY,
    users,
    engaged: [
      engagement("a", "x", { conversions: 1, clicks: 4, impressions: 9 }),
      engagement("b", "x", { clicks: 1, impressions: 1 }),
      engagement("c", "x", { impressions: 3 }),
      engagement("d", "x", { impressions: 1, dismissals: 1 }),
    ],
  });
  const { converted, clicked, shown } = found.get("x")!;
  assert.deepEqual({ converted, clicked, shown }, { converted: 1, clicked: 1, shown: 1 });
});

Deno.test("collect() counts no user who is only distantly alike", () => {
  const found = collect({
    ...EMPTY,
    users: [{ id: "a", score: 0.9 }, { id: "b", score: 0.89 }, { id: "c", score: 0.6 }],
    engaged: [engagement("b", "x", { clicks: 1 }), engagement("c", "x", { conversions: 1 })],
  });
  assert.deepEqual([found.get("x")?.converted, found.get("x")?.clicked], [0, 1]);
});

Deno.test("collect() ignores engagement of users who are not neighbours", () => {
  const found = collect({ ...EMPTY, engaged: [engagement("stranger", "x", { conversions: 1 })] });
  assert.equal(found.size, 0);
});

Deno.test("collect() gives a campaign that targets all of the user's intents an intent of √n", () => {
  const last = "2025-03-01T00:00:00.000Z";
  const intents = ["p", "q"].map((intent) => ({ user_id: "u", intent, count: 1, last }));
  const targets = [{ campaign_id: "x", intent: "p" }, { campaign_id: "x", intent: "q" }];
  const evidence = collect({ ...EMPTY, intents, targets }).get("x")!;
  close(evidence.intent, Math.SQRT2);
  assert.deepEqual(evidence.intents.map((one) => one.share), [0.5, 0.5]);
});

Deno.test("collect() keeps the place of a campaign near to the profile", () => {
  const found = collect({ ...EMPTY, campaigns: [{ id: "x", score: 0.6 }, { id: "y", score: 0.5 }] });
  assert.equal(found.get("x")?.similarity_rank, 1);
  assert.equal(found.get("y")?.similarity_rank, 2);
  close(found.get("y")?.similarity, 0.5);
});
