import assert from "node:assert/strict";
import { calibrate, type HeldOutText, scopeScore } from "../../../lib/intents/calibrate.ts";
import { random } from "../../fixtures/rows.ts";
import { noise } from "./samples.ts";

const held = (truth: number, confidence: number, proximity: number): HeldOutText => ({
  truth,
  scores: { logits: Float64Array.of(1, 0), oosFeatures: [confidence, proximity] },
});

Deno.test("calibrate() leaves a sign out that a few texts happen to turn round", async () => {
  // As chance has it, what is out of scope is surer here.
  const few = [
    held(0, -0.9, 8),
    held(1, -0.8, 7),
    held(0, -0.7, 9),
    held(-1, -0.1, 3),
    held(-1, -0.2, 4),
    held(-1, -0.6, 2),
  ];
  const { scope } = await calibrate({ someIntents: few, allIntents: few.slice(0, 3) });
  assert.equal(scope[0], 0, "surer is not less in scope");
  assert.ok(scope[1] > 0);
  const [inside, outside] = [few.slice(0, 3), few.slice(3)].map((some) =>
    some.map(({ scores }) => scopeScore(scores, scope))
  ) as [number[], number[]];
  assert.ok(Math.min(...inside) > Math.max(...outside));
});

Deno.test("calibrate() uses both signs where both speak for what is in scope", async () => {
  const { scope } = await calibrate({
    someIntents: [
      held(0, -0.2, 6),
      held(1, -0.3, 8),
      held(0, -0.6, 7),
      held(-1, -0.5, 5),
      held(-1, -0.9, 6),
      held(-1, -0.8, 3),
    ],
    allIntents: [held(0, -0.2, 6)],
  });
  assert.ok(scope[0] > 0 && scope[1] > 0, `${scope}`);
});

Deno.test("calibrate() takes the threshold that nine of ten new texts reach, whatever their number", async () => {
  const partial = Array.from({ length: 100 }, (_, n) => held(n % 2 - 1, n % 2 - 1, n / 50));
  const next = random(1);
  const some = (count: number) => Array.from({ length: count }, () => held(0, noise(next), 4 + noise(next)));
  for (const count of [60, 150]) {
    let kept = 0, asked = 0;
    for (let draw = 0; draw < 20; draw++) {
      const { scope, threshold } = await calibrate({ someIntents: partial, allIntents: some(count) });
      const scores = some(200).map(({ scores }) => scopeScore(scores, scope));
      kept += scores.filter((score) => score >= threshold).length;
      asked += scores.length;
    }
    // The mean of twenty draws of sixty texts errs by .9 % (one sigma).
    assert.ok(kept / asked > 0.88 && kept / asked < 0.935, `${kept / asked} of ${count} are kept`);
  }
});

Deno.test("calibrate() is stricter with a few texts, whose lowest score says little", async () => {
  const partial = [held(0, -0.2, 6), held(0, -0.3, 7), held(-1, -0.8, 3), held(-1, -0.9, 4)];
  const texts = Array.from({ length: 60 }, (_, n) => held(0, -0.2 - n / 60, 6));
  const [few, many] = [
    await calibrate({ someIntents: partial, allIntents: texts.slice(0, 6) }),
    await calibrate({ someIntents: partial, allIntents: texts }),
  ];
  assert.ok(few.threshold > 0.55, `${few.threshold}`);
  const scores = texts.map(({ scores }) => scopeScore(scores, many.scope)).sort((a, b) => a - b);
  assert.equal(many.threshold, scores[5], "sixty count for themselves alone");
});
