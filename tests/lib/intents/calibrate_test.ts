import assert from "node:assert/strict";
import { calibrate, type HeldOut, scopeScore } from "../../../lib/intents/calibrate.ts";

const held = (truth: number, sure: number, near: number): HeldOut => ({
  truth,
  evidence: { logits: Float64Array.of(1, 0), signs: [sure, near] },
});

Deno.test("calibrate() leaves a sign out that a few texts happen to turn round", () => {
  // As chance has it, what is out of scope is surer here.
  const few = [
    held(0, -0.9, 8),
    held(1, -0.8, 7),
    held(0, -0.7, 9),
    held(-1, -0.1, 3),
    held(-1, -0.2, 4),
    held(-1, -0.6, 2),
  ];
  const { scope } = calibrate(few);
  assert.equal(scope[0], 0, "surer is not less in scope");
  assert.ok(scope[1] > 0);
  const [inside, outside] = [few.slice(0, 3), few.slice(3)].map((some) =>
    some.map(({ evidence }) => scopeScore(evidence, scope))
  ) as [number[], number[]];
  assert.ok(Math.min(...inside) > Math.max(...outside));
});

Deno.test("calibrate() uses both signs where both speak for what is in scope", () => {
  const { scope } = calibrate([
    held(0, -0.2, 6),
    held(1, -0.3, 8),
    held(0, -0.6, 7),
    held(-1, -0.5, 5),
    held(-1, -0.9, 6),
    held(-1, -0.8, 3),
  ]);
  assert.ok(scope[0] > 0 && scope[1] > 0, `${scope}`);
});
