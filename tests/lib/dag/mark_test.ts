import assert from "node:assert/strict";
import { DAY_MS, iso, systemClock } from "../../../lib/core/clock.ts";
import { clearRuns, runsToClear } from "../../../lib/dag/clear_runs.ts";
import { loadDags } from "../../../lib/dag/define.ts";
import { markRun } from "../../../lib/dag/mark.ts";
import { createRun } from "../../../lib/dag/runs.ts";
import { Fail } from "../../../lib/dag/types.ts";
import type { RunStore } from "../../../lib/stores/runs/port.ts";
import { dagOf, driveRun, ok, options, runToEnd, states, withRuns } from "../../fixtures/dag.ts";
import { T0 } from "../../fixtures/runs.ts";

let broken = true;
/** a → b → c, where b fails while it is broken. */
const DAG = dagOf([
  { id: "a", run: ok },
  { id: "b", needs: ["a"], run: () => broken ? Promise.reject(new Fail("broken")) : Promise.resolve() },
  { id: "c", needs: ["b"], run: ok },
]);
const dags = loadDags({ dags: [DAG], pools: { default: 1 } });
const by = { by: "Ann", note: "known: the shop was closed" };

async function failedRun(runs: RunStore) {
  broken = true;
  const { snapshot } = await runToEnd(options({ runs, dag: DAG }));
  return snapshot.run.run_id;
}
const read = async (runs: RunStore, run_id: string) => {
  const snapshot = (await runs.snapshot({ run_id }))!;
  return [snapshot.run.state, snapshot.run.error, states(snapshot)];
};
const noted = async (runs: RunStore, run_id: string) =>
  (await runs.runNotes({ run_id })).map(({ task_id, action, by, note }) => [task_id, action, by, note]);

Deno.test("markRun() ends a failed run as successful, with its tasks, and records who did it and why", () =>
  withRuns(async (runs) => {
    const run_id = await failedRun(runs);
    await markRun({ dags, runs, clock: systemClock, run_id, state: "success", ...by });
    assert.deepEqual(await read(runs, run_id), ["success", null, {
      a: "success",
      b: "success",
      c: "success",
    }]);
    await markRun({ dags, runs, clock: systemClock, run_id, state: "failed", ...by, note: "" });
    assert.deepEqual((await read(runs, run_id)).slice(0, 2), ["failed", "marked as failed by Ann"]);
    assert.deepEqual(await noted(runs, run_id), [
      [null, "success", "Ann", "known: the shop was closed"],
      [null, "failed", "Ann", ""],
    ]);
    const told = (await runs.notifications({ limit: 9 })).reverse().map(({ type }) => type);
    assert.deepEqual(told, ["run.failed", "run.recovered", "run.failed"]);
  }));

Deno.test("markRun() of a task as successful runs what did not run because of it, and nothing else", () =>
  withRuns(async (runs) => {
    const run_id = await failedRun(runs);
    await markRun({ dags, runs, clock: systemClock, run_id, task: "b", state: "success", ...by });
    assert.deepEqual(await read(runs, run_id), ["queued", null, {
      a: "success",
      b: "success",
      c: "waiting",
    }]);
    const { outcome, snapshot } = await driveRun(options({ runs, dag: DAG }), run_id);
    assert.equal(outcome, "success");
    assert.deepEqual(snapshot.attempts.map(({ task_id, state }) => `${task_id} ${state}`), [
      ...["a success", "b failed", "c success"],
    ]);
    await markRun({ dags, runs, clock: systemClock, run_id, task: "c", state: "failed", ...by });
    const error = "c: marked as failed by Ann";
    assert.deepEqual(await read(runs, run_id), ["failed", error, {
      a: "success",
      b: "success",
      c: "failed",
    }]);
    await markRun({ dags, runs, clock: systemClock, run_id, task: "c", state: "success", ...by });
    assert.equal((await read(runs, run_id))[0], "success");
  }));

Deno.test("markRun() refuses a run that has not ended, unknown tasks and long notes, and changes nothing", () =>
  withRuns(async (runs) => {
    const { run_id } = await createRun({ dag: DAG, runs, clock: systemClock, params: {} });
    const mark = (rest: object = {}) =>
      markRun({ dags, runs, clock: systemClock, run_id, state: "success", ...by, ...rest });
    await assert.rejects(mark(), { code: "conflict" });
    await runs.requestCancel({ run_id });
    await assert.rejects(mark({ task: "publish" }), { code: "invalid", message: /its tasks are a, b, c/ });
    await assert.rejects(mark({ note: "x".repeat(1_001) }), { code: "invalid" });
    await assert.rejects(mark({ run_id: "other" }), { code: "not_found" });
    assert.equal((await read(runs, run_id))[0], "cancelled");
    assert.deepEqual(await noted(runs, run_id), []);
  }));

Deno.test("clearRuns() runs what failed in the runs of some days again, as one backfill with its own limit", () =>
  withRuns(async (runs) => {
    broken = true;
    const o = options({ runs, dag: DAG });
    for (const n of [2, 0, 1, 3]) {
      const logical_date = iso(T0 + n * DAY_MS);
      await createRun({ dag: DAG, runs, clock: systemClock, params: {}, run_id: `r${n}`, logical_date });
      await driveRun(o, `r${n}`);
    }
    broken = false;
    const order = {
      ...{
        states: ["failed"],
        from: "2026-05-01",
        to: "2026-05-03",
        all_tasks: false,
        max_active: 2,
      } as const,
      ...by,
    };
    const options_ = { dag: DAG, runs, clock: systemClock, order };
    const found = await runsToClear(options_);
    assert.deepEqual(found.map(({ run_id }) => run_id), ["r0", "r1", "r2"]);
    const { backfill_id, run_ids } = await clearRuns(options_);
    assert.deepEqual(run_ids, ["r0", "r1", "r2"]);
    const [progress] = await runs.backfills({ limit: 9 });
    assert.deepEqual([progress?.backfill_id, progress?.max_active, progress?.runs.queued], [
      backfill_id,
      2,
      3,
    ]);
    await createRun({ dag: DAG, runs, clock: systemClock, params: {}, run_id: "night" });
    const claim = await runs.claim({ owner: "p", now: Date.now(), ttl_ms: 1_000, max_active: { test: 1 } });
    assert.equal(claim?.run.run_id, "night", "other queued runs start before them");
    assert.equal((await driveRun(o, "r1")).outcome, "success");
    const { attempts } = (await runs.snapshot({ run_id: "r1" }))!;
    assert.deepEqual(attempts.map(({ task_id, state }) => `${task_id} ${state}`), [
      ...["a success", "b failed", "b success", "c success"],
    ]);
    assert.deepEqual(await noted(runs, "r1"), [[null, "cleared", "Ann", by.note]]);
    assert.deepEqual(await noted(runs, "r3"), []);
    assert.equal(
      (await clearRuns({ ...options_, order: { ...order, states: ["cancelled"] } })).backfill_id,
      null,
    );
    await assert.rejects(runsToClear({ ...options_, order: { ...order, from: "May" } }), { code: "invalid" });
  }));
