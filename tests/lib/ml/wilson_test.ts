import assert from "node:assert/strict";
import { wilson } from "../../../lib/ml/wilson.ts";

const rounded = (part: number, whole: number) => {
  const { value, low, high } = wilson(part, whole)!;
  return [value, low, high].map((x) => Math.round(1e4 * x) / 1e4);
};

Deno.test("wilson() gives the intervals of the literature", () => {
  // Newcombe, Two-sided confidence intervals for the single proportion, Statistics in Medicine 17, 1998, table I.
  assert.deepEqual(rounded(81, 263), [0.308, 0.2553, 0.3662]);
  assert.deepEqual(rounded(15, 148), [0.1014, 0.0624, 0.1605]);
  assert.deepEqual(rounded(0, 20), [0, 0, 0.1611]);
  assert.deepEqual(rounded(1, 29), [0.0345, 0.0061, 0.1718]);
});

Deno.test("wilson() says nothing without trials, or with more successes than trials", () => {
  assert.equal(wilson(0, 0), null);
  assert.equal(wilson(3, 2), null);
});

Deno.test("wilson() covers the true rate 95 times of 100", () => {
  let seed = 7;
  const random = () => (seed = seed * 16807 % 2147483647) / 2147483647;
  let covered = 0;
  for (let i = 0; i < 2_000; i++) {
    const clicks = Array.from({ length: 120 }, () => Number(random() < 0.08)).reduce((a, b) => a + b, 0);
    const { low, high } = wilson(clicks, 120)!;
    if (low <= 0.08 && 0.08 <= high) covered++;
  }
  assert.ok(covered > 1_840 && covered < 1_960, String(covered));
});
