import assert from "node:assert/strict";
import { iso } from "../../lib/core/clock.ts";
import type { ActiveLimits, Backfill, RunRecord, RunStore } from "../../lib/stores/runs/port.ts";
import { T0 } from "../fixtures/runs.ts";
import { add, type OpenRuns, storeTest, TTL } from "./runs.ts";

const backfill = (backfill_id: string, rest: Partial<Backfill> = {}): Backfill => ({
  backfill_id,
  dag_id: "d",
  from_day: "2026-04-01",
  to_day: "2026-04-03",
  reprocess: "none",
  max_active: 2,
  backwards: false,
  created_at: iso(T0),
  cancelled_at: null,
  ...rest,
});

/** Adds a run of a backfill for each of these days in April. */
async function addDays(runs: RunStore, backfill_id: string, days: number[], rest: Partial<RunRecord> = {}) {
  for (const day of days) {
    const logical_date = `2026-04-0${day}T00:00:00.000Z`;
    await add(runs, `${backfill_id}-${day}`, { trigger: "backfill", backfill_id, logical_date, ...rest });
  }
}

/** Backfills, and the order and the limits of their runs. */
export function runsBackfillsContract(name: string, open: () => Promise<OpenRuns>): void {
  const test = storeTest(name, open);
  const claimId = async (runs: RunStore, limits: ActiveLimits = { max_active: { d: 1 } }) =>
    (await runs.claim({ owner: "p", now: T0, ttl_ms: TTL, ...limits }))?.run.run_id ?? null;

  test("backfills() counts runs by state, newest first, of a dag or one by its id", async ({ runs }) => {
    await runs.addBackfill(backfill("b1"));
    await runs.addBackfill(backfill("b2", { created_at: iso(T0 + 1), backwards: true }));
    await runs.addBackfill(backfill("other", { dag_id: "e" }));
    await addDays(runs, "b1", [1, 2, 3]);
    await addDays(runs, "b2", [4]);
    await addDays(runs, "other", [5], { dag_id: "e" });
    await runs.requestCancel({ run_id: "b1-2" });
    assert.equal(await claimId(runs), "b1-1");
    const none = { queued: 0, running: 0, success: 0, failed: 0, cancelled: 0 };
    const b1 = { ...backfill("b1"), runs: { ...none, queued: 1, running: 1, cancelled: 1 } };
    const b2 = {
      ...backfill("b2", { created_at: iso(T0 + 1), backwards: true }),
      runs: { ...none, queued: 1 },
    };
    assert.deepEqual(await runs.backfills({ dag_id: "d", limit: 9 }), [b2, b1]);
    assert.deepEqual(await runs.backfills({ dag_id: "d", limit: 1 }), [b2]);
    assert.deepEqual(await runs.backfills({ backfill_id: "b1", limit: 9 }), [b1]);
    assert.deepEqual(await runs.backfills({ backfill_id: "none", limit: 9 }), []);
    const ids = (await runs.runs({ backfill_id: "b1", states: ["queued", "running"], limit: 9 }))
      .map(({ run_id }) => run_id);
    assert.deepEqual(ids.sort(), ["b1-1", "b1-3"]);
  });

  test("claim() returns runs of a backfill after all others, in its order, by its own limit", async ({ runs }) => {
    await runs.addBackfill(backfill("b"));
    await addDays(runs, "b", [2, 1, 3]);
    const later = { created_at: iso(T0 + 5) };
    await add(runs, "scheduled", { trigger: "schedule", occurrence: "d|1", ...later });
    await add(runs, "manual", { ...later, created_at: iso(T0 + 6) });
    const limits = { max_active: { d: 1 } };
    assert.equal(await claimId(runs, limits), "scheduled");
    assert.equal(await claimId(runs, limits), "b-1", "the dag's own limit is for its other runs");
    assert.equal(await claimId(runs, limits), "b-2");
    assert.equal(await claimId(runs, limits), null, "two of the backfill, one of the others");
    assert.equal(await runs.hasDueRuns({ now: T0, ttl_ms: TTL, ...limits }), false);
    await runs.commit({ run_id: "b-1", owner: "p", now: T0, changes: { run: ENDED } });
    assert.equal(await claimId(runs, limits), "b-3");
  });

  test("claim() counts a backfill for the limit of a group", async ({ runs }) => {
    await runs.addBackfill(backfill("b", { max_active: 9, backwards: true }));
    await addDays(runs, "b", [1, 2, 3]);
    await add(runs, "e1", { dag_id: "e" });
    const limits = { max_active: { d: 1, e: 1 }, groups: { d: "g", e: "g" } };
    assert.equal(await claimId(runs, limits), "e1");
    assert.equal(await claimId(runs, limits), null);
    await runs.commit({ run_id: "e1", owner: "p", now: T0, changes: { run: ENDED } });
    assert.equal(await claimId(runs, limits), "b-3", "the newest first");
    await add(runs, "e2", { dag_id: "e" });
    assert.equal(await claimId(runs, limits), null);
  });

  test("claim() returns runs of a backfill although the dag is paused", async ({ runs }) => {
    await runs.setPaused({ dag_id: "d", paused: true });
    await runs.addBackfill(backfill("b"));
    await addDays(runs, "b", [1]);
    assert.equal(await claimId(runs), "b-1");
  });

  test("a run that a backfill runs again is part of it, and lastScheduled() passes over new ones", async ({ runs }) => {
    await add(runs, "old", { trigger: "schedule", logical_date: "2026-04-01T00:00:00.000Z" });
    await runs.addBackfill(backfill("b"));
    await addDays(runs, "b", [2]);
    const queued = { state: "queued", started_at: null, ended_at: null, error: null } as const;
    await runs.revise({ run_id: "old", now: T0, plan: () => ({ run: { ...queued, backfill_id: "b" } }) });
    await runs.revise({ run_id: "old", now: T0, plan: () => ({ run: queued }) });
    assert.equal((await runs.snapshot({ run_id: "old" }))!.run.backfill_id, "b");
    assert.equal(await runs.lastScheduled({ dag_id: "d", until: iso(T0) }), "2026-04-01T00:00:00.000Z");
  });

  test("cancelBackfill() marks it once; prune() removes it with its last run", async ({ runs }) => {
    await runs.addBackfill(backfill("b"));
    await addDays(runs, "b", [1]);
    const cancel = { backfill_id: "b", at: iso(T0 + 1) };
    assert.deepEqual([await runs.cancelBackfill(cancel), await runs.cancelBackfill(cancel)], [true, false]);
    assert.equal((await runs.backfills({ limit: 1 }))[0]!.cancelled_at, iso(T0 + 1));
    await runs.requestCancel({ run_id: "b-1" });
    await runs.prune({ before: iso(T0 + 10) });
    assert.deepEqual(await runs.backfills({ limit: 9 }), []);
    await runs.addBackfill(backfill("b"));
  });
}

const ENDED = { state: "success", started_at: iso(T0), ended_at: iso(T0), error: null } as const;
