import assert from "node:assert/strict";
import { calibrate, type HeldOut, scopeScore } from "../../../lib/intents/calibrate.ts";
import { random } from "../../fixtures/rows.ts";
import { noise } from "./samples.ts";

const held = (truth: number, sure: number, near: number): HeldOut => ({
  truth,
  evidence: { logits: Float64Array.of(1, 0), oosFeatures: [sure, near] },
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
  const { scope } = await calibrate({ partial: few, whole: few.slice(0, 3) });
  assert.equal(scope[0], 0, "surer is not less in scope");
  assert.ok(scope[1] > 0);
  const [inside, outside] = [few.slice(0, 3), few.slice(3)].map((some) =>
    some.map(({ evidence }) => scopeScore(evidence, scope))
  ) as [number[], number[]];
  assert.ok(Math.min(...inside) > Math.max(...outside));
});

Deno.test("calibrate() uses both signs where both speak for what is in scope", async () => {
  const { scope } = await calibrate({
    partial: [
      held(0, -0.2, 6),
      held(1, -0.3, 8),
      held(0, -0.6, 7),
      held(-1, -0.5, 5),
      held(-1, -0.9, 6),
      held(-1, -0.8, 3),
    ],
    whole: [held(0, -0.2, 6)],
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
      const { scope, threshold } = await calibrate({ partial, whole: some(count) });
      const scores = some(200).map(({ evidence }) => scopeScore(evidence, scope));
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
    await calibrate({ partial, whole: texts.slice(0, 6) }),
    await calibrate({ partial, whole: texts }),
  ];
  assert.ok(few.threshold > 0.55, `${few.threshold}`);
  const scores = texts.map(({ evidence }) => scopeScore(evidence, many.scope)).sort((a, b) => a - b);
  assert.equal(many.threshold, scores[5], "sixty count for themselves alone");
});
