import assert from "node:assert/strict";
import { ServingMetrics } from "../../../lib/telemetry/serving_metrics.ts";
import { ServingWindow } from "../../../lib/telemetry/serving_window.ts";

const MINUTE = 60_000;
const NOON = Date.parse("2025-03-10T12:00:00.000Z");
const answered = { ms: 1, error: false, hit: false, degraded: false };

Deno.test("ServingWindow counts answers, errors, hits and degraded ones by minute", () => {
  const window = new ServingWindow();
  window.add(answered, NOON);
  window.add({ ...answered, hit: true, degraded: true }, NOON + 59_999);
  window.add({ ...answered, error: true }, NOON + 2 * MINUTE);
  const [first, second, ...more] = window.minutes(NOON + 2 * MINUTE);
  assert.deepEqual(more, []);
  const counts = { requests: 2, errors: 0, hits: 1, degraded: 1 };
  const { p50_ms: _p50, p95_ms: _p95, hit_p95_ms: _hit, made_p95_ms: _made, ...rest } = first!;
  assert.deepEqual(rest, { at: "2025-03-10T12:00:00.000Z", ...counts });
  assert.deepEqual([second?.at, second?.requests, second?.errors], ["2025-03-10T12:02:00.000Z", 1, 1]);
});

Deno.test("ServingWindow gives quantiles within five percent", () => {
  const window = new ServingWindow();
  for (let n = 1; n <= 1_000; n++) window.add({ ...answered, ms: n / 10 }, NOON);
  const [minute] = window.minutes(NOON);
  assert.ok(Math.abs(minute!.p50_ms! / 50 - 1) < 0.05, `${minute!.p50_ms}`);
  assert.ok(Math.abs(minute!.p95_ms! / 95 - 1) < 0.05, `${minute!.p95_ms}`);
});

Deno.test("ServingWindow takes any latency", () => {
  const window = new ServingWindow();
  for (const ms of [0, 0.0001, 1e9]) window.add({ ...answered, ms }, NOON);
  assert.equal(window.minutes(NOON)[0]?.requests, 3);
});

Deno.test("ServingWindow.spans() takes minutes together by the clock", () => {
  const window = new ServingWindow();
  window.add({ ...answered, ms: 8, hit: true }, NOON);
  window.add({ ...answered, ms: 50 }, NOON + 4 * MINUTE);
  window.add({ ...answered, ms: 900 }, NOON + 5 * MINUTE);
  const told = (now: number) =>
    window.spans(now, 5).map(({ at, requests, hits, hit_p95_ms, made_p95_ms }) => [
      at.slice(11, 16),
      ...[requests, hits],
      ...[hit_p95_ms, made_p95_ms].map((ms) => ms === null ? null : ms > 500 ? "slow" : "fast"),
    ]);
  for (const minutes of [5, 9]) {
    assert.deepEqual(told(NOON + minutes * MINUTE), [
      ["12:00", 2, 1, "fast", "fast"],
      ["12:05", 1, 0, null, "slow"],
    ]);
  }
  const later = told(NOON + 119 * MINUTE);
  assert.deepEqual([later.length, later[0], later.at(-1)], [
    24,
    ["12:00", 2, 1, "fast", "fast"],
    ["13:55", 0, 0, null, null],
  ], "spans without requests are spans too");
  assert.deepEqual(told(NOON + 125 * MINUTE), [], "after two hours it is forgotten");
});

Deno.test("ServingWindow.minutes() has the last hour alone", () => {
  const window = new ServingWindow();
  window.add(answered, NOON);
  window.add(answered, NOON + 30 * MINUTE);
  assert.equal(window.minutes(NOON + 59 * MINUTE).length, 2);
  assert.equal(window.minutes(NOON + 60 * MINUTE).length, 1);
  window.add(answered, NOON + 60 * MINUTE);
  assert.deepEqual(window.minutes(NOON + 60 * MINUTE).map(({ requests }) => requests), [1, 1]);
});

Deno.test("ServingMetrics reports each stage's times by minute", () => {
  let now = NOON;
  const metrics = new ServingMetrics({ now: () => now });
  const answer = (timings: Record<string, number>) =>
    metrics.recordAnswer({
      cache: "miss",
      timings: new Map(Object.entries(timings)),
      failures: new Map(),
      degraded: [],
    });
  answer({ vectors: 2, graph: 8 });
  now += MINUTE;
  answer({ vectors: 20 });
  answer({ vectors: 20 });
  const times = (stage: string) =>
    metrics.stageMinutes(stage).map(({ requests, p95_ms }) => [requests, Math.round(p95_ms!)]);
  assert.deepEqual(times("vectors"), [[1, 2], [2, 20]]);
  assert.deepEqual(times("graph"), [[1, 8]]);
  assert.deepEqual(times("rank"), []);
});
