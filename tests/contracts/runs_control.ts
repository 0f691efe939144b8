import assert from "node:assert/strict";
import { healthy } from "./health.ts";
import { iso } from "../../lib/core/clock.ts";
import { newTask } from "../../lib/dag/state.ts";
import {
  datasetKey,
  type RunNote,
  type RunStore,
  type Start,
  type TaskRecord,
} from "../../lib/stores/runs/port.ts";
import { endOf, runOf, startOf, T0, useOf } from "../fixtures/runs.ts";
import { add, claim, CONFLICT, type OpenRuns, storeTest, TTL } from "./runs.ts";

/** Starts attempts under the lease that the owner has, in pools of these sizes. */
const begin = (
  runs: RunStore,
  options: {
    run_id: string;
    owner: string;
    starts: readonly Start[];
    pools?: Record<string, number>;
    now?: number;
    limit?: number;
  },
) => {
  const { run_id, owner, now = T0, ...changes } = options;
  return runs.commit({ run_id, owner, now, changes });
};

/** The second half of `runsContract`: slots, checkpoints, changes from outside, logs, leadership, pruning. */
export function runsControlContract(name: string, open: () => Promise<OpenRuns>): void {
  const test = storeTest(name, open);
  const tasks = ["a", "b", "c", "d"];

  test("endSession() ends a session for every handle, until the session would have expired", async ({ runs, openAnother }) => {
    const end = (session_id: string, until: number, now: number) =>
      runs.endSession({ session_id, until, now });
    const other = await openAnother();
    const isEnded = (session_id: string) => other.isSessionEnded({ session_id });
    await end("s1", T0 + 10, T0);
    await end("s1", T0 + 10, T0);
    await end("s2", T0 + 20, T0);
    assert.deepEqual([await isEnded("s1"), await isEnded("s2"), await isEnded("s3")], [true, true, false]);
    await end("s3", T0 + 30, T0 + 11);
    assert.deepEqual([await isEnded("s1"), await isEnded("s2"), await isEnded("s3")], [false, true, true]);
    await other.close();
  });

  test("commit() starts attempts within the slots of a pool, across runs and handles", async ({ runs, openAnother }) => {
    const other = await openAnother();
    try {
      for (const [run_id, owner, handle] of [["r1", "p1", runs], ["r2", "p2", other]] as const) {
        await add(runs, run_id, {}, tasks);
        await claim(handle, owner, { run_id, max: 2 });
      }
      const pools = { gpu: 3 };
      const gpu = (task: string, owner: string, pool_slots = 1) =>
        startOf(task, { owner, pool: "gpu", pool_slots });
      const one = await begin(runs, { run_id: "r1", owner: "p1", pools, starts: [gpu("a", "p1", 2)] });
      assert.deepEqual(one.admitted, ["a"]);
      const starts = [gpu("a", "p2"), gpu("b", "p2"), startOf("c", { owner: "p2", pool: "free" })];
      const two = await begin(other, { run_id: "r2", owner: "p2", pools, starts });
      assert.deepEqual(two.admitted, ["a", "c"]);
    } finally {
      await other.close();
    }
  });

  test("commit() starts attempts of a pool in order, and never more than its limit", async ({ runs }) => {
    await add(runs, "r", {}, tasks);
    await claim(runs, "p");
    const [heavy, light, free, more] = [
      startOf("a", { owner: "p", pool: "gpu", pool_slots: 3 }),
      startOf("b", { owner: "p", pool: "gpu" }),
      startOf("c", { owner: "p", pool: "free" }),
      startOf("d", { owner: "p", pool: "free" }),
    ];
    const pools = { gpu: 2 };
    const first = await begin(runs, {
      run_id: "r",
      owner: "p",
      pools,
      starts: [heavy, light, free, more],
      limit: 1,
    });
    assert.deepEqual(first.admitted, ["c"]);
    assert.deepEqual((await runs.snapshot({ run_id: "r" }))?.tasks.map(({ state }) => state), [
      "waiting",
      "waiting",
      "running",
      "waiting",
    ]);
  });

  test("commit() does not count slots of attempts that ended or whose process has died", async ({ runs }) => {
    const pools = { gpu: 1 };
    const start = (task: TaskRecord | string, owner: string) => startOf(task, { owner, pool: "gpu" });
    await add(runs, "r1", {}, tasks);
    await add(runs, "r2", {}, tasks);
    await claim(runs, "p1", { run_id: "r1", max: 2 });
    let last = start("a", "p1");
    for (const state of ["success", "failed", "skipped", "cancelled", "timed_out", "lost"] as const) {
      const { admitted } = await begin(runs, { run_id: "r1", owner: "p1", pools, starts: [last] });
      assert.deepEqual(admitted, ["a"], state);
      await runs.commit({ run_id: "r1", owner: "p1", now: T0, changes: { ended: [endOf(last, { state })] } });
      last = start(last.task, "p1");
    }
    await begin(runs, { run_id: "r1", owner: "p1", pools, starts: [last] });
    await claim(runs, "p2", { run_id: "r2", max: 2 });
    const full = await begin(runs, { run_id: "r2", owner: "p2", pools, starts: [start("b", "p2")] });
    assert.deepEqual(full.admitted, []);
    const later = { run_id: "r2", owner: "p2", pools, starts: [start("b", "p2")], now: T0 + TTL };
    assert.deepEqual((await begin(runs, later)).admitted, ["b"]);
  });

  test("saveCheckpoint() accepts only the running attempt of the owner", async ({ runs }) => {
    await add(runs, "r");
    await claim(runs, "p1");
    const a = startOf("a", { owner: "p1" });
    const save = (owner: string, attempt: number, value: number) =>
      runs.saveCheckpoint({ run_id: "r", owner, task_id: "a", attempt, value: { at: value } });
    assert.equal(await runs.checkpoint({ run_id: "r", task_id: "a" }), null);
    await assert.rejects(save("p1", 1, 0), CONFLICT);
    await begin(runs, { run_id: "r", owner: "p1", starts: [a] });
    await save("p1", 1, 1);
    await assert.rejects(save("p2", 1, 2), CONFLICT);
    await runs.commit({ run_id: "r", owner: "p1", now: T0, changes: { ended: [endOf(a)] } });
    await assert.rejects(save("p1", 1, 3), CONFLICT);
    const second = startOf(a.task, { owner: "p1" });
    await begin(runs, { run_id: "r", owner: "p1", starts: [second] });
    await save("p1", 2, 4);
    await claim(runs, "p2", { now: T0 + TTL });
    await assert.rejects(save("p1", 2, 5), CONFLICT);
    assert.deepEqual(await runs.checkpoint({ run_id: "r", task_id: "a" }), { at: 4 });
  });

  test("saveCheckpoint() resets the count of lost attempts", async ({ runs }) => {
    await add(runs, "r");
    await claim(runs, "p1");
    const a = startOf({ ...newTask("a"), lost: 3 }, { owner: "p1" });
    await begin(runs, { run_id: "r", owner: "p1", starts: [a] });
    const lost = async () => (await runs.snapshot({ run_id: "r" }))?.tasks[0]?.lost;
    assert.equal(await lost(), 3);
    await runs.saveCheckpoint({ run_id: "r", owner: "p1", task_id: "a", attempt: 1, value: 1 });
    assert.equal(await lost(), 0);
  });

  test("requestCancel() ends a run without a driver, and does not change finished tasks", async ({ runs }) => {
    await runs.create({ run: runOf("r"), tasks: [{ ...newTask("a"), state: "success" }, newTask("b")] });
    assert.equal(await runs.requestCancel({ run_id: "r" }), true);
    const snapshot = await runs.snapshot({ run_id: "r" });
    assert.equal(snapshot?.run.state, "cancelled");
    assert.ok(snapshot?.run.ended_at !== null);
    assert.deepEqual(snapshot?.tasks.map(({ state }) => state), ["success", "cancelled"]);
    assert.equal(await runs.requestCancel({ run_id: "r" }), false);
    assert.equal(await runs.requestCancel({ run_id: "none" }), false);
    assert.equal(await claim(runs, "p1"), null);
  });

  test("revise() changes a run by its plan and queues it again", async ({ runs }) => {
    await add(runs, "r");
    await claim(runs, "p1");
    const a = startOf("a", { owner: "p1" });
    await begin(runs, { run_id: "r", owner: "p1", starts: [a] });
    await runs.saveCheckpoint({ run_id: "r", owner: "p1", task_id: "a", attempt: 1, value: 1 });
    await runs.requestCancel({ run_id: "r" });
    const ended = { state: "cancelled" as const, started_at: iso(T0), ended_at: iso(T0), error: null };
    await runs.commit({ run_id: "r", owner: "p1", now: T0, changes: { run: ended, ended: [endOf(a)] } });
    const queued = { state: "queued" as const, started_at: null, ended_at: null, error: null };
    await runs.revise({
      run_id: "r",
      now: T0,
      plan: ({ tasks }) => ({ run: queued, tasks: [{ ...tasks[0]!, state: "waiting" }], discard: ["a"] }),
    });
    assert.equal(await runs.checkpoint({ run_id: "r", task_id: "a" }), null);
    const claimed = await claim(runs, "p2");
    assert.equal(claimed?.run.cancel_requested, false);
    assert.equal(claimed?.tasks[0]?.state, "waiting");
    assert.equal(claimed?.attempts.length, 1);
  });

  test("revise() writes nothing if its plan throws, and rejects an unknown run", async ({ runs }) => {
    await add(runs, "r");
    const plan = () => {
      throw new Error("no");
    };
    await assert.rejects(runs.revise({ run_id: "r", now: T0, plan }), { message: "no" });
    await assert.rejects(runs.revise({ run_id: "x", now: T0, plan: () => ({}) }), { code: "not_found" });
    assert.equal((await claim(runs, "p1"))?.run.run_id, "r");
  });

  test("heartbeat() extends the lease of an attempt of an external run, which keeps its parent", async ({ runs }) => {
    await add(runs, "r", { trigger: "external" });
    const parent = "outside/test.a/0197a1c2-0000-7000-8000-00000000000a";
    const start = (task: string) =>
      startOf(task, { owner: "p1", pool: "gpu", lease_until: T0 + TTL, parent });
    const plan = () => ({ starts: [start("a"), start("b")], pools: { gpu: 1 } });
    assert.deepEqual(await runs.revise({ run_id: "r", now: T0, plan }), { admitted: ["a"] });
    const key = { task_id: "a", attempt: 1 };
    const beat = { run_id: "r", now: T0 + TTL - 1, ttl_ms: TTL, progress: [], attempt: key };
    await runs.heartbeat({ ...beat, owner: "p1" });
    await assert.rejects(runs.heartbeat({ ...beat, owner: "p2" }), CONFLICT);
    const [begun] = (await runs.snapshot({ run_id: "r" }))!.attempts;
    assert.deepEqual([begun?.lease_until, begun?.parent], [T0 + 2 * TTL - 1, parent]);
    await runs.saveCheckpoint({ run_id: "r", owner: "p1", ...key, value: "kept" });
    const later = (now: number) =>
      runs.revise({ run_id: "r", now, plan: () => ({ starts: [start("b")], pools: { gpu: 1 } }) });
    assert.deepEqual((await later(T0 + TTL)).admitted, []);
    assert.deepEqual((await later(T0 + 2 * TTL)).admitted, ["b"]);
  });

  test("logs() pages through lines in order, of a run, a task or an attempt", async ({ runs }) => {
    await add(runs, "r");
    const line = (task_id: string, attempt: number, text: string) => ({
      task_id,
      attempt,
      at: iso(T0),
      line: text,
    });
    const lines = [line("a", 1, "one"), line("b", 1, "two"), line("a", 2, "three")];
    await runs.appendLogs({ run_id: "r", lines });
    const first = await runs.logs({ run_id: "r", after: 0, limit: 2 });
    assert.deepEqual(first.map(({ line }) => line), ["one", "two"]);
    const rest = await runs.logs({ run_id: "r", after: first[1]!.seq, limit: 9 });
    assert.deepEqual(rest.map(({ seq: _, ...rest }) => rest), [lines[2]]);
    const of = (options: { task_id?: string; attempt?: number }) =>
      runs.logs({ run_id: "r", after: 0, limit: 9, ...options });
    assert.deepEqual((await of({ task_id: "a" })).length, 2);
    assert.deepEqual((await of({ task_id: "a", attempt: 2 })).map(({ line }) => line), ["three"]);
  });

  test("runs() lists the newest first, by dag and state", async ({ runs }) => {
    await add(runs, "r1", { created_at: iso(T0) });
    await add(runs, "r2", { created_at: iso(T0 + 1), dag_id: "e" });
    await add(runs, "r3", { created_at: iso(T0 + 2), state: "success" });
    await add(runs, "r0", { created_at: iso(T0 - 1), dag_id: "f" });
    const times = { started_at: iso(T0), ended_at: iso(T0) };
    const run = { ...times, state: "success", error: "nothing new" } as const;
    await runs.revise({ run_id: "r0", now: T0, plan: () => ({ run }) });
    const ids = async (options: Omit<Parameters<RunStore["runs"]>[0], "limit">) =>
      (await runs.runs({ ...options, limit: 2 })).map(({ run_id }) => run_id);
    assert.deepEqual(await ids({}), ["r3", "r2"]);
    assert.deepEqual(await ids({ dag_id: "d" }), ["r3", "r1"]);
    assert.deepEqual(await ids({ states: ["queued", "running"] }), ["r2", "r1"]);
    assert.deepEqual(await ids({ dag_id: "e", states: ["success"] }), []);
    assert.deepEqual(await ids({ dag_id: "f", states: ["success"] }), ["r0"]);
    assert.deepEqual(await ids({ dag_id: "f", skipped: false }), []);
    assert.deepEqual(await ids({ states: ["success"], skipped: false }), ["r3"]);
    assert.deepEqual(await ids({ skipped: true }), ["r0"]);
  });

  test("runs() lists those of logical dates from one time until before another", async ({ runs }) => {
    const at = (day: number) => `2026-04-0${day}T00:00:00.000Z`;
    for (const day of [1, 2, 3]) await add(runs, `r${day}`, { logical_date: at(day) });
    const ids = async (dates: { from?: string; to?: string }) =>
      (await runs.runs({ ...dates, limit: 9 })).map(({ run_id }) => run_id).sort();
    assert.deepEqual(await ids({ from: at(2) }), ["r2", "r3"]);
    assert.deepEqual(await ids({ to: at(2) }), ["r1"]);
    assert.deepEqual(await ids({ from: at(2), to: at(3) }), ["r2"]);
  });

  test("runs() continues after a run, also among runs of one time", async ({ runs }) => {
    for (const [n, at] of [0, 1, 1, 1, 2].entries()) await add(runs, `r${n}`, { created_at: iso(T0 + at) });
    const after = async (at: number, run_id: string) =>
      (await runs.runs({ after: { created_at: iso(T0 + at), run_id }, limit: 9 })).map(({ run_id }) =>
        run_id
      );
    assert.deepEqual(await after(2, "r4"), ["r3", "r2", "r1", "r0"]);
    assert.deepEqual(await after(1, "r2"), ["r1", "r0"]);
    // A run that has been removed meanwhile still has its place.
    assert.deepEqual(await after(1, "r15"), ["r1", "r0"]);
    assert.deepEqual(await after(0, "r0"), []);
  });

  test("lastScheduled() returns the newest logical date that is not in the future", async ({ runs }) => {
    const scheduled = (run_id: string, at: number) =>
      add(runs, run_id, { trigger: "schedule", occurrence: run_id, logical_date: iso(at) });
    const last = (until: number) => runs.lastScheduled({ dag_id: "d", until: iso(until) });
    assert.equal(await last(T0), null);
    await add(runs, "manual", { logical_date: iso(T0 + 9) });
    await scheduled("s1", T0 + 1_000);
    await scheduled("s2", T0 + 2_000);
    assert.equal(await last(T0 + 5_000), iso(T0 + 2_000));
    assert.equal(await last(T0 + 1_500), iso(T0 + 1_000));
  });

  test("firstSeen() keeps the first time, and an earlier one if the clock is set back", async ({ runs }) => {
    const seen = (now: number) => runs.firstSeen({ dag_id: "d", now });
    assert.equal(await seen(T0 + 5), T0 + 5);
    assert.equal(await seen(T0 + 9), T0 + 5);
    assert.equal(await seen(T0), T0);
    assert.equal(await seen(T0 + 9), T0);
  });

  test("lead() has one leader, until its heartbeat stops or the clock is set back", async ({ runs, openAnother }) => {
    const other = await openAnother();
    try {
      const lead = (store: RunStore, owner: string, now: number) =>
        store.lead({ owner, now, ttl_ms: TTL, lag_ms: 3 });
      assert.equal(await runs.leader(), null);
      assert.equal(await lead(runs, "p1", T0), true);
      assert.equal(await lead(other, "p2", T0 + TTL - 1), false);
      assert.equal(await lead(runs, "p1", T0 + 5), true);
      assert.deepEqual(await other.leader(), {
        owner: "p1",
        last_tick: iso(T0 + 5),
        lag_ms: 3,
        live_until: iso(T0 + 5 + TTL),
      });
      assert.equal(await lead(other, "p2", T0 + 5 + TTL), true);
      assert.equal(await lead(runs, "p1", T0 + 6 + TTL), false);
      assert.equal(await lead(runs, "p1", T0 - 3_600_000), true);
    } finally {
      await other.close();
    }
  });

  test("datasetWrites() counts what successful attempts wrote that outlives their run, each once", async ({ runs }) => {
    const key = (name: string) => datasetKey({ namespace: "file", name });
    const names = new Map(["a", "b"].map((name) => [key(name), name]));
    const written = async () =>
      (await runs.datasetWrites({ datasets: [...names.keys()] })).map((
        { dataset, writes, written_at },
      ) => [names.get(dataset), writes, written_at]).sort();
    const output = (name: string) => useOf(name, { direction: "output" });
    await add(runs, "r");
    await claim(runs, "p");
    const commit = (changes: Parameters<RunStore["commit"]>[0]["changes"]) =>
      runs.commit({ run_id: "r", owner: "p", now: T0, changes });
    const start = startOf("a", { owner: "p" });
    await commit({ starts: [start] });
    const ended = [endOf(start, { lineage: [output("a"), output("a"), output("r/part"), useOf("b")] })];
    await commit({ ended });
    await commit({ ended });
    assert.deepEqual(await written(), [["a", 1, iso(T0 + 1_000)]]);
    const again = startOf(start.task, { owner: "p" });
    await commit({ starts: [again] });
    await commit({
      ended: [endOf(again, { lineage: [output("a"), output("b")], ended_at: iso(T0 + 2_000) })],
    });
    const failed = startOf(again.task, { owner: "p" });
    await commit({ starts: [failed] });
    await commit({ ended: [endOf(failed, { state: "failed", lineage: [output("a")] })] });
    assert.deepEqual(await written(), [["a", 2, iso(T0 + 2_000)], ["b", 1, iso(T0 + 2_000)]]);
    assert.deepEqual(await runs.datasetWrites({ datasets: [key("r/part")] }), []);
  });

  test("runNotes() returns what revise() recorded, in order, and prune() removes it", async ({ runs }) => {
    for (const run_id of ["r", "s"]) await add(runs, run_id);
    const note = (action: RunNote["action"], task_id: string | null): RunNote => (
      { task_id, action, by: "Ann", note: `why ${action}`, at: iso(T0) }
    );
    const notes = [note("cleared", null), note("success", "b")];
    for (const one of notes) await runs.revise({ run_id: "r", now: T0, plan: () => ({ notes: [one] }) });
    assert.deepEqual(await runs.runNotes({ run_id: "r" }), notes);
    assert.deepEqual(await runs.runNotes({ run_id: "s" }), []);
    await runs.requestCancel({ run_id: "r" });
    await runs.prune({ before: iso(T0 + 1) });
    assert.deepEqual(await runs.runNotes({ run_id: "r" }), []);
  });

  test("prune() removes old inactive runs, with all their records", async ({ runs }) => {
    const old = { created_at: iso(T0), ended_at: iso(T0 + 1), state: "success" as const };
    const dated = (run_id: string, day: number) => ({
      trigger: "schedule" as const,
      occurrence: run_id,
      logical_date: iso(T0 + day),
    });
    await add(runs, "ended");
    await runs.requestCancel({ run_id: "ended" });
    for (const [run_id, day] of [["s1", 1], ["s2", 2]] as const) {
      await add(runs, run_id, dated(run_id, day));
      await runs.requestCancel({ run_id });
    }
    for (const [run_id, day] of [["w1", 1], ["w2", 2]] as const) {
      await add(runs, run_id, { ...dated(run_id, day), trigger: "dataset" });
      await runs.requestCancel({ run_id });
    }
    assert.deepEqual((await runs.runs({ trigger: "dataset", limit: 9 })).map(({ run_id }) => run_id), [
      "w2",
      "w1",
    ]);
    await add(runs, "external", { trigger: "external" });
    await add(runs, "open");
    await add(runs, "young", { created_at: iso(T0 + 10) });
    await runs.requestCancel({ run_id: "young" });
    await runs.appendLogs({
      run_id: "ended",
      lines: [{ task_id: "a", attempt: 1, at: old.created_at, line: "x" }],
    });
    assert.equal(await runs.prune({ before: iso(T0 + 5) }), 4);
    assert.deepEqual(await runs.logs({ run_id: "ended", after: 0, limit: 9 }), []);
    const left = (await runs.runs({ limit: 9 })).map(({ run_id }) => run_id).sort();
    assert.deepEqual(left, ["open", "s2", "w2", "young"]);
  });

  test("health() names the engine", async ({ runs }) => {
    healthy(await runs.health());
  });
}
