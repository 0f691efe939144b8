import assert from "node:assert/strict";
import { iso } from "../../lib/core/clock.ts";
import type { RunStore, UnsentAttempt } from "../../lib/stores/runs/port.ts";
import { addRun, endOf, startOf, T0, useOf } from "../fixtures/runs.ts";
import { add, claim, type OpenRuns, storeTest } from "./runs.ts";

const HIDDEN_MS = 60_000;

const take = (runs: RunStore, options: { now?: number; limit?: number } = {}) => {
  const { now = T0, limit = 100 } = options;
  return runs.takeUnsent({ now, again_at: now + HIDDEN_MS, limit });
};
const keys = (taken: readonly UnsentAttempt[]) =>
  taken.map(({ run: { run_id }, attempt: { task_id, attempt } }) => ({ run_id, task_id, attempt }));
const ids = (taken: readonly UnsentAttempt[]) => taken.map(({ run }) => run.run_id);

/** The input of a lineage sink's events. */
export function runsOutboxContract(name: string, open: () => Promise<OpenRuns>): void {
  const test = storeTest(name, open);

  test("takeUnsent() returns an attempt when it starts, and again when it has ended", async ({ runs }) => {
    await add(runs, "r");
    const claimed = await claim(runs, "p");
    const start = startOf("a", { owner: "p" });
    const commit = (changes: Parameters<RunStore["commit"]>[0]["changes"]) =>
      runs.commit({ run_id: "r", owner: "p", now: T0, changes });
    await commit({ starts: [start] });
    const { run } = claimed!;
    const due = { run, lineage: [], start_sent: false, due_at: 0 };
    const started = await take(runs);
    assert.deepEqual([started, await runs.unsent()], [[{ ...due, attempt: start.attempt }], 0]);
    const attempts = keys(started).map((key) => ({ ...key, running: true }));
    await runs.markSent({ attempts, again_at: null });
    assert.deepEqual(await take(runs, { now: T0 + HIDDEN_MS }), []);
    const lineage = ["z", "a"].map((name) => useOf(name, { rows: 3, fields: ["id"], quality: { same: 1 } }));
    const ended = endOf(start, { rows_in: 3, versions: { model: "m" }, lineage });
    await commit({ ended: [ended] });
    assert.equal(await runs.unsent(), 1);
    const { lineage: _, ...attempt } = ended;
    // A sender that is late marks the start that it has sent, not the end.
    await runs.markSent({ attempts, again_at: null });
    assert.deepEqual(await take(runs), [{ ...due, attempt, lineage, start_sent: true }]);
  });

  test("takeUnsent() returns an attempt once, and once more if it is not settled", async ({ runs }) => {
    await addRun(runs, { run_id: "r", dag_id: "d", at: T0, task_id: "a" });
    assert.deepEqual(ids(await take(runs)), ["r"]);
    assert.deepEqual(ids(await take(runs, { now: T0 + HIDDEN_MS - 1 })), []);
    assert.equal(await runs.unsent(), 1);
    assert.deepEqual(ids(await take(runs, { now: T0 + HIDDEN_MS })), ["r"]);
  });

  test("takeUnsent() returns attempts in the order of their end, and postponed ones last", async ({ runs }) => {
    for (const n of [3, 1, 2]) {
      await addRun(runs, { run_id: `r${n}`, dag_id: "d", at: T0 + n * 1_000, task_id: "a" });
    }
    const [first] = keys(await take(runs, { limit: 1 }));
    assert.equal(first?.run_id, "r1");
    await runs.markSent({ attempts: [first!], again_at: T0 + 1 });
    const rest = await take(runs, { now: T0 + 1 });
    assert.deepEqual(rest.map(({ run, due_at }) => [run.run_id, due_at]), [["r2", 0], ["r3", 0], [
      "r1",
      T0 + 1,
    ]]);
  });

  test("concurrent takeUnsent() calls never return the same attempt", async ({ runs, openAnother }) => {
    const other = await openAnother();
    try {
      for (let n = 0; n < 12; n++) {
        await addRun(runs, { run_id: `r${n}`, dag_id: "d", at: T0, task_id: "a" });
      }
      const asked = Array.from({ length: 6 }, (_, i) => take(i % 2 === 0 ? runs : other, { limit: 2 }));
      const given = (await Promise.all(asked)).flatMap(ids);
      assert.equal(new Set(given).size, given.length);
      assert.ok(given.length > 0);
    } finally {
      await other.close();
    }
  });

  test("settleUnsent() removes sent attempts, and sets when others are due", async ({ runs }) => {
    for (const n of [1, 2, 3]) {
      await addRun(runs, { run_id: `r${n}`, dag_id: "d", at: T0 + n, task_id: "a" });
    }
    const [sent, refused, back] = keys(await take(runs));
    await runs.markSent({ attempts: [], again_at: null });
    await runs.markSent({ attempts: [sent!], again_at: null });
    await runs.markSent({ attempts: [refused!], again_at: T0 + 2 * HIDDEN_MS });
    await runs.markSent({ attempts: [back!], again_at: 0 });
    assert.equal(await runs.unsent(), 2);
    assert.deepEqual(ids(await take(runs)), ["r3"]);
    await runs.markSent({ attempts: [back!], again_at: null });
    assert.deepEqual(ids(await take(runs, { now: T0 + HIDDEN_MS })), []);
    assert.deepEqual(ids(await take(runs, { now: T0 + 2 * HIDDEN_MS })), ["r2"]);
  });

  test("prune() keeps unsent attempts on request", async ({ runs }) => {
    for (const run_id of ["sent", "unsent"]) {
      await addRun(runs, { run_id, dag_id: "d", at: T0, task_id: "a" });
    }
    const sent = keys(await take(runs)).filter(({ run_id }) => run_id === "sent");
    await runs.markSent({ attempts: sent, again_at: null });
    const before = iso(T0 + 1);
    assert.equal(await runs.prune({ before, keep_unsent: true }), 1);
    assert.deepEqual((await runs.runs({ limit: 9 })).map(({ run_id }) => run_id), ["unsent"]);
    assert.equal(await runs.prune({ before }), 1);
  });
}
