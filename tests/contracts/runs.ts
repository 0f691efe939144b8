import assert from "node:assert/strict";
import { iso } from "../../lib/core/clock.ts";
import { newTask } from "../../lib/dag/state.ts";
import type { RunRecord, RunStore } from "../../lib/stores/runs/port.ts";
import { endOf, runOf, startOf, T0, useOf } from "../fixtures/runs.ts";
import { runsAcknowledgementsContract } from "./runs_acknowledgements.ts";
import { runsAuditContract } from "./runs_audit.ts";
import { runsBackfillsContract } from "./runs_backfills.ts";
import { runsControlContract } from "./runs_control.ts";
import { runsHistoryContract } from "./runs_history.ts";
import { runsNotificationsContract } from "./runs_notifications.ts";
import { runsOutboxContract } from "./runs_outbox.ts";
import { runsTextsContract } from "./runs_texts.ts";

export interface OpenRuns {
  readonly store: RunStore;
  /** A second handle on the same runs, as another process would have it. */
  openAnother(): Promise<RunStore>;
  close(): Promise<void>;
}

export const TTL = 10_000;
export const CONFLICT = { name: "ParleyError", code: "conflict" };

/** Registers a test that gets a fresh, empty store. */
export function storeTest(name: string, open: () => Promise<OpenRuns>) {
  return (what: string, body: (options: { runs: RunStore } & OpenRuns) => Promise<void>) =>
    Deno.test(`${name}: ${what}`, async () => {
      const opened = await open();
      try {
        await body({ ...opened, runs: opened.store });
      } finally {
        await opened.close();
      }
    });
}

export const add = (runs: RunStore, run_id: string, rest: Partial<RunRecord> = {}, tasks = ["a", "b"]) =>
  runs.create({ run: runOf(run_id, rest), tasks: tasks.map(newTask) });
export const claim = (
  runs: RunStore,
  owner: string,
  options: { now?: number; run_id?: string; max?: number } = {},
) => {
  const { now = T0, max = 1, ...rest } = options;
  return runs.claim({ owner, now, ttl_ms: TTL, max_active: { d: max }, ...rest });
};

/** What every store of runs must do. */
export function runsContract(name: string, open: () => Promise<OpenRuns>): void {
  const test = storeTest(name, open);

  test("create() does not change an existing run, by its id or by its occurrence", async ({ runs }) => {
    const run = runOf("r:1+x", { trigger: "schedule", occurrence: "d|2026-05-01" });
    assert.equal(await runs.create({ run, tasks: [newTask("a")] }), true);
    assert.equal(await add(runs, "r:1+x"), false);
    assert.equal(await add(runs, "r2", { trigger: "schedule", occurrence: "d|2026-05-01" }), false);
    assert.deepEqual(await runs.snapshot({ run_id: "r:1+x" }), { run, tasks: [newTask("a")], attempts: [] });
    assert.equal(await runs.snapshot({ run_id: "r2" }), null);
  });

  test("claim() returns the oldest queued run of known dags, and no run twice", async ({ runs }) => {
    await add(runs, "new", { created_at: iso(T0 + 2) });
    await add(runs, "old", { created_at: iso(T0 + 1) });
    await add(runs, "strange", { dag_id: "unknown", created_at: iso(T0) });
    const first = await claim(runs, "p1", { max: 2 });
    assert.equal(first?.run.run_id, "old");
    assert.equal(first?.run.state, "running");
    assert.equal((await claim(runs, "p2", { max: 2 }))?.run.run_id, "new");
    assert.equal(await claim(runs, "p3", { max: 9 }), null);
  });

  test("concurrent claim() calls return a run to one caller only", async ({ runs, openAnother }) => {
    const other = await openAnother();
    try {
      for (const n of [1, 2, 3]) await add(runs, `r${n}`);
      const asked = Array.from(
        { length: 12 },
        (_, i) => claim(i % 2 === 0 ? runs : other, `p${i}`, { max: 9 }),
      );
      const given = (await Promise.all(asked)).flatMap((found) => found === null ? [] : [found.run.run_id]);
      assert.deepEqual(given.sort(), ["r1", "r2", "r3"]);
    } finally {
      await other.close();
    }
  });

  test("claim() enforces max_active across handles, and counts interrupted runs", async ({ runs, openAnother }) => {
    const other = await openAnother();
    try {
      for (const n of [1, 2, 3]) await add(runs, `r${n}`, { created_at: iso(T0 + n) });
      assert.equal((await claim(runs, "p1", { max: 2 }))?.run.run_id, "r1");
      assert.equal((await claim(other, "p2", { max: 2 }))?.run.run_id, "r2");
      assert.equal(await claim(other, "p3", { max: 2 }), null);
      await runs.release({ run_id: "r1", owner: "p1" });
      assert.equal((await claim(other, "p3", { max: 2 }))?.run.run_id, "r1");
    } finally {
      await other.close();
    }
  });

  test("claim() counts the runs of all dags of a group, in all processes", async ({ runs, openAnother }) => {
    const other = await openAnother();
    try {
      const limits = { max_active: { d: 1, e: 1, f: 1 }, groups: { d: "g", e: "g", gone: "g" } };
      const claimBy = async (handle: RunStore, owner: string) =>
        (await handle.claim({ owner, now: T0, ttl_ms: TTL, ...limits }))?.run.run_id ?? null;
      for (const [n, dag_id] of ["d", "e", "f", "e"].entries()) {
        await add(runs, `${dag_id}${n}`, { dag_id, created_at: iso(T0 + n) });
      }
      assert.equal(await claimBy(runs, "p1"), "d0");
      assert.equal(await claimBy(other, "p2"), "f2");
      assert.equal(await runs.hasDueRuns({ now: T0, ttl_ms: TTL, ...limits }), false);
      assert.equal(await claimBy(other, "p3"), null);
      const run = { state: "success" as const, started_at: iso(T0), ended_at: iso(T0), error: null };
      await runs.commit({ run_id: "d0", owner: "p1", now: T0, changes: { run } });
      assert.equal(await runs.hasDueRuns({ now: T0, ttl_ms: TTL, ...limits }), true);
      const given = await Promise.all([claimBy(runs, "p4"), claimBy(other, "p5")]);
      assert.deepEqual(given.sort(), [null, "e1"].sort());
    } finally {
      await other.close();
    }
  });

  test("claim() returns a run whose lease has expired, before any queued run", async ({ runs }) => {
    await add(runs, "dead", { created_at: iso(T0 + 1) });
    await claim(runs, "p1", { run_id: "dead" });
    await add(runs, "queued");
    assert.equal(await claim(runs, "p2", { now: T0 + TTL - 1 }), null);
    assert.equal((await claim(runs, "p2", { now: T0 + TTL }))?.run.run_id, "dead");
  });

  test("claim() does not wait for a lease that is in the future because the clock was set back", async ({ runs }) => {
    await add(runs, "r");
    await claim(runs, "p1", { now: T0 + 3_600_000 });
    assert.equal((await claim(runs, "p2", { now: T0 }))?.run.run_id, "r");
    assert.equal(await claim(runs, "p3", { now: T0 + 1 }), null);
  });

  test("claim() reserves a run that was created with a lease for its owner", async ({ runs }) => {
    await runs.create({ run: runOf("r"), tasks: [newTask("a")], lease: { owner: "mine", until: T0 + TTL } });
    assert.equal(await runs.hasDueRuns({ now: T0, ttl_ms: TTL, max_active: { d: 1 } }), false);
    assert.equal(await claim(runs, "other"), null);
    assert.equal((await claim(runs, "mine"))?.run.run_id, "r");
  });

  test("claim() returns a run to any caller if the process that created it has died", async ({ runs }) => {
    await runs.create({ run: runOf("r"), tasks: [newTask("a")], lease: { owner: "dead", until: T0 + TTL } });
    assert.equal((await claim(runs, "other", { now: T0 + TTL }))?.run.run_id, "r");
  });

  test("claim() neither returns nor counts external runs", async ({ runs }) => {
    await add(runs, "theirs", { trigger: "external", state: "running" });
    await runs.revise({
      run_id: "theirs",
      now: T0,
      plan: () => ({ run: { state: "running", started_at: iso(T0), ended_at: null, error: null } }),
    });
    assert.equal(await claim(runs, "p1"), null);
    await add(runs, "ours");
    assert.equal((await claim(runs, "p1"))?.run.run_id, "ours");
  });

  test("claim() returns manual runs of a paused dag, and leaves scheduled ones queued", async ({ runs }) => {
    await runs.setPaused({ dag_id: "d", paused: true });
    await runs.setPaused({ dag_id: "d", paused: true });
    await add(runs, "scheduled", { trigger: "schedule", occurrence: "o" });
    assert.deepEqual(await runs.paused(), ["d"]);
    assert.equal(await claim(runs, "p1"), null);
    await add(runs, "manual");
    assert.equal((await claim(runs, "p1", { max: 2 }))?.run.run_id, "manual");
    await runs.setPaused({ dag_id: "d", paused: false });
    assert.equal((await claim(runs, "p1", { max: 2 }))?.run.run_id, "scheduled");
  });

  test("hasDueRuns() reports whether claim() would return a run", async ({ runs }) => {
    const hasDueRuns = (now: number) => runs.hasDueRuns({ now, ttl_ms: TTL, max_active: { d: 1 } });
    assert.equal(await hasDueRuns(T0), false);
    await add(runs, "r");
    assert.equal(await hasDueRuns(T0), true);
    await claim(runs, "p1");
    assert.equal(await hasDueRuns(T0 + 1), false);
    assert.equal(await hasDueRuns(T0 + TTL), true);
  });

  test("commit() writes tasks, attempts, run and lineage together, and an attempt's end once", async ({ runs }) => {
    await add(runs, "r");
    await claim(runs, "p1");
    const start = startOf("a", { owner: "p1" });
    const commit = (changes: Parameters<RunStore["commit"]>[0]["changes"]) =>
      runs.commit({ run_id: "r", owner: "p1", now: T0, changes });
    assert.deepEqual(await commit({ starts: [start] }), { admitted: ["a"] });
    assert.deepEqual(
      await commit({ starts: [start] }),
      { admitted: ["a"] },
      "asked again, it is the same start",
    );
    const use = useOf("in.csv", {
      rows: 3,
      bytes: 10,
      version: "x",
      fields: ["id"],
      quality: { doubled: 1 },
    });
    const ended = endOf(start, { rows_in: 3, versions: { model: "m" }, lineage: [use], error: "ü" });
    const task = { ...start.task, state: "success" as const, output: { n: 1 }, branch: ["b"] };
    for (let twice = 0; twice < 2; twice++) await commit({ ended: [ended], tasks: [task] });
    const { lineage: _, ...record } = ended;
    const snapshot = await runs.snapshot({ run_id: "r" });
    assert.deepEqual(snapshot?.attempts, [record]);
    assert.deepEqual(snapshot?.tasks, [task, newTask("b")]);
    assert.deepEqual(await runs.lineage({ run_id: "r" }), [{
      ...use,
      task_id: "a",
      attempt: 1,
    }]);
  });

  test("commit() writes nothing for a driver that has lost the lease", async ({ runs }) => {
    await add(runs, "r");
    await claim(runs, "p1");
    await claim(runs, "p2", { now: T0 + TTL });
    const changes = { starts: [startOf("a", { owner: "p1" })] };
    await assert.rejects(runs.commit({ run_id: "r", owner: "p1", now: T0, changes }), CONFLICT);
    await assert.rejects(
      runs.heartbeat({ run_id: "r", owner: "p1", now: T0, ttl_ms: TTL, progress: [] }),
      CONFLICT,
    );
    await runs.release({ run_id: "r", owner: "p1" });
    assert.equal(
      await claim(runs, "p3", { now: T0 + TTL + 1 }),
      null,
      "the release of another's lease does nothing",
    );
    assert.deepEqual((await runs.snapshot({ run_id: "r" }))?.attempts, []);
  });

  test("commit() ends a run and releases its lease", async ({ runs }) => {
    await add(runs, "r");
    await claim(runs, "p1");
    const run = { state: "failed" as const, started_at: iso(T0), ended_at: iso(T0 + 5), error: "a: broken" };
    await runs.commit({ run_id: "r", owner: "p1", now: T0, changes: { run } });
    assert.deepEqual((await runs.snapshot({ run_id: "r" }))?.run, runOf("r", run));
    await assert.rejects(runs.commit({ run_id: "r", owner: "p1", now: T0, changes: {} }), CONFLICT);
    assert.equal(await claim(runs, "p2", { now: T0 + TTL }), null);
  });

  test("heartbeat() extends the lease, stores progress, and returns a cancel request", async ({ runs }) => {
    await add(runs, "r");
    await claim(runs, "p1");
    await runs.commit({
      run_id: "r",
      owner: "p1",
      now: T0,
      changes: { starts: [startOf("a", { owner: "p1" })] },
    });
    const beat = (now: number) =>
      runs.heartbeat({
        run_id: "r",
        owner: "p1",
        now,
        ttl_ms: TTL,
        progress: [{ task_id: "a", attempt: 1, done: 7, total: null }],
      });
    assert.deepEqual(await beat(T0 + TTL - 1), { cancel_requested: false });
    assert.equal(await claim(runs, "p2", { now: T0 + TTL + 1 }), null);
    assert.equal((await runs.snapshot({ run_id: "r" }))?.attempts[0]?.progress_done, 7);
    assert.equal(await runs.requestCancel({ run_id: "r" }), true);
    assert.deepEqual(await beat(T0 + TTL), { cancel_requested: true });
  });

  runsAuditContract(name, open);
  runsControlContract(name, open);
  runsBackfillsContract(name, open);
  runsHistoryContract(name, open);
  runsNotificationsContract(name, open);
  runsOutboxContract(name, open);
  runsTextsContract(name, open);
  runsAcknowledgementsContract(name, open);
}
