import assert from "node:assert/strict";
import { systemClock } from "../../../lib/core/clock.ts";
import { clearRun, type ClearScope, tasksToClear } from "../../../lib/dag/clear.ts";
import { newTask } from "../../../lib/dag/state.ts";
import { Fail } from "../../../lib/dag/types.ts";
import type { TaskState } from "../../../lib/stores/runs/port.ts";
import { dagOf, driveRun, ok, options, runToEnd, startAndDie, states, withRuns } from "../../fixtures/dag.ts";
import { createRun } from "../../../lib/dag/runs.ts";

/** a → b → c → d, and e next to it. */
const DAG = dagOf([
  { id: "a", run: ok },
  { id: "b", needs: ["a"], run: ok },
  { id: "c", needs: ["b"], run: ok },
  { id: "d", needs: ["c"], run: ok },
  { id: "e", run: ok },
]);
const stood = (states: Record<string, TaskState>) =>
  Object.entries(states).map(([id, state]) => ({ ...newTask(id), state }));
const ENDED = stood({ a: "success", b: "success", c: "success", d: "success", e: "success" });
const BROKEN = stood({ a: "success", b: "failed", c: "upstream_failed", d: "upstream_failed", e: "success" });

const SCOPES: readonly (readonly [what: string, tasks: typeof ENDED, scope: ClearScope, ids: string[]])[] = [
  ["everything", ENDED, {}, ["a", "b", "c", "d", "e"]],
  ["one task alone", ENDED, { tasks: ["b"] }, ["b"]],
  ["what a task needs", ENDED, { tasks: ["c"], upstream: true }, ["a", "b", "c"]],
  ["what needs a task", ENDED, { tasks: ["c"], downstream: true }, ["c", "d"]],
  ["what failed, with what could not run for it", BROKEN, { failed: true }, ["b", "c", "d"]],
  ["a failed task, with what could not run for it", BROKEN, { tasks: ["b"] }, ["b", "c", "d"]],
  ["nothing failed", ENDED, { failed: true }, []],
  ["what failed downstream alone", BROKEN, { tasks: ["a"], downstream: true, failed: true }, ["b", "c", "d"]],
  ["what failed of one task that did not", BROKEN, { tasks: ["e"], failed: true }, []],
];

for (const [what, tasks, scope, ids] of SCOPES) {
  Deno.test(`tasksToClear() chooses ${what}`, () => assert.deepEqual(tasksToClear(DAG, tasks, scope), ids));
}

Deno.test("tasksToClear() refuses a task that does not exist", () => {
  assert.throws(() => tasksToClear(DAG, ENDED, { tasks: ["publish"] }), {
    code: "invalid",
    message: 'the dag "test" has no task "publish"; its tasks are a, b, c, d, e',
  });
});

Deno.test("clearRun() runs what failed again, keeps its attempts as history, and leaves the rest", () =>
  withRuns(async (runs) => {
    let broken = true;
    const work = () => broken ? Promise.reject(new Fail("broken")) : Promise.resolve("fixed");
    const dag = dagOf([
      { id: "a", run: () => Promise.resolve(crypto.randomUUID()) },
      { id: "b", needs: ["a"], run: work },
      { id: "c", needs: ["b"], run: (c) => Promise.resolve(c.output("b")) },
    ]);
    const o = options({ runs, dag });
    const { snapshot: before } = await runToEnd(o);
    const { run_id } = before.run;
    broken = false;
    assert.deepEqual(await clearRun({ dag, runs, clock: systemClock, run_id, scope: { failed: true } }), [
      "b",
      "c",
    ]);
    const { outcome, snapshot } = await driveRun(o, run_id);
    assert.equal(outcome, "success");
    assert.deepEqual(states(snapshot), { a: "success", b: "success", c: "success" });
    assert.deepEqual(
      snapshot.attempts.map(({ task_id, attempt, state }) => `${task_id}${attempt} ${state}`),
      [
        "a1 success",
        "b1 failed",
        "b2 success",
        "c1 success",
      ],
    );
    assert.equal(snapshot.tasks[0]?.output, before.tasks[0]?.output);
    assert.equal(snapshot.tasks[2]?.output, "fixed");
  }));

for (const keep_checkpoints of [false, true]) {
  Deno.test(`clearRun() ${keep_checkpoints ? "keeps checkpoints where asked" : "discards checkpoints"}`, () =>
    withRuns(async (runs) => {
      const seen: unknown[] = [];
      const dag = dagOf([{ id: "a", run: (c) => Promise.resolve(void seen.push(c.loadCheckpoint())) }]);
      const { run_id } = await createRun({ dag, runs, clock: systemClock, params: {} });
      await startAndDie(runs, { run_id, task_id: "a", checkpoint: { at: 3 } });
      const o = options({ runs, dag });
      await driveRun(o, run_id);
      await clearRun({ dag, runs, clock: systemClock, run_id, scope: {}, keep_checkpoints });
      await driveRun(o, run_id);
      assert.deepEqual(seen, [{ at: 3 }, keep_checkpoints ? { at: 3 } : null]);
    }));
}

Deno.test("clearRun() refuses a run that has not ended, and takes a cancelled one up again", () =>
  withRuns(async (runs) => {
    const { run_id } = await createRun({ dag: DAG, runs, clock: systemClock, params: {} });
    const clear = () => clearRun({ dag: DAG, runs, clock: systemClock, run_id, scope: { failed: true } });
    await assert.rejects(clear(), { code: "conflict" });
    await runs.requestCancel({ run_id });
    assert.deepEqual(await clear(), ["a", "b", "c", "d", "e"]);
    assert.equal((await driveRun(options({ runs, dag: DAG }), run_id)).outcome, "success");
    assert.deepEqual(await clear(), []);
    assert.equal((await runs.snapshot({ run_id }))?.run.state, "success");
  }));
