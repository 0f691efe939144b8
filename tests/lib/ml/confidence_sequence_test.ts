import assert from "node:assert/strict";
import { criticalValue, halfWidth } from "../../../lib/ml/confidence_sequence.ts";

Deno.test("criticalValue() is the narrowest interval in standard errors, which halfWidth() has as planned", () => {
  assert.ok(Math.abs(criticalValue(0.05) - 3.035) < 0.001);
  const widthAt = (variance: number) =>
    halfWidth({ variance, planned_variance: 1, alpha: 0.05 }) / Math.sqrt(variance);
  assert.ok(Math.abs(widthAt(1) - criticalValue(0.05)) < 1e-9);
  for (const variance of [0.01, 0.5, 0.9, 1.1, 2, 100]) assert.ok(widthAt(variance) > widthAt(1));
});
