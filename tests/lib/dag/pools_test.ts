import assert from "node:assert/strict";
import { systemClock } from "../../../lib/core/clock.ts";
import { createRun } from "../../../lib/dag/runs.ts";
import { Fail } from "../../../lib/dag/types.ts";
import {
  dagOf,
  driveRun,
  ok,
  options,
  runToEnd,
  skip,
  sleep,
  startAndDie,
  states,
  until,
  untilStopped,
  withRuns,
  withRunsFile,
} from "../../fixtures/dag.ts";

Deno.test("a pool holds across the executors of two processes on one file", () =>
  withRunsFile(async ({ open }) => {
    let now = 0, most = 0;
    const work = async () => {
      most = Math.max(most, ++now);
      await sleep(20);
      now--;
    };
    const tasks = Array.from({ length: 8 }, (_, i) => ({ id: `t${i}`, pool: "gpu", run: work }));
    const dag = dagOf(tasks, { max_active_runs: 2 });
    const engine = (owner: string) =>
      options({ runs: open(), dag, owner, pools: { default: 8, gpu: 3 }, concurrency: 8 });
    const outcomes = await Promise.all(["p1", "p2"].map((owner) => runToEnd(engine(owner))));
    assert.deepEqual(outcomes.map(({ outcome }) => outcome), ["success", "success"]);
    assert.equal(most, 3);
  }));

Deno.test("a slot is free again after success, failure, skip, timeout, retry and loss", () =>
  withRuns(async (runs) => {
    const dag = dagOf([
      { id: "lost", priority: 9, run: ok },
      { id: "fails", run: () => Promise.reject(new Fail("no")) },
      { id: "skips", run: skip },
      { id: "slow", timeout_ms: 10, run: untilStopped },
      { id: "again", retries: { count: 2, base_ms: 1 }, run: () => Promise.reject(new Error("broken")) },
      { id: "last", priority: -1, run: ok },
    ]);
    const { run_id } = await createRun({ dag, runs, clock: systemClock, params: {} });
    await startAndDie(runs, { run_id, task_id: "lost" });
    const o = options({ runs, dag, pools: { default: 1 } });
    const { snapshot } = await driveRun(o, run_id);
    assert.deepEqual(states(snapshot), {
      lost: "success",
      fails: "failed",
      skips: "skipped",
      slow: "failed",
      again: "failed",
      last: "success",
    });
  }));

Deno.test("a slot is free again after a cancel", () =>
  withRuns(async (runs) => {
    const dag = dagOf([{ id: "a", run: untilStopped }]);
    const o = options({ runs, dag, pools: { default: 1 } });
    const { run_id } = await createRun({ dag, runs, clock: systemClock, params: {} });
    const first = driveRun(o, run_id);
    await until(async () => (await runs.snapshot({ run_id }))?.attempts.length === 1);
    await runs.requestCancel({ run_id });
    assert.equal((await first).outcome, "cancelled");
    const quick = dagOf([{ id: "a", run: ok }]);
    assert.equal((await runToEnd(options({ runs, dag: quick, pools: { default: 1 } }))).outcome, "success");
  }));

Deno.test("tasks that wait for a full pool do not keep the tasks of another waiting", () =>
  withRuns(async (runs) => {
    const seen: string[] = [];
    const gpu = (id: string) => ({
      id,
      pool: "gpu",
      priority: 9,
      run: () => sleep(60).then(() => void seen.push(id)),
    });
    const dag = dagOf([gpu("g1"), gpu("g2"), gpu("g3"), {
      id: "cpu",
      run: () => Promise.resolve(void seen.push("cpu")),
    }]);
    await runToEnd(options({ runs, dag, pools: { default: 1, gpu: 1 }, concurrency: 2 }));
    assert.deepEqual(seen, ["cpu", "g1", "g2", "g3"]);
  }));

Deno.test("a heavy task gets its turn among light ones", () =>
  withRuns(async (runs) => {
    const seen: string[] = [];
    const work = (id: string, pool_slots: number, priority = 0) => ({
      id,
      pool_slots,
      priority,
      run: () => sleep(20).then(() => void seen.push(id)),
    });
    const light = Array.from({ length: 6 }, (_, i) => work(`light${i}`, 1));
    const dag = dagOf([work("first", 1, 9), work("heavy", 2, 5), ...light]);
    await runToEnd(options({ runs, dag, pools: { default: 2 } }));
    assert.deepEqual(seen.slice(0, 2), ["first", "heavy"]);
  }));
