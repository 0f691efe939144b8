import assert from "node:assert/strict";
import { iso, ManualClock } from "../../../lib/core/clock.ts";
import { type Dag, loadDags } from "../../../lib/dag/define.ts";
import type { CatchUp } from "../../../lib/dag/schedule.ts";
import { createRun } from "../../../lib/dag/runs.ts";
import { Scheduler } from "../../../lib/dag/scheduler.ts";
import { newTask } from "../../../lib/dag/state.ts";
import { SqliteRuns } from "../../../lib/stores/runs/sqlite/sqlite_runs.ts";
import { dagOf } from "../../fixtures/dag.ts";

const T0 = Date.parse("2026-05-01T12:00:00Z");
const [SECOND, HOUR, DAY] = [1_000, 3_600_000, 86_400_000];
const TTL = 15 * SECOND;

const nightly = (catch_up: CatchUp, cron = "0 3 * * *", timezone = "UTC"): Dag<null> =>
  dagOf([{ id: "a", run: () => Promise.resolve() }], { schedule: { cron, timezone, catch_up } });

/** A store, a clock, and schedulers that share both. */
async function world(
  body: (w: {
    runs: SqliteRuns;
    clock: ManualClock;
    scheduler: (dag: Dag<null>, owner?: string) => Scheduler<null> & { dispatched: number };
    fired: () => Promise<string[]>;
  }) => Promise<void>,
): Promise<void> {
  const runs = new SqliteRuns({ path: ":memory:" });
  const clock = new ManualClock(T0);
  const scheduler = (dag: Dag<null>, owner = "one") => {
    const made = Object.assign(
      new Scheduler<null>({
        dags: loadDags({ dags: [dag], pools: { default: 1 } }),
        runs,
        clock,
        owner,
        tick_ms: SECOND,
        ttl_ms: TTL,
        dispatch: () => made.dispatched++,
      }),
      { dispatched: 0 },
    );
    return made;
  };
  const fired = async () =>
    (await runs.runs({ limit: 1_000 })).map(({ logical_date }) => logical_date).sort();
  try {
    await body({ runs, clock, scheduler, fired });
  } finally {
    await runs.close();
  }
}

Deno.test("tick() makes the run of an occurrence once, with its logical date and interval", () =>
  world(async ({ runs, clock, scheduler, fired }) => {
    const one = scheduler(nightly("latest"));
    assert.deepEqual(await one.tick(), { leading: true, created: 0 });
    for (let n = 0; n < 3 * 24; n++) {
      clock.advance(HOUR);
      await one.tick();
    }
    assert.deepEqual(await fired(), ["02", "03", "04"].map((day) => `2026-05-${day}T03:00:00.000Z`));
    const [newest] = await runs.runs({ limit: 1 });
    assert.equal(newest?.interval_start, "2026-05-03T03:00:00.000Z");
    assert.equal(newest?.interval_end, newest?.logical_date);
    assert.equal(newest?.occurrence, "test|2026-05-04T03:00:00+00:00[UTC]");
    assert.equal(newest?.trigger, "schedule");
  }));

Deno.test("tick() records by how much it came later than a tick after the last one, and the first one nothing", () =>
  world(async ({ runs, clock, scheduler }) => {
    const one = scheduler(nightly("latest"));
    const lags: (number | undefined)[] = [];
    for (const ms of [0, SECOND, 2.5 * SECOND, SECOND / 2, SECOND + 1]) {
      clock.advance(ms);
      await one.tick();
      lags.push((await runs.leader())?.lag_ms);
    }
    assert.deepEqual(lags, [0, 0, 1.5 * SECOND, 0, 1]);
  }));

Deno.test("tick() of two schedulers makes each run once; one leads, and the other takes over when it dies", () =>
  world(async ({ clock, scheduler, fired }) => {
    const dag = nightly("latest", "0 * * * *");
    const [one, two] = [scheduler(dag, "one"), scheduler(dag, "two")];
    for (let n = 0; n < 10; n++) {
      const ticks = [await one.tick(), await two.tick()];
      assert.deepEqual(ticks.map(({ leading }) => leading), [true, false]);
      clock.advance(10 * SECOND);
    }
    clock.advance(HOUR);
    const both = await Promise.all([one.tick(), two.tick()]);
    assert.equal(both[0].created + both[1].created, 1);
    // `one` dies here.
    clock.advance(TTL - 1);
    assert.equal((await two.tick()).leading, false);
    clock.advance(1);
    assert.equal((await two.tick()).leading, true);
    clock.advance(HOUR);
    assert.equal((await two.tick()).created, 1);
    assert.equal((await one.tick()).leading, false);
    assert.deepEqual(await fired(), ["2026-05-01T13:00:00.000Z", "2026-05-01T14:00:00.000Z"]);
  }));

for (
  const [policy, expected] of [
    ["none", []],
    ["latest", ["04"]],
    ["all", ["02", "03", "04"]],
  ] as const
) {
  Deno.test(`tick() after days of downtime catches up by the policy ${policy}, before any run was ever made`, () =>
    world(async ({ clock, scheduler, fired }) => {
      await scheduler(nightly(policy)).tick();
      clock.advance(3 * DAY);
      const restarted = scheduler(nightly(policy));
      for (let n = 0; n < 3; n++) await restarted.tick();
      assert.deepEqual(await fired(), expected.map((day) => `2026-05-${day}T03:00:00.000Z`));
    }));
}

Deno.test("tick() does not catch up with what came due before a dag was known", () =>
  world(async ({ clock, scheduler, fired }) => {
    clock.advance(30 * DAY);
    await scheduler(nightly("all")).tick();
    assert.deepEqual(await fired(), []);
  }));

Deno.test("tick() catches up with a long backlog in order, a batch at a time", () =>
  world(async ({ clock, scheduler, fired }) => {
    const one = scheduler(nightly("all", "0 * * * *"));
    await one.tick();
    clock.advance(150 * HOUR);
    assert.deepEqual([(await one.tick()).created, (await one.tick()).created, (await one.tick()).created], [
      100,
      50,
      0,
    ]);
    assert.equal(new Set(await fired()).size, 150);
  }));

for (const policy of ["none", "latest", "all"] as const) {
  Deno.test(`tick() loses and doubles nothing under ${policy} when the clock is put back and forward`, () =>
    world(async ({ clock, scheduler, fired }) => {
      const one = scheduler(nightly(policy, "0 * * * *"));
      const walk = async (hours: number) => {
        for (let n = 0; n < hours * 360; n++) {
          clock.advance(10 * SECOND);
          await one.tick();
        }
      };
      await one.tick();
      await walk(2);
      clock.advance(-90 * 60 * SECOND);
      await walk(3);
      clock.advance(30 * SECOND);
      await walk(1);
      const hours = ["13", "14", "15", "16"].map((hour) => `2026-05-01T${hour}:00:00.000Z`);
      assert.deepEqual(await fired(), hours);
    }));
}

Deno.test("tick() continues at the true time after a first look with a clock that was years ahead", () =>
  world(async ({ clock, scheduler, fired }) => {
    const one = scheduler(nightly("latest"));
    clock.advance(1_000 * DAY);
    await one.tick();
    clock.advance(-1_000 * DAY);
    await one.tick();
    clock.advance(DAY);
    await one.tick();
    assert.deepEqual(await fired(), ["2026-05-02T03:00:00.000Z"]);
  }));

Deno.test("tick() continues at the true time after runs were made with a clock that was ahead", () =>
  world(async ({ clock, scheduler, fired }) => {
    const one = scheduler(nightly("latest"));
    await one.tick();
    clock.advance(10 * DAY);
    await one.tick();
    clock.advance(-10 * DAY + HOUR);
    await one.tick();
    clock.advance(DAY);
    await one.tick();
    assert.deepEqual(await fired(), ["2026-05-02T03:00:00.000Z", "2026-05-11T03:00:00.000Z"]);
  }));

Deno.test("tick() makes no run of a paused dag, and catches up by its policy when it is resumed", () =>
  world(async ({ runs, clock, scheduler, fired }) => {
    const one = scheduler(nightly("latest"));
    await one.tick();
    await runs.setPaused({ dag_id: "test", paused: true });
    clock.advance(3 * DAY);
    await one.tick();
    assert.deepEqual(await fired(), []);
    await runs.setPaused({ dag_id: "test", paused: false });
    await one.tick();
    assert.deepEqual(await fired(), ["2026-05-04T03:00:00.000Z"]);
  }));

Deno.test("tick() makes no run again that was pruned while the scheduler stayed up", () =>
  world(async ({ runs, clock, scheduler, fired }) => {
    const one = scheduler(nightly("latest", "0 3 1 * *"));
    await one.tick();
    clock.advance(31 * DAY);
    await one.tick();
    const [run] = await runs.runs({ limit: 1 });
    await runs.requestCancel({ run_id: run!.run_id });
    clock.advance(20 * DAY);
    await runs.prune({ before: iso(clock.now()) });
    await one.tick();
    assert.deepEqual(await fired(), ["2026-06-01T03:00:00.000Z"]);
    assert.equal((await runs.runs({ limit: 1 }))[0]?.state, "cancelled");
  }));

Deno.test("tick() dispatches while a run has no driver, and not otherwise", () =>
  world(async ({ runs, clock, scheduler }) => {
    const one = scheduler(nightly("latest", "0 * * * *"));
    await one.tick();
    assert.equal(one.dispatched, 0);
    clock.advance(HOUR);
    await one.tick();
    assert.equal(one.dispatched, 1);
    const claimed = await runs.claim({ owner: "p", now: clock.now(), ttl_ms: TTL, max_active: { test: 1 } });
    await one.tick();
    assert.equal(one.dispatched, 1);
    clock.advance(TTL);
    await one.tick();
    assert.equal(one.dispatched, 2, `run ${claimed?.run.run_id} lost its driver`);
  }));

Deno.test("tick() records how late it was", () =>
  world(async ({ runs, clock, scheduler }) => {
    const one = scheduler(nightly("none"));
    await one.tick();
    clock.advance(SECOND);
    await one.tick();
    assert.equal((await runs.leader())?.lag_ms, 0);
    clock.advance(SECOND + 750);
    await one.tick();
    assert.deepEqual(await runs.leader(), {
      owner: "one",
      last_tick: iso(clock.now()),
      lag_ms: 750,
      live_until: iso(clock.now() + TTL),
    });
  }));

Deno.test("run() continues after a tick that failed, and releases the lead when it stops", () =>
  world(async ({ runs, clock, scheduler }) => {
    const one = scheduler(nightly("none"));
    const stop = new AbortController();
    const errors: unknown[] = [];
    const lead = runs.lead.bind(runs);
    runs.lead = () => {
      runs.lead = lead;
      setTimeout(() => stop.abort(), 1_100);
      return Promise.reject(new Error("the store is away"));
    };
    await one.run(stop.signal, (error) => errors.push(error));
    assert.equal(errors.length, 1);
    assert.equal((await runs.leader())?.live_until, iso(clock.now()));
    assert.equal((await scheduler(nightly("none"), "two").tick()).leading, true);
  }));

Deno.test("a deadline that passes while a run or task has not ended is reported once", () =>
  world(async ({ runs, clock, scheduler }) => {
    const run = () => Promise.resolve();
    const dag = dagOf(
      [
        { id: "a", run, deadline_alert: { by: "15:30" } },
        { id: "b", run, deadline_alert: { within_ms: 2 * HOUR } },
        { id: "c", run },
      ],
      {
        schedule: { cron: "0 15 * * *", timezone: "Europe/Berlin", catch_up: "latest" },
        deadline_alert: { by: "06:00" },
      },
    );
    const { run_id } = await createRun({ dag, runs, clock, params: {} });
    const first = scheduler(dag);
    await first.tick();
    clock.advance(HOUR);
    await first.tick();
    const due = "2026-05-01T13:00:00.000Z";
    const scheduled = (await runs.runs({ limit: 9 })).find(({ trigger }) => trigger === "schedule")!.run_id;
    const plan = () => ({ tasks: [{ ...newTask("b"), state: "skipped" as const }] });
    await runs.revise({ run_id: scheduled, now: clock.now(), plan });
    const missed = async () =>
      (await runs.notifications({ limit: 9 })).reverse().map(({ run_id, facts }) => [run_id, facts]);
    const at = (run_id: string, task_id: string | null, deadline: string, logical_date: string) => [
      run_id,
      { task_id, deadline, logical_date },
    ];
    const expected = [
      at(scheduled, "a", "2026-05-01T13:30:00.000Z", due),
      at(run_id, "b", "2026-05-01T14:00:00.000Z", iso(T0)),
      at(scheduled, null, "2026-05-02T04:00:00.000Z", due),
    ];
    clock.advance(HOUR / 2 - 1);
    await first.tick();
    assert.deepEqual(await missed(), []);
    clock.advance(1);
    await first.tick();
    assert.deepEqual(await missed(), expected.slice(0, 1));
    clock.advance(HOUR / 2);
    await first.tick();
    assert.deepEqual(await missed(), expected.slice(0, 2));
    clock.advance(14 * HOUR);
    await first.tick();
    assert.deepEqual(await missed(), expected);
    await scheduler(dag).tick();
    assert.deepEqual(await missed(), expected, "another process has not looked before");
  }));
