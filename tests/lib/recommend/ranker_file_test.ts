import assert from "node:assert/strict";
import { ManualClock } from "../../../lib/core/clock.ts";
import { decodeRanker, encodeRanker, type Ranker, RANKER_FILE } from "../../../lib/recommend/ranker_file.ts";
import { Recommender } from "../../../lib/recommend/recommender.ts";
import { WEIGHTS } from "../../../lib/recommend/score.ts";
import { carryRanker } from "../../../tasks/steps/ranker.ts";
import { NOW, openWorld, type World } from "./world.ts";

const RANKER: Ranker = {
  weights: { ...WEIGHTS, co_engagement: 0, popularity: 2.5 },
  learnt_for: 7,
  comparison: {
    model: "test",
    events: 12,
    held_back: {
      difference: { mean: 0, low: -0.1, high: 0.1 },
      queries: 600,
      since: "2025-03-01T00:00:00.000Z",
    },
  },
};
const REFUSED = { name: "ParleyError", code: "mismatch", message: /file of ranking weights cannot be used/ };

Deno.test("decodeRanker() gives what encodeRanker() was given", async () => {
  assert.deepEqual(await decodeRanker(encodeRanker(RANKER)), RANKER);
});

Deno.test("decodeRanker() refuses a file that is damaged, or whose weights cannot be used", async () => {
  const file = encodeRanker(RANKER);
  const flipped = file.slice();
  flipped[file.length - 9]! ^= 1;
  const { mention: _, ...some } = WEIGHTS;
  const unusable = [
    { ...WEIGHTS, popularity: 0 },
    { ...WEIGHTS, wording: -0.1 },
    { ...WEIGHTS, wording: NaN },
    { ...WEIGHTS, other: 1 },
    some,
  ].map((weights) => encodeRanker({ ...RANKER, weights: weights as Ranker["weights"] }));
  for (const bytes of [file.subarray(0, 50), flipped, ...unusable]) {
    await assert.rejects(() => decodeRanker(bytes), REFUSED);
  }
});

async function weightsOfAnswer({ stores }: World): Promise<number> {
  const recommender = new Recommender({ stores, clock: new ManualClock(NOW), answer_ms: 60_000 });
  const { provenance } = await recommender.explain({ user_id: "ann", k: 3 });
  const { wording, popularity } = provenance!.weights;
  return popularity / wording;
}

Deno.test("answers are scored with the weights of their version, which the next version keeps if it learns none", async () => {
  const world = await openWorld();
  try {
    const { analytics } = world.stores;
    const ratio = ({ popularity, wording }: Ranker["weights"]) => popularity / wording;
    const isNear = (a: number, b: number) => assert.ok(Math.abs(a - b) < 1e-9, `${a} ${b}`);
    isNear(await weightsOfAnswer(world), ratio(WEIGHTS));
    await carryRanker(analytics, { version: 2 });
    assert.equal(await analytics.file({ version: 2, name: RANKER_FILE }), null);
    await analytics.saveFile({ version: 2, name: RANKER_FILE, bytes: encodeRanker(RANKER) });
    await world.publish(2);
    isNear(await weightsOfAnswer(world), ratio(RANKER.weights));
    await carryRanker(analytics, { version: 3 });
    await world.publish(3);
    isNear(await weightsOfAnswer(world), ratio(RANKER.weights));
    await analytics.saveFile({ version: 4, name: RANKER_FILE, bytes: encodeRanker(RANKER).slice(0, 60) });
    await world.publish(4);
    isNear(await weightsOfAnswer(world), ratio(WEIGHTS));
    await carryRanker(analytics, { version: 5 });
    assert.equal(await analytics.file({ version: 5, name: RANKER_FILE }), null);
  } finally {
    await world.close();
  }
});
