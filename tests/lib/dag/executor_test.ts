import assert from "node:assert/strict";
import { systemClock } from "../../../lib/core/clock.ts";
import { createRun } from "../../../lib/dag/runs.ts";
import { Fail, type TaskContext } from "../../../lib/dag/types.ts";
import { statusOf } from "../../../lib/stores/runs/port.ts";
import {
  dagOf,
  driveRun,
  fail,
  ok,
  options,
  runToEnd,
  skip,
  startAndDie,
  states,
  untilStopped,
  withRuns,
} from "../../fixtures/dag.ts";

Deno.test("executeRun() runs tasks in the order of their needs and hands on outputs", () =>
  withRuns(async (runs) => {
    const seen: string[] = [];
    const dag = dagOf([
      { id: "c", needs: ["a", "b"], run: (c) => Promise.resolve(void seen.push(`c sees ${c.output("a")}`)) },
      { id: "a", run: () => Promise.resolve((seen.push("a"), 7)) },
      { id: "b", needs: ["a"], run: () => Promise.resolve(void seen.push("b")) },
    ]);
    const { outcome, snapshot } = await runToEnd(options({ runs, dag }));
    assert.equal(outcome, "success");
    assert.deepEqual(seen, ["a", "b", "c sees 7"]);
    assert.deepEqual(states(snapshot), { a: "success", b: "success", c: "success" });
    assert.equal(snapshot.run.state, "success");
    assert.ok(snapshot.run.ended_at !== null);
  }));

Deno.test("executeRun() keeps to its concurrency", () =>
  withRuns(async (runs) => {
    let now = 0, most = 0;
    const work = async () => {
      most = Math.max(most, ++now);
      await new Promise((resume) => setTimeout(resume, 5));
      now--;
    };
    const dag = dagOf(Array.from({ length: 12 }, (_, i) => ({ id: `t${i}`, run: work })));
    const { outcome } = await runToEnd(options({ runs, dag, concurrency: 3 }));
    assert.equal(outcome, "success");
    assert.equal(most, 3);
  }));

Deno.test("executeRun() retries with its count, then fails, and what needs it is upstream_failed", () =>
  withRuns(async (runs) => {
    const dag = dagOf([
      { id: "a", run: fail, retries: { count: 2, base_ms: 1 } },
      { id: "b", needs: ["a"], run: ok },
      { id: "c", needs: ["a"], trigger: "all_done", run: ok },
    ]);
    const { outcome, snapshot } = await runToEnd(options({ runs, dag }));
    assert.equal(outcome, "failed");
    assert.deepEqual(states(snapshot), { a: "failed", b: "upstream_failed", c: "success" });
    assert.deepEqual(snapshot.attempts.filter(({ task_id }) => task_id === "a").map(({ state }) => state), [
      "failed",
      "failed",
      "failed",
    ]);
    assert.equal(snapshot.run.error, "a: broken");
  }));

Deno.test("executeRun() does not retry a Fail", () =>
  withRuns(async (runs) => {
    const dag = dagOf([{ id: "a", retries: { count: 5 }, run: () => Promise.reject(new Fail("no use")) }]);
    const { snapshot } = await runToEnd(options({ runs, dag }));
    assert.equal(snapshot.attempts.length, 1);
    assert.equal(snapshot.tasks[0]?.error, "no use");
  }));

Deno.test("executeRun() cascades a skip through all_success and stops it at none_failed", () =>
  withRuns(async (runs) => {
    const dag = dagOf([
      { id: "a", run: skip },
      { id: "b", needs: ["a"], run: ok },
      { id: "c", needs: ["b"], run: ok },
      { id: "d", needs: ["c"], trigger: "none_failed", run: ok },
    ]);
    const { outcome, snapshot } = await runToEnd(options({ runs, dag }));
    assert.equal(outcome, "success");
    assert.deepEqual(states(snapshot), { a: "skipped", b: "skipped", c: "skipped", d: "success" });
  }));

Deno.test("executeRun() gives the reason of a run with only skipped tasks, and of no other success", () =>
  withRuns(async (runs) => {
    const idle = dagOf([{ id: "a", run: skip }, { id: "b", needs: ["a"], run: ok }]);
    const { snapshot: { run } } = await runToEnd(options({ runs, dag: idle }));
    assert.deepEqual([run.state, run.error, statusOf(run, 0)], ["success", "nothing to do", "skipped"]);
    const busy = dagOf([{ id: "a", run: skip }, { id: "b", run: ok }]);
    const other = await runToEnd(options({ runs, dag: busy }));
    assert.deepEqual([other.snapshot.run.error, statusOf(other.snapshot.run, 0)], [null, "success"]);
  }));

Deno.test("executeRun() does not let a leaf hide a failure in the middle, unless it is tolerated", () =>
  withRuns(async (runs) => {
    const tasks = (allow_failure: boolean) => [
      { id: "middle", run: fail, allow_failure },
      { id: "leaf", needs: ["middle"], trigger: "all_done" as const, run: ok },
    ];
    assert.equal((await runToEnd(options({ runs, dag: dagOf(tasks(false)) }))).outcome, "failed");
    assert.equal((await runToEnd(options({ runs, dag: dagOf(tasks(true)) }))).outcome, "success");
  }));

Deno.test("executeRun() stops an attempt at its timeout through its signal", () =>
  withRuns(async (runs) => {
    const dag = dagOf([{ id: "slow", timeout_ms: 20, run: untilStopped }]);
    const { outcome, snapshot } = await runToEnd(options({ runs, dag }));
    assert.equal(outcome, "failed");
    assert.equal(snapshot.attempts[0]?.state, "timed_out");
    assert.match(snapshot.attempts[0]?.error ?? "", /longer than 20 ms/);
  }));

Deno.test("executeRun() cancels what runs and what waits when cancel was asked for", () =>
  withRuns(async (runs) => {
    const dag = dagOf([{ id: "a", run: untilStopped }, { id: "b", needs: ["a"], run: ok }]);
    const run = await createRun({ dag, runs, clock: systemClock, params: {} });
    const timer = setTimeout(() => runs.requestCancel({ run_id: run.run_id }), 30);
    const { outcome, snapshot } = await driveRun(options({ runs, dag }), run.run_id);
    clearTimeout(timer);
    assert.equal(outcome, "cancelled");
    assert.deepEqual(states(snapshot), { a: "cancelled", b: "cancelled" });
    assert.equal(snapshot.run.state, "cancelled");
  }));

Deno.test("executeRun() interrupts at shutdown and continues from there when claimed again", () =>
  withRuns(async (runs) => {
    let second = false;
    const shutdown = new AbortController();
    const untilShutdown = (c: TaskContext<null>) => {
      queueMicrotask(() => shutdown.abort());
      return untilStopped(c);
    };
    const dag = dagOf([
      { id: "a", run: () => Promise.resolve("kept") },
      { id: "b", needs: ["a"], run: (c) => second ? Promise.resolve(c.output("a")) : untilShutdown(c) },
    ]);
    const o = options({ runs, dag });
    const first = await runToEnd({ ...o, shutdown: shutdown.signal });
    assert.equal(first.outcome, "interrupted");
    assert.deepEqual(states(first.snapshot), { a: "success", b: "ready" });
    second = true;
    const { outcome, snapshot } = await driveRun(o, first.snapshot.run.run_id);
    assert.equal(outcome, "success");
    assert.deepEqual(snapshot.attempts.map(({ task_id, state }) => [task_id, state]), [
      ["a", "success"],
      ["b", "interrupted"],
      ["b", "success"],
    ]);
    assert.equal(snapshot.tasks.find(({ task_id }) => task_id === "b")?.output, "kept");
  }));

Deno.test("executeRun() lets each task continue after a shutdown for the grace of its own, or the executor's", () =>
  withRuns(async (runs) => {
    const stopped: string[] = [];
    const shutdown = new AbortController();
    let started = 0;
    const stops = (id: string) => (c: TaskContext<null>) => {
      if (++started === 3) queueMicrotask(() => shutdown.abort());
      return untilStopped(c).finally(() => stopped.push(id));
    };
    const dag = dagOf([
      { id: "default", run: stops("default") },
      { id: "short", run: stops("short"), grace_ms: 100 },
      { id: "none", run: stops("none"), grace_ms: 0 },
    ]);
    const o = { ...options({ runs, dag }), grace_ms: 300, shutdown: shutdown.signal };
    const { outcome } = await runToEnd(o);
    assert.equal(outcome, "interrupted");
    assert.deepEqual(stopped, ["none", "short", "default"]);
  }));

Deno.test("executeRun() marks attempts of a dead process lost and resumes from their checkpoint", () =>
  withRuns(async (runs) => {
    const seen: unknown[] = [];
    const dag = dagOf([{ id: "long", run: (c) => Promise.resolve(void seen.push(c.loadCheckpoint())) }]);
    const { run_id } = await createRun({ dag, runs, clock: systemClock, params: {} });
    await startAndDie(runs, { run_id, task_id: "long", checkpoint: { at: 3 } });
    const { outcome, snapshot } = await driveRun(options({ runs, dag, owner: "next" }), run_id);
    assert.equal(outcome, "success");
    assert.deepEqual(seen, [{ at: 3 }]);
    assert.deepEqual(snapshot.attempts.map(({ state, owner }) => [state, owner]), [
      ["lost", "dead"],
      ["success", "next"],
    ]);
    assert.equal(snapshot.tasks[0]?.lost, 1);
  }));
