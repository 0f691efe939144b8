import assert from "node:assert/strict";
import { z } from "../../../deps.ts";
import { systemClock } from "../../../lib/core/clock.ts";
import { ParleyError } from "../../../lib/core/errors.ts";
import type { TaskDefinition } from "../../../lib/dag/define.ts";
import type { ExecutorOptions } from "../../../lib/dag/options.ts";
import { runTask, type TaskOrder } from "../../../lib/dag/run_task.ts";
import { clearRun } from "../../../lib/dag/clear.ts";
import { createRun } from "../../../lib/dag/runs.ts";
import { Branch, Fail, Skip, type TaskContext } from "../../../lib/dag/types.ts";
import type { RunStore } from "../../../lib/stores/runs/port.ts";
import { startOf } from "../../fixtures/runs.ts";
import {
  dagOf,
  ok,
  options,
  skip,
  sleep,
  states,
  until,
  untilStopped,
  withRuns,
  withRunsFile,
} from "../../fixtures/dag.ts";

const RUN = "manual__2026-05-01T00:00:00+00:00";
const never = new AbortController().signal;

const engineOf = (runs: RunStore, tasks: TaskDefinition<null>[], rest: Partial<ExecutorOptions<null>> = {}) =>
  options({ runs, dag: dagOf(tasks, { params: z.object({ size: z.int().default(1) }) }), ...rest });

const ask = (options: ExecutorOptions<null>, task_id: string, rest: Partial<TaskOrder> = {}, stop = never) =>
  runTask(options, { dag_id: "test", run_id: RUN, task_id, ...rest }, stop);

const snapshotOf = async (runs: RunStore) => (await runs.snapshot({ run_id: RUN }))!;

Deno.test("runTask() makes the run, hands on outputs, and ends the run with its last task", () =>
  withRuns(async (runs) => {
    const o = engineOf(runs, [
      { id: "a", run: (c) => Promise.resolve({ from: c.run.interval_start, size: c.run.params.size }) },
      { id: "b", needs: ["a"], run: (c) => Promise.resolve(c.output("a")) },
    ]);
    const interval = { start: "2026-04-30T00:00:00.000Z", end: "2026-05-01T00:00:00.000Z" };
    const output = { from: interval.start, size: 3 };
    assert.deepEqual(await ask(o, "a", { interval, params: { size: 3 } }), {
      attempt: 1,
      state: "success",
      output,
      branch: null,
      error: null,
      final: false,
    });
    assert.equal((await snapshotOf(runs)).run.state, "running");
    assert.deepEqual((await ask(o, "b")).output, output);
    const { run } = await snapshotOf(runs);
    assert.deepEqual([run.state, run.trigger, run.interval_end], ["success", "external", interval.end]);
    assert.ok(run.ended_at !== null);
  }));

Deno.test("runTask() runs tasks of one run from several processes at the same time", () =>
  withRunsFile(async ({ open }) => {
    const ids = ["a", "b", "c", "d", "e", "f"];
    let started = 0;
    // Each ends once another has started too.
    const work = () => (started++, until(() => started > 1));
    const tasks = [...ids.map((id) => ({ id, run: work })), { id: "end", needs: ids, run: ok }];
    const engines = ids.map((id) => engineOf(open(), tasks, { owner: `process ${id}` }));
    const results = await Promise.all(ids.map((id, i) => ask(engines[i]!, id)));
    assert.deepEqual(new Set(results.map(({ state }) => state)), new Set(["success"]));
    await ask(engines[0]!, "end");
    const { run, attempts } = await snapshotOf(engines[1]!.runs);
    assert.equal(run.state, "success");
    assert.equal(attempts.length, 7);
  }));

Deno.test("runTask() distinguishes a failure that may be retried, one that may not, and a skip", () =>
  withRuns(async (runs) => {
    const throwing = (id: string, error: Error) => ({
      id,
      retries: { count: 9 },
      run: () => Promise.reject(error),
    });
    const o = engineOf(runs, [
      throwing("weak", new Error("broken")),
      throwing("dead", new Fail("no use", { output: { found: 1 } })),
      throwing("wrong", new ParleyError("invalid", "bad input")),
      throwing("idle", new Skip("nothing", { output: { found: 2 } })),
    ]);
    const results = [];
    for (const id of ["weak", "dead", "wrong", "idle"]) results.push(await ask(o, id));
    assert.deepEqual(results.map(({ state, final }) => [state, final]), [
      ["failed", false],
      ["failed", true],
      ["failed", true],
      ["skipped", false],
    ]);
    assert.deepEqual(results.map(({ output }) => output), [null, { found: 1 }, null, { found: 2 }]);
    const kept = (await snapshotOf(runs)).tasks.find(({ task_id }) => task_id === "idle");
    assert.deepEqual(kept?.output, { found: 2 }, "what it found is kept with the run");
    assert.equal((await snapshotOf(runs)).run.state, "failed");
  }));

Deno.test("runTask() runs a task again whatever it came to, and what followed from it is open again", () =>
  withRuns(async (runs) => {
    let broken = true;
    const o = engineOf(runs, [
      { id: "a", run: () => broken ? Promise.reject(new Error("broken")) : Promise.resolve(1) },
      { id: "b", needs: ["a"], run: ok },
    ]);
    await ask(o, "a");
    const failed = await snapshotOf(runs);
    assert.deepEqual([failed.run.state, states(failed)], ["failed", { a: "failed", b: "upstream_failed" }]);
    broken = false;
    assert.equal((await ask(o, "a")).attempt, 2);
    const fixed = await snapshotOf(runs);
    assert.deepEqual([fixed.run.state, fixed.run.ended_at], ["running", null]);
    assert.deepEqual(states(fixed), { a: "success", b: "ready" });
    await ask(o, "b");
    assert.equal((await snapshotOf(runs)).run.state, "success");
  }));

Deno.test("runTask() says what a branch chose and skips the rest by it", () =>
  withRuns(async (runs) => {
    const o = engineOf(runs, [
      { id: "choose", run: () => Promise.resolve(new Branch(["left"])) },
      { id: "left", needs: ["choose"], run: ok },
      { id: "right", needs: ["choose"], run: ok },
    ]);
    assert.deepEqual((await ask(o, "choose")).branch, ["left"]);
    await ask(o, "left");
    const { run, tasks } = await snapshotOf(runs);
    assert.equal(run.state, "success");
    assert.deepEqual(tasks.map(({ state }) => state), ["success", "success", "skipped"]);
  }));

Deno.test("runTask() takes the outside engine's number for the attempt, unless that has been", () =>
  withRuns(async (runs) => {
    const o = engineOf(runs, [{ id: "a", run: ok }]);
    const numbers = [];
    for (const attempt of [3, 3, 2, 7]) numbers.push((await ask(o, "a", { attempt })).attempt);
    assert.deepEqual(numbers, [3, 4, 5, 7]);
  }));

Deno.test("runTask() refuses a task that runs already, and gives it up when its own lease runs out", () =>
  withRuns(async (runs) => {
    const o = engineOf(runs, [{ id: "a", run: untilStopped }], { owner: "first", ttl_ms: 300 });
    const first = ask(o, "a");
    await until(async () => (await runs.snapshot({ run_id: RUN }))?.attempts.length === 1);
    await assert.rejects(ask(o, "a"), {
      code: "conflict",
      message: `run ${RUN} has its task a running already, by first`,
    });
    runs.heartbeat = () => Promise.reject(new ParleyError("unavailable", "cut off"));
    assert.equal((await first).state, "lost");
  }));

Deno.test("runTask() takes a task over from a dead process, with its checkpoint", () =>
  withRuns(async (runs) => {
    const seen: unknown[] = [];
    const o = engineOf(runs, [{ id: "a", run: (c) => Promise.resolve(void seen.push(c.loadCheckpoint())) }]);
    const dag = o.dags.get("test")!;
    await createRun({ dag, runs, clock: systemClock, params: {}, run_id: RUN, trigger: "external" });
    const start = startOf("a", { owner: "dead", lease_until: Date.now() - 1 });
    await runs.revise({ run_id: RUN, now: Date.now(), plan: () => ({ starts: [start] }) });
    await runs.saveCheckpoint({ run_id: RUN, owner: "dead", task_id: "a", attempt: 1, value: { at: 4 } });
    assert.equal((await ask(o, "a")).attempt, 2);
    assert.deepEqual(seen, [{ at: 4 }]);
    const { run, attempts } = await snapshotOf(runs);
    assert.equal(run.state, "success");
    assert.deepEqual(attempts.map(({ state }) => state).sort(), ["lost", "success"]);
  }));

Deno.test("runTask() cancels the attempt when it is stopped", () =>
  withRuns(async (runs) => {
    const stop = new AbortController();
    const run = (c: TaskContext<null>) => {
      queueMicrotask(() => stop.abort());
      return untilStopped(c);
    };
    const o = engineOf(runs, [{ id: "a", run }]);
    const { state, error } = await ask(o, "a", {}, stop.signal);
    assert.deepEqual([state, error], ["cancelled", "the engine that asked for it told it to stop"]);
    assert.equal((await snapshotOf(runs)).run.state, "cancelled");
  }));

Deno.test("runTask() stops when the run is cancelled, and refuses further tasks until it is cleared", () =>
  withRuns(async (runs) => {
    const dag = dagOf([{ id: "a", run: untilStopped }, { id: "b", run: ok }]);
    const o = options({ runs, dag });
    const first = ask(o, "a");
    await until(async () => (await runs.snapshot({ run_id: RUN }))?.attempts.length === 1);
    await runs.requestCancel({ run_id: RUN });
    assert.equal((await first).state, "cancelled");
    assert.deepEqual([(await snapshotOf(runs)).run.state, states(await snapshotOf(runs))], [
      "cancelled",
      { a: "cancelled", b: "cancelled" },
    ]);
    await assert.rejects(ask(o, "b"), { code: "invalid" });
    await clearRun({ dag, runs, clock: systemClock, run_id: RUN, scope: {} });
    assert.equal((await ask(o, "b")).state, "success");
  }));

Deno.test("runTask() waits for room in the task's pool", () =>
  withRuns(async (runs) => {
    let now = 0, most = 0;
    const work = async () => {
      most = Math.max(most, ++now);
      await sleep(50);
      now--;
    };
    const o = engineOf(runs, ["a", "b", "c"].map((id) => ({ id, run: work })), { pools: { default: 1 } });
    await Promise.all(["a", "b", "c"].map((id) => ask(o, id)));
    assert.equal(most, 1);
    assert.equal((await snapshotOf(runs)).run.state, "success");
  }));

Deno.test("runTask() refuses what does not exist, and runs that a scheduler drives", () =>
  withRuns(async (runs) => {
    const o = engineOf(runs, [{ id: "a", run: ok }]);
    await assert.rejects(ask(o, "x"), { code: "not_found" });
    await assert.rejects(ask(o, "a", { dag_id: "x" }), { code: "not_found" });
    const dag = o.dags.get("test")!;
    await createRun({ dag, runs, clock: systemClock, params: {}, run_id: RUN });
    await assert.rejects(ask(o, "a"), { code: "invalid" });
  }));

Deno.test("runTask() refuses a task whose needs have not ended, before anything is recorded of it", () =>
  withRuns(async (runs) => {
    let ran = 0;
    const last = () => Promise.resolve(void ran++);
    const o = engineOf(runs, [
      { id: "a", run: untilStopped },
      { id: "b", run: skip },
      { id: "c", needs: ["a", "b"], trigger: "none_failed", run: last },
      { id: "d", needs: ["a", "b"], trigger: "one_done", run: last },
      { id: "e", needs: ["c"], trigger: "always", run: last },
    ]);
    await assert.rejects(ask(o, "c"), {
      code: "invalid",
      message: /^task c of run \S+ needs a, b, which has not ended/,
    });
    await ask(o, "b");
    await assert.rejects(ask(o, "d"), { code: "invalid", message: /needs a, / });
    await ask(o, "e");
    assert.equal(ran, 1, "by its rule, e waits for nothing");
    const stop = new AbortController();
    const first = ask(o, "a", {}, stop.signal);
    await until(async () => (await snapshotOf(runs)).attempts.some(({ task_id }) => task_id === "a"));
    await assert.rejects(ask(o, "c"), { code: "conflict", message: /needs a, / });
    stop.abort();
    await first;
    assert.deepEqual((await snapshotOf(runs)).attempts.map(({ task_id }) => task_id).sort(), ["a", "b", "e"]);
  }));
