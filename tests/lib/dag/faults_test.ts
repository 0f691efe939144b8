import assert from "node:assert/strict";
import { ManualClock, systemClock } from "../../../lib/core/clock.ts";
import { ParleyError } from "../../../lib/core/errors.ts";
import { Attempt, Stop } from "../../../lib/dag/attempt.ts";
import { createRun } from "../../../lib/dag/runs.ts";
import { Fail, type TaskContext } from "../../../lib/dag/types.ts";
import { runOf, startOf } from "../../fixtures/runs.ts";
import {
  dagOf,
  driveRun,
  ok,
  options,
  runToEnd,
  sleep,
  startAndDie,
  states,
  until,
  untilStopped,
  withRuns,
} from "../../fixtures/dag.ts";

const stateOf = (attempts: readonly { task_id: string; state: string }[], id: string) =>
  attempts.filter(({ task_id }) => task_id === id).map(({ state }) => state);

Deno.test("an attempt that ignores its signal is abandoned, and can no longer report", () =>
  withRuns(async (runs) => {
    const late: unknown[] = [];
    const abandoned = Promise.withResolvers<void>();
    const over = Promise.withResolvers<void>();
    const deaf = async (c: TaskContext<null>) => {
      c.writes({ namespace: "file", name: "early" });
      await abandoned.promise;
      c.progress({ done: 99, total: 99 });
      c.rows({ in: 99 });
      c.writes({ namespace: "file", name: "late" });
      c.version("model", "late");
      c.log("late");
      await c.saveCheckpoint("late").catch((error) => late.push(error.message));
      over.resolve();
    };
    const dag = dagOf([{ id: "a", run: deaf, timeout_ms: 20 }, {
      id: "b",
      needs: ["a"],
      trigger: "all_done",
      run: () => (abandoned.resolve(), over.promise),
    }]);
    const { snapshot } = await runToEnd(options({ runs, dag, linger_ms: 30 }));
    const { run_id } = snapshot.run;
    assert.deepEqual(stateOf(snapshot.attempts, "a"), ["timed_out"]);
    const [a] = snapshot.attempts;
    assert.deepEqual([a?.progress_done, a?.rows_in, a?.versions.model], [0, 0, undefined]);
    assert.deepEqual((await runs.lineage({ run_id })).map(({ name }) => name), ["early"]);
    assert.deepEqual(await runs.logs({ run_id, after: 0, limit: 9 }), []);
    assert.equal(await runs.checkpoint({ run_id, task_id: "a" }), null);
    assert.deepEqual(late, ["the attempt has ended"]);
  }));

Deno.test("an attempt that finishes after its signal, and before it is given up, has finished", () =>
  withRuns(async (runs) => {
    const finish = (c: TaskContext<null>) => untilStopped(c).catch(() => sleep(20)).then(() => "done");
    const dag = dagOf([{ id: "a", timeout_ms: 10, run: finish }]);
    const { snapshot } = await runToEnd(options({ runs, dag }));
    assert.deepEqual([snapshot.tasks[0]?.state, snapshot.tasks[0]?.output], ["success", "done"]);
  }));

Deno.test("an attempt that has ended leaves no timer behind when it is stopped", async () => {
  const attempt = new Attempt<null>({
    definition: { id: "a", run: ok },
    record: startOf("a", { owner: "p" }).attempt,
    run: runOf("r"),
    services: null,
    clock: systemClock,
    output: () => null,
    item: null,
    checkpoint: () => Promise.resolve(null),
    saveCheckpoint: ok,
    events: { progress: () => {}, log: () => {} },
    deadline_in_ms: null,
    linger_ms: 5_000,
    dependents: [],
  });
  assert.equal((await attempt.run()).end.state, "success");
  // The test runner reports a timer that is left.
  attempt.stop(new Stop("lost", "too late"));
});

Deno.test("a deadline counts from the first start, over all attempts", () =>
  withRuns(async (runs) => {
    const clock = new ManualClock(Date.now());
    const work = () => {
      clock.advance(30_000);
      return Promise.reject(new Error("broken"));
    };
    const retries = { count: 1_000, base_ms: 0 };
    const dag = dagOf([{ id: "a", run: work, retries, deadline_ms: 100_000 }]);
    const { outcome, snapshot } = await runToEnd(options({ runs, dag, clock }));
    assert.equal(outcome, "failed");
    assert.deepEqual(stateOf(snapshot.attempts, "a"), Array(4).fill("failed"));
  }));

Deno.test("a deadline stops an attempt", () =>
  withRuns(async (runs) => {
    const dag = dagOf([{ id: "a", run: untilStopped, deadline_ms: 60 }]);
    const { outcome, snapshot } = await runToEnd(options({ runs, dag }));
    assert.equal(outcome, "failed");
    assert.equal(snapshot.attempts[0]?.error, "the task's deadline passed");
  }));

Deno.test("a deadline that came while no process ran fails the task without another attempt", () =>
  withRuns(async (runs) => {
    const dag = dagOf([{ id: "a", run: ok, deadline_ms: 10_000 }, { id: "b", needs: ["a"], run: ok }]);
    const { run_id } = await createRun({ dag, runs, clock: systemClock, params: {} });
    await startAndDie(runs, { run_id, task_id: "a" });
    const { outcome, snapshot } = await driveRun(options({ runs, dag }), run_id);
    assert.equal(outcome, "failed");
    assert.deepEqual(stateOf(snapshot.attempts, "a"), ["lost"]);
    assert.match(snapshot.tasks[0]?.error ?? "", /^the task's deadline passed; before that: the process/);
  }));

Deno.test("a retry policy decides by the error, and its own mistake leaves the count to decide", () =>
  withRuns(async (runs) => {
    const failing = (id: string, decide: (error: unknown) => "retry" | "fail" | "default", count: number) => {
      let left = 3;
      const run = () => left-- > 0 ? Promise.reject(new Error("busy")) : Promise.resolve();
      return { id, run, retries: { count, base_ms: 0, decide } };
    };
    const dag = dagOf([
      failing("again", (error) => (error as Error).message === "busy" ? "retry" : "fail", 0),
      failing("never", () => "fail", 9),
      failing("mistaken", () => {
        throw new Error("oops");
      }, 3),
    ]);
    const { snapshot } = await runToEnd(options({ runs, dag }));
    assert.deepEqual(states(snapshot), { again: "success", never: "failed", mistaken: "success" });
    assert.equal(stateOf(snapshot.attempts, "never").length, 1);
    const logs = await runs.logs({ run_id: snapshot.run.run_id, after: 0, limit: 9, task_id: "mistaken" });
    assert.equal(logs[0]?.line, "the retry policy failed: oops");
  }));

Deno.test("an error that no retry can help is not retried, and a store that is away is", () =>
  withRuns(async (runs) => {
    const failing = (id: string, code: "invalid" | "unavailable") => ({
      id,
      retries: { count: 1, base_ms: 0 },
      run: () => Promise.reject(new ParleyError(code, "no")),
    });
    const dag = dagOf([failing("wrong", "invalid"), failing("away", "unavailable")]);
    const { snapshot } = await runToEnd(options({ runs, dag }));
    assert.deepEqual(
      [stateOf(snapshot.attempts, "wrong").length, stateOf(snapshot.attempts, "away").length],
      [1, 2],
    );
  }));

Deno.test("a task that fails without retry may leave an output", () =>
  withRuns(async (runs) => {
    const found = { found: ["x"] };
    const dag = dagOf([{ id: "a", run: () => Promise.reject(new Fail("bad", { output: found })) }]);
    const { snapshot } = await runToEnd(options({ runs, dag }));
    assert.deepEqual(snapshot.tasks.map(({ state, error, output }) => [state, error, output]), [
      ["failed", "bad", found],
    ]);
  }));

Deno.test("what a task returns or reports wrongly is its own failure, never the run's", () =>
  withRuns(async (runs) => {
    const circle: Record<string, unknown> = {};
    circle.self = circle;
    const dag = dagOf([
      { id: "circle", run: () => Promise.resolve(circle) },
      { id: "bigint", run: () => Promise.resolve({ n: 1n }) },
      { id: "function", run: () => Promise.resolve(() => 1) },
      {
        id: "thrown",
        run: () => {
          throw null;
        },
      },
      {
        id: "figures",
        run: async (c) => {
          c.progress({ done: NaN, total: -3 });
          c.rows({ in: Infinity, out: 2.6 });
          c.reads({ namespace: "file", name: "x", rows: NaN });
          await sleep(120);
        },
      },
    ]);
    const { outcome, snapshot } = await runToEnd(options({ runs, dag, concurrency: 9 }));
    assert.equal(outcome, "failed");
    assert.deepEqual(states(snapshot), {
      circle: "failed",
      bigint: "failed",
      function: "failed",
      thrown: "failed",
      figures: "success",
    });
    const figures = snapshot.attempts.find(({ task_id }) => task_id === "figures");
    assert.deepEqual([figures?.progress_done, figures?.progress_total, figures?.rows_in, figures?.rows_out], [
      0,
      0,
      0,
      3,
    ]);
    assert.match(
      snapshot.tasks.find(({ task_id }) => task_id === "bigint")?.error ?? "",
      /cannot be kept as JSON/,
    );
  }));

Deno.test("a lost lease stops the attempts: another process has taken the run over", () =>
  withRuns(async (runs) => {
    let stopped: unknown = null;
    const dag = dagOf([{
      id: "a",
      run: (c) => untilStopped(c).catch((error) => Promise.reject(stopped = error)),
    }]);
    const { run_id } = await createRun({ dag, runs, clock: systemClock, params: {} });
    const first = driveRun(options({ runs, dag, owner: "first" }), run_id);
    await until(async () => (await runs.snapshot({ run_id }))?.attempts.length === 1);
    const second = { owner: "second", now: Date.now() + 6_000, ttl_ms: 5_000, max_active: { test: 1 } };
    assert.notEqual(await runs.claim(second), null);
    assert.equal((await first).outcome, "lost");
    assert.match(String(stopped), /taken over by another process/);
  }));

Deno.test("heartbeats that fail for as long as the lease lasts stop the attempts, whether they fail or hang", async () => {
  for (
    const beat of [
      () => Promise.reject(new ParleyError("unavailable", "cut off")),
      () => new Promise<never>(() => {}),
    ]
  ) {
    await withRuns(async (runs) => {
      let stopped = false;
      const dag = dagOf([{ id: "a", run: (c) => untilStopped(c).finally(() => stopped = true) }]);
      const { run_id } = await createRun({ dag, runs, clock: systemClock, params: {} });
      runs.heartbeat = beat;
      const from = performance.now();
      await assert.rejects(driveRun(options({ runs, dag, ttl_ms: 400 }), run_id), { code: "unavailable" });
      assert.equal(stopped, true);
      const took = performance.now() - from;
      assert.ok(took >= 390 && took < 10_000, `stopped after ${took} ms`);
    });
  }
});

Deno.test("a dag that changed under an interrupted run: finished stays, gone is removed, new runs", () =>
  withRuns(async (runs) => {
    const before = dagOf([{ id: "done", run: ok }, { id: "gone", needs: ["done"], run: ok }, {
      id: "last",
      needs: ["gone"],
      run: ok,
    }]);
    const { run_id, dag_version } = await createRun({ dag: before, runs, clock: systemClock, params: {} });
    await startAndDie(runs, { run_id, task_id: "gone" });
    const seen: string[] = [];
    const note = (id: string) => ({ id, run: () => Promise.resolve(void seen.push(id)) });
    const after = dagOf([note("done"), { ...note("new"), needs: ["done"] }, {
      ...note("last"),
      needs: ["new"],
    }]);
    const { outcome, snapshot } = await driveRun(options({ runs, dag: after }), run_id);
    assert.equal(outcome, "success");
    assert.deepEqual(states(snapshot), { done: "success", gone: "removed", new: "success", last: "success" });
    assert.deepEqual(seen, ["done", "new", "last"]);
    assert.deepEqual(stateOf(snapshot.attempts, "gone"), ["lost"]);
    assert.equal(snapshot.run.dag_version, dag_version);
    assert.equal(snapshot.attempts.at(-1)?.versions.dag, after.version);
  }));

Deno.test("a run of a dag that is gone is given back", () =>
  withRuns(async (runs) => {
    const gone = dagOf([{ id: "a", run: ok }], { id: "gone" });
    const { run_id } = await createRun({ dag: gone, runs, clock: systemClock, params: {} });
    const claim = () => runs.claim({ owner: "p", now: Date.now(), ttl_ms: 5_000, max_active: { gone: 1 } });
    const { executeRun } = await import("../../../lib/dag/executor.ts");
    const o = options({ runs, dag: dagOf([{ id: "a", run: ok }]), owner: "p" });
    await assert.rejects(executeRun(o, (await claim())!, new AbortController().signal), {
      code: "not_found",
    });
    assert.equal((await claim())?.run.run_id, run_id);
  }));

Deno.test("a run has the time at which it began, over an interruption too", () =>
  withRuns(async (runs) => {
    const clock = new ManualClock(Date.now());
    const dag = dagOf([{ id: "a", run: () => Promise.resolve(clock.advance(1_000)) }]);
    const { snapshot } = await runToEnd(options({ runs, dag, clock }));
    const { started_at, ended_at } = snapshot.run;
    assert.equal(Date.parse(ended_at!) - Date.parse(started_at!), 1_000);
  }));

Deno.test("a run without a driver that was asked to cancel is cancelled by the next process that claims it", () =>
  withRuns(async (runs) => {
    const dag = dagOf([{ id: "a", run: ok }, { id: "b", needs: ["a"], run: ok }]);
    const { run_id } = await createRun({ dag, runs, clock: systemClock, params: {} });
    await startAndDie(runs, { run_id, task_id: "a" });
    assert.equal(await runs.requestCancel({ run_id }), true);
    const { outcome, snapshot } = await driveRun(options({ runs, dag }), run_id);
    assert.equal(outcome, "cancelled");
    assert.deepEqual(states(snapshot), { a: "cancelled", b: "cancelled" });
    assert.deepEqual(stateOf(snapshot.attempts, "a"), ["lost"]);
  }));

Deno.test("lineage has the declared datasets of which a task said nothing", () =>
  withRuns(async (runs) => {
    const set = (name: string) => ({ namespace: "file", name });
    const dag = dagOf([{
      id: "a",
      inputs: [set("in"), set("silent")],
      outputs: [set("in")],
      run: (c) => Promise.resolve(c.reads({ ...set("in"), rows: 3 })),
    }]);
    const { snapshot } = await runToEnd(options({ runs, dag }));
    const lineage = await runs.lineage({ run_id: snapshot.run.run_id });
    assert.deepEqual(lineage.map(({ direction, name, rows }) => [direction, name, rows]), [
      ["input", "in", 3],
      ["input", "silent", null],
      ["output", "in", null],
    ]);
  }));

Deno.test("log lines arrive once each and in order, however many, during the run and after", () =>
  withRuns(async (runs) => {
    const chatty = async (c: TaskContext<null>) => {
      for (let n = 0; n < 3_000; n++) {
        c.log(String(n));
        if (n % 500 === 0) await sleep(30);
      }
    };
    const { snapshot } = await runToEnd(
      options({ runs, dag: dagOf([{ id: "a", run: chatty }]), heartbeat_ms: 10 }),
    );
    const lines = await runs.logs({ run_id: snapshot.run.run_id, after: 0, limit: 9_999 });
    assert.deepEqual(lines.map(({ line }) => line), Array.from({ length: 3_000 }, (_, n) => String(n)));
  }));
