import assert from "node:assert/strict";
import { intentFeatures, intentShares, intentValue } from "../../../../lib/recommend/candidates/intents.ts";

const NOW = Date.UTC(2026, 0, 1);

function close(actual: number | undefined, expected: number) {
  assert.ok(actual !== undefined && Math.abs(actual - expected) < 1e-9, `${actual} is not ${expected}`);
}

Deno.test("intentShares() adds up to 1 and halves the weight per 30 days of age", () => {
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

Deno.test("intentEvidence() matches the user's intents with what campaigns target", () => {
  const shares = new Map([["p", 0.5], ["q", 0.5]]);
  const targets = [
    { campaign_id: "x", intent: "p" },
    { campaign_id: "x", intent: "q" },
    { campaign_id: "y", intent: "q" },
    { campaign_id: "z", intent: "other" },
  ];
  const found = intentFeatures(shares, targets);
  assert.deepEqual([...found.keys()], ["x", "y"]);
  assert.deepEqual(found.get("x")!.matched.map((one) => one.share), [0.5, 0.5]);
  close(intentValue(found.get("x")!, 2), 1);
  close(intentValue(found.get("y")!, 1), Math.SQRT1_2);
});

Deno.test("intentValue() damps an intent by how many the campaign targets", () => {
  const evidence = { matched: [{ intent: "p", share: 1 }], sum: 1 };
  close(intentValue(evidence, 0), 1);
  close(intentValue(evidence, 1), 1);
  close(intentValue(evidence, 4), 0.5);
});
