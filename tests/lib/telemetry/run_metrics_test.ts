import assert from "node:assert/strict";
import { ManualClock, systemClock } from "../../../lib/core/clock.ts";
import { clearRun } from "../../../lib/dag/clear.ts";
import { createRun } from "../../../lib/dag/runs.ts";
import type { TaskContext } from "../../../lib/dag/types.ts";
import type { RunStore } from "../../../lib/stores/runs/port.ts";
import { Histogram } from "../../../lib/telemetry/metric_families.ts";
import { RunMetrics } from "../../../lib/telemetry/run_metrics.ts";
import { dagOf, driveRun, options, runToEnd, skip, sleep, withRuns } from "../../fixtures/dag.ts";

/** Families as `name label label: value`; of a histogram how often it was observed. */
async function read(figures: RunMetrics): Promise<Record<string, number>> {
  return Object.fromEntries(
    (await figures.families()).flatMap(({ name, points }) =>
      points.map(({ labels, value }) => [
        [name.replace(/^parley_/, ""), ...Object.values(labels)].join(" "),
        value instanceof Histogram ? value.count : value,
      ])
    ),
  );
}

/** Metrics without a cache. */
function classifierMetrics(runs: RunStore) {
  const clock = new ManualClock(Date.now());
  const figures = new RunMetrics(clock, runs);
  return () => {
    clock.advance(10_000);
    return read(figures);
  };
}

let broken = true;
const dag = dagOf([
  {
    id: "load",
    run: (context: TaskContext<null>) => {
      context.rows({ in: 10, out: 7, quarantined: 3 });
      return Promise.resolve();
    },
  },
  { id: "idle", run: skip },
  {
    id: "publish",
    needs: ["load"],
    run: () => broken ? Promise.reject(new Error("broken")) : Promise.resolve(),
  },
]);

Deno.test("RunMetrics counts runs, attempts and rows once each, by dag and state", () =>
  withRuns(async (runs) => {
    await runToEnd(options({ runs, dag }));
    await sleep(2);
    const figures = classifierMetrics(runs);
    const before = await figures();
    assert.equal(before["runs_total test failed"], undefined, "what ended before it began is not counted");
    broken = true;
    const { snapshot: { run: { run_id } } } = await runToEnd(options({ runs, dag }));
    const failed = await figures();
    assert.deepEqual(await figures(), failed);
    assert.equal(failed["runs_total test failed"], 1);
    assert.equal(failed["run_duration_seconds test failed"], 1);
    assert.equal(failed["task_attempts_total test load success"], 1);
    assert.equal(failed["task_attempts_total test idle skipped"], 1);
    assert.equal(failed["task_attempts_total test publish failed"], 1);
    assert.equal(failed["task_duration_seconds test load"], 1);
    assert.equal(failed["task_rows_total test load quarantined"], 3);
    assert.equal(failed["run_last_success_timestamp_seconds test"], undefined);

    broken = false;
    await sleep(2);
    await clearRun({
      dag,
      runs,
      clock: systemClock,
      run_id,
      scope: { failed: true },
      keep_checkpoints: false,
    });
    await driveRun(options({ runs, dag }), run_id);
    const retried = await figures();
    assert.equal(retried["runs_total test success"], 1);
    assert.equal(retried["task_attempts_total test publish success"], 1);
    assert.equal(retried["task_attempts_total test load success"], 1, "an attempt is counted once");
    assert.ok(retried["run_last_success_timestamp_seconds test"]! > 1e9);
    assert.ok(retried["run_last_duration_seconds test"]! >= 0);
  }));

Deno.test("RunMetrics takes a run whose tasks were all skipped for no success", () =>
  withRuns(async (runs) => {
    const idle = dagOf([{ id: "load", run: skip }]);
    const figures = classifierMetrics(runs);
    await runToEnd(options({ runs, dag: idle }));
    const { "runs_total test skipped": skipped, "runs_total test success": success, ...rest } =
      await figures();
    assert.deepEqual([skipped, success], [1, undefined]);
    assert.equal(rest["run_last_success_timestamp_seconds test"], undefined);
    assert.ok(rest["run_last_skipped_timestamp_seconds test"]! > 0);
    assert.ok(rest["run_last_duration_seconds test"]! >= 0);
  }));

Deno.test("RunMetrics reports how many runs wait, and the tasks of runs in progress", () =>
  withRuns(async (runs) => {
    const figures = classifierMetrics(runs);
    for (let n = 0; n < 3; n++) await createRun({ dag, runs, clock: systemClock, params: {} });
    assert.deepEqual(await figures(), { "runs test queued": 3, "runs test running": 0 });
    await runs.claim({ owner: "one", now: Date.now(), ttl_ms: 5_000, max_active: { test: 1 } }).then((
      claimed,
    ) =>
      runs.commit({
        run_id: claimed!.run.run_id,
        owner: "one",
        now: Date.now(),
        changes: {
          run: { state: "running", started_at: new Date().toISOString(), ended_at: null, error: null },
        },
      })
    );
    const { "runs test queued": queued, "runs test running": running, ...tasks } = await figures();
    assert.deepEqual([queued, running], [2, 1]);
    assert.deepEqual(tasks, { "tasks test waiting": 3 });
  }));

Deno.test("RunMetrics counts no more than a few runs at one time, and the rest later", () =>
  withRuns(async (runs) => {
    broken = false;
    const figures = classifierMetrics(runs);
    for (let n = 0; n < 25; n++) await runToEnd(options({ runs, dag }));
    assert.equal((await figures())["runs_total test success"], 20);
    assert.equal((await figures())["runs_total test success"], 25);
  }));
