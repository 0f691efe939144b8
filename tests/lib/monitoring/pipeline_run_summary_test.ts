import assert from "node:assert/strict";
import { DAY_MS, iso } from "../../../lib/core/clock.ts";
import { dagSummary } from "../../../lib/monitoring/pipeline_run_summary.ts";
import { DAG, NIGHT, night, withTask } from "../../fixtures/monitoring.ts";

const facts = (ms: number) => DAG.tasks.map((_, i) => ({ rows_in: 100, rows_out: 100 - i, ms }));
const nights = (durations: readonly number[]) => durations.map((ms, n) => night(n, facts(ms)));
const NOW = NIGHT + 20 * DAY_MS;

Deno.test("dagSummary() counts runs, rows and refused rows, by dag and stage", () => {
  const history = nights([1_000, 1_000]).map((one) =>
    withTask(one, "validate", () => ({ quarantined: 5, attempts: 3, lost: 1 }))
  );
  const summary = dagSummary(DAG, history.toReversed(), NOW);
  assert.deepEqual(summary.stages.map(({ task_id }) => task_id), DAG.tasks.map(({ id }) => id));
  const validate = summary.stages[1]!;
  assert.deepEqual(
    [validate.runs, validate.rows_in, validate.rows_out, validate.quarantined, validate.quarantined_share],
    [2, 200, 198, 10, 0.05],
  );
  assert.deepEqual([validate.retries, validate.lost], [4, 2]);
  assert.deepEqual([summary.rows_in, summary.quarantined_share, summary.retries], [200, 0.05, 4]);
  assert.equal(summary.last_run?.run_id, "night 1");
  assert.equal(summary.last_run?.ms, 5_000);
  assert.equal(summary.last_success, iso(NIGHT + DAY_MS + 5_000));
  assert.equal(summary.freshness_s, (19 * DAY_MS - 5_000) / 1_000);
});

Deno.test("dagSummary() takes a run that had nothing to do for no success, and its time for no measure", () => {
  const [a, b] = nights([1_000, 1_000]);
  const idle = { ...b!, run: { ...b!.run, error: "every source is unchanged", ended_at: b!.run.started_at } };
  const { runs, last_success, last_run, durations } = dagSummary(DAG, [idle, a!], NOW);
  assert.deepEqual([runs, last_success, durations.count], [1, a!.run.ended_at, 1]);
  assert.equal(last_run?.state, "skipped");
});

Deno.test("dagSummary() takes neither skipped nor cancelled for success or failure", () => {
  const [a, b, c] = nights([1_000, 1_000, 1_000]);
  const failed = { run: { ...c!.run, state: "failed" as const }, tasks: c!.tasks };
  const history = [
    withTask(failed, "embed", () => ({ state: "failed" })),
    withTask(b!, "embed", () => ({ state: "skipped" })),
    { ...a!, run: { ...a!.run, state: "cancelled" as const } },
  ];
  const { runs, success_rate, stages } = dagSummary(DAG, history, NOW);
  assert.deepEqual([runs, success_rate], [2, 0.5]);
  const embed = stages.find(({ task_id }) => task_id === "embed")!;
  assert.deepEqual([embed.runs, embed.success_rate, embed.last_state], [2, 0.5, "failed"]);
});

Deno.test("dagSummary() reports the spread and the trend of durations", () => {
  const slower = nights([...Array(5).fill(1_000), ...Array(5).fill(1_500)]).toReversed();
  const { count, p50_ms, p95_ms, trend } = dagSummary(DAG, slower, NOW).stages[0]!.durations;
  assert.deepEqual([count, p50_ms, p95_ms, trend], [10, 1_250, 1_500, 0.5]);
  assert.equal(dagSummary(DAG, slower.slice(0, 7), NOW).durations.trend, null, "of too few");
});

Deno.test("dagSummary() takes the middle of an odd number of durations, and the mean of the two in the middle of an even one", () => {
  const spread = (...ms: number[]) => {
    const { count, p50_ms, p95_ms } = dagSummary(DAG, nights(ms).toReversed(), NOW).stages[0]!.durations;
    return [count, p50_ms, Math.round(p95_ms!)];
  };
  assert.deepEqual(spread(7_000), [1, 7_000, 7_000]);
  assert.deepEqual(spread(1_000, 4_000), [2, 2_500, 3_850]);
  assert.deepEqual(spread(9_000, 1_000, 2_000), [3, 2_000, 8_300]);
  assert.deepEqual(spread(9_000, 1_000, 2_000, 4_000), [4, 3_000, 8_250]);
});

Deno.test("dagSummary() counts no duration of a run without a start", () => {
  const [a, b] = nights([1_000, 1_000]);
  const history = [{ ...b!, run: { ...b!.run, started_at: null } }, a!];
  const { runs, durations } = dagSummary(DAG, history, NOW);
  assert.deepEqual([runs, durations.count, durations.p50_ms], [2, 1, 5_000]);
});

Deno.test("dagSummary() compares the newer half with the older, without the middle of an odd number, from eight on", () => {
  const trendOf = (...ms: number[]) =>
    dagSummary(DAG, nights(ms).toReversed(), NOW).stages[0]!.durations.trend;
  const [older, newer] = [Array(4).fill(1_000), Array(4).fill(3_000)];
  assert.equal(trendOf(...older.slice(1), ...newer), null, "seven");
  assert.equal(trendOf(...older, ...newer), 2, "eight");
  assert.equal(trendOf(...older, 999_000, ...newer), 2, "nine");
  assert.equal(trendOf(...newer, ...older), 1 / 3 - 1, "faster");
  // Medians of an even number: of 1, 2, 3, 4 and of 2, 4, 6, 8 seconds.
  assert.equal(trendOf(1_000, 2_000, 3_000, 4_000, 2_000, 4_000, 6_000, 8_000), 1);
  // Of an odd number: of 1, 2, 3, 4, 9 and of 2, 4, 6, 8, 9 seconds.
  assert.equal(trendOf(...[1, 2, 3, 4, 9, 2, 4, 6, 8, 9].map((s) => 1_000 * s)), 1);
  assert.equal(trendOf(...Array(4).fill(0), ...newer), null, "what took no time");
});

Deno.test("dagSummary() of no runs is empty, and tasks that are gone come last", () => {
  const none = dagSummary(DAG, [], NOW);
  assert.deepEqual([none.runs, none.success_rate, none.last_run, none.freshness_s], [0, null, null, null]);
  assert.deepEqual(none.stages[0]!.durations, { count: 0, p50_ms: null, p95_ms: null, trend: null });
  const fewer = { ...DAG, tasks: DAG.tasks.filter(({ id }) => id !== "ingest") };
  const ids = dagSummary(fewer, nights([1_000]), NOW).stages.map(({ task_id }) => task_id);
  assert.deepEqual(ids, ["validate", "documents", "embed", "derive", "ingest"]);
});
