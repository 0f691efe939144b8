import assert from "node:assert/strict";
import { iso, ManualClock } from "../../../lib/core/clock.ts";
import {
  type BackfillOrder,
  cancelBackfill,
  planBackfill,
  startBackfill,
} from "../../../lib/dag/backfill.ts";
import { createRun, createScheduledRun } from "../../../lib/dag/runs.ts";
import { nextOccurrences } from "../../../lib/dag/schedule.ts";
import { dagOf, driveRun, fail, ok, options, withRuns } from "../../fixtures/dag.ts";

const schedule = { cron: "0 2 * * *", timezone: "Europe/Berlin", catch_up: "none" } as const;
const NOW = Date.parse("2026-04-10T12:00:00Z");
const ORDER: BackfillOrder = {
  from: "2026-03-28",
  to: "2026-03-30",
  reprocess: "none",
  max_active: 1,
  backwards: false,
};

Deno.test("startBackfill() queues each day once, in its zone, and adds what is missing if asked again", () =>
  withRuns(async (runs) => {
    const clock = new ManualClock(NOW);
    const dag = dagOf([{ id: "a", run: ok }], { schedule });
    const { planned } = await startBackfill({ dag, runs, clock, order: ORDER });
    assert.deepEqual(planned.map(({ logical_date, action }) => [logical_date, action]), [
      ["2026-03-28T01:00:00.000Z", "create"],
      // On this night the clock goes from two to three.
      ["2026-03-29T01:00:00.000Z", "create"],
      ["2026-03-30T00:00:00.000Z", "create"],
    ]);
    const again = await startBackfill({ dag, runs, clock, order: { ...ORDER, to: "2026-03-31" } });
    assert.deepEqual(again.planned.map(({ action }) => action), ["leave", "leave", "leave", "create"]);
    const nothing = await startBackfill({ dag, runs, clock, order: ORDER });
    assert.equal(nothing.backfill_id, null);
    assert.equal((await runs.backfills({ limit: 9 })).length, 2);
    // The scheduler does not take a day for missed, or run it twice.
    const [occurrence] = nextOccurrences(schedule, Date.parse("2026-03-28T00:00:00Z"), 1);
    assert.equal(await createScheduledRun({ dag, runs, clock, occurrence: occurrence! }), false);
    assert.equal(await runs.lastScheduled({ dag_id: "test", until: iso(NOW) }), null);
  }));

Deno.test("a backfill runs days again whose run failed, or all that have ended, by `reprocess`", () =>
  withRuns(async (runs) => {
    const clock = new ManualClock(NOW);
    const [good, bad] = [ok, fail].map((run) =>
      dagOf([{ id: "a", run, retries: { count: 0 } }], { schedule })
    );
    await startBackfill({ dag: good!, runs, clock, order: ORDER });
    const ids = (await runs.runs({ limit: 9 })).map(({ run_id }) => run_id).sort();
    await driveRun(options({ runs, dag: good!, clock }), ids[0]!);
    await driveRun(options({ runs, dag: bad!, clock }), ids[1]!);
    const actions = async (reprocess: BackfillOrder["reprocess"]) =>
      (await planBackfill({ dag: good!, runs, clock, order: { ...ORDER, reprocess } })).map(({ action }) =>
        action
      );
    assert.deepEqual(await actions("none"), ["leave", "leave", "leave"]);
    assert.deepEqual(await actions("failed"), ["leave", "run again", "leave"]);
    assert.deepEqual(await actions("completed"), ["run again", "run again", "leave"]);
    const { backfill_id } = await startBackfill({
      dag: good!,
      runs,
      clock,
      order: { ...ORDER, reprocess: "completed" },
    });
    const [found] = await runs.backfills({ backfill_id: backfill_id!, limit: 1 });
    assert.equal(found!.runs.queued, 2);
    const { outcome } = await driveRun(options({ runs, dag: good!, clock }), ids[1]!);
    assert.equal(outcome, "success");
    assert.equal(
      await cancelBackfill({ runs, clock, backfill_id: backfill_id! }),
      1,
      "the one that is queued",
    );
    const after = (await runs.snapshot({ run_id: ids[0]! }))!.run;
    assert.equal(after.state, "cancelled");
    assert.equal(await cancelBackfill({ runs, clock, backfill_id: backfill_id! }), 0);
  }));

Deno.test("a year's backfill lets tonight's run go first", () =>
  withRuns(async (runs) => {
    const clock = new ManualClock(NOW);
    const dag = dagOf([{ id: "a", run: ok }], { schedule, group: "versions" });
    const year = { ...ORDER, from: "2025-04-10", to: "2026-04-09", max_active: 16, backwards: true };
    await startBackfill({ dag, runs, clock, order: year });
    const claim = () =>
      runs.claim({
        owner: "p",
        now: NOW,
        ttl_ms: 1_000,
        max_active: { test: 1 },
        groups: { test: "versions" },
      });
    const first = (await claim())!.run;
    assert.equal(first.logical_date.slice(0, 10), "2026-04-09");
    clock.advance(86_400_000);
    const [tonight] = nextOccurrences(schedule, NOW, 1);
    await createScheduledRun({ dag, runs, clock, occurrence: tonight! });
    assert.equal(await claim(), null, "one at a time");
    const ended = { state: "success", started_at: iso(NOW), ended_at: iso(NOW), error: null } as const;
    await runs.commit({ run_id: first.run_id, owner: "p", now: NOW, changes: { run: ended } });
    assert.equal((await claim())!.run.logical_date, iso(tonight!.due));
  }));

Deno.test("planBackfill() refuses days that have not come, or are wrong, and too many, and writes nothing", () =>
  withRuns(async (runs) => {
    const clock = new ManualClock(NOW);
    const dag = dagOf([{ id: "a", run: ok }], { schedule });
    const refused = async (order: Partial<BackfillOrder>, pattern: RegExp, of = dag) =>
      await assert.rejects(
        () => startBackfill({ dag: of, runs, clock, order: { ...ORDER, ...order } }),
        pattern,
      );
    await refused({ from: "2026-04-12", to: "2026-04-14" }, /2026-04-12 has not come yet/);
    await refused({ from: "2026-03-31" }, /is after/);
    await refused({ from: "soon" }, /a day is written as 2026-05-01/);
    await refused({ from: "2020-01-01" }, /more than 366 runs/);
    await refused({ max_active: 0 }, /the least is 1/);
    await refused({ params: { nonsense: 1 } }, /no param "nonsense"/);
    await refused({}, /no schedule to backfill by/, dagOf([{ id: "a", run: ok }]));
    const some = await planBackfill({
      dag,
      runs,
      clock,
      order: { ...ORDER, from: "2026-04-09", to: "2026-04-12" },
    });
    assert.equal(some.length, 2, "those that have come");
    assert.deepEqual(await runs.runs({ limit: 9 }), []);
    await createRun({ dag, runs, clock, params: {} });
    await assert.rejects(() => cancelBackfill({ runs, clock, backfill_id: "b" }), /there is no backfill b/);
  }));
