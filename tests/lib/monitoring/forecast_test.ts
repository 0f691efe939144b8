import { DAY_MS } from "../../../lib/core/clock.ts";
import assert from "node:assert/strict";
import { forecast, forecastShare, median, MIN_HISTORY, quantile } from "../../../lib/monitoring/forecast.ts";
import { NIGHT, seeded } from "../../fixtures/monitoring.ts";

const series = (values: readonly number[]) => values.map((value, i) => ({ at: NIGHT + i * DAY_MS, value }));
const next = (values: readonly number[]) => forecast(series(values), NIGHT + values.length * DAY_MS);

Deno.test("median() is the middle of an odd number of values, the mean of the two in the middle of an even one", () => {
  assert.equal(median([]), 0);
  assert.equal(median([5]), 5);
  assert.equal(median([5, 1]), 3);
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([40, 10, 30, 20]), 25);
  assert.equal(median([100, 9, 20, 8, 7]), 9, "by size, and not as texts");
});

Deno.test("quantile() interpolates as type 7 does, from the least to the largest, and leaves the values as they are", () => {
  const values = [50, 10, 40, 20, 30];
  assert.deepEqual([0, 0.25, 0.5, 0.6, 1].map((q) => quantile(values, q)), [10, 20, 30, 34, 50]);
  assert.ok(Math.abs(quantile(values, 0.95) - 48) < 1e-9);
  assert.deepEqual(values, [50, 10, 40, 20, 30]);
});

Deno.test("forecast() says nothing of less than its least history", () => {
  const values = Array.from({ length: MIN_HISTORY - 1 }, () => 5);
  assert.equal(next(values), null);
  assert.notEqual(next([...values, 5]), null);
});

Deno.test("forecast() knows weekdays once it has three of each", () => {
  const week = [100, 100, 100, 100, 100, 20, 20];
  const weekend = next([...week, ...week, ...week, ...week.slice(0, 5)])!;
  assert.ok(Math.abs(weekend.expected - 20) < 0.5, `${weekend.expected} on a Saturday`);
  assert.ok(weekend.high < 40);
  const early = next([...week, ...week.slice(0, 5)])!;
  assert.ok(early.low < 20, "before that it leaves room for what it saw");
});

Deno.test("forecast() follows growth, through a weekly pattern and outliers", () => {
  const values = Array.from({ length: 42 }, (_, i) => (i % 7 > 4 ? 500 : 1_000) * 1.02 ** i);
  values[10] = 1;
  values[30] = 1e6;
  const { expected, low, high } = next(values)!;
  const truth = 1_000 * 1.02 ** 42;
  assert.ok(Math.abs(expected / truth - 1) < 0.02, `${expected} for ${truth}`);
  assert.ok(low > 0.8 * truth && high < 1.25 * truth);
});

Deno.test("forecast() estimates the scale of normal noise", () => {
  const random = seeded(7);
  const noise = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const widths = Array.from({ length: 200 }, () => {
    const values = Array.from({ length: 42 }, () => Math.expm1(10 + 0.2 * noise()));
    const { low, high } = next(values)!;
    return (Math.log1p(high) - Math.log1p(low)) / 2;
  });
  // 3.5 deviations, widened for 42 nights.
  assert.ok(Math.abs(median(widths) / (0.2 * 3.5 * (1 + 8 / 42)) - 1) < 0.1, `${median(widths)}`);
});

Deno.test("forecastShare() leaves room for chance, more in a small count", () => {
  const history = Array.from({ length: 20 }, () => ({ part: 10, whole: 1_000 }));
  const small = forecastShare(history, 50)!, large = forecastShare(history, 100_000)!;
  assert.equal(small.expected, 0.01);
  assert.ok(small.high > 0.05 && large.high < 0.02);
  assert.ok(forecastShare(history.map(() => ({ part: 0, whole: 1_000 })), 100)!.high > 0.01);
  assert.equal(forecastShare(history.slice(0, 7), 50), null);
  assert.equal(forecastShare(history, 0), null);
});
