import assert from "node:assert/strict";
import { iso, ManualClock } from "../../../lib/core/clock.ts";
import { type DagDefinition, defineDag, loadDags } from "../../../lib/dag/define.ts";
import { Scheduler } from "../../../lib/dag/scheduler.ts";
import { dagOf, driveRun, ok, options, withRuns } from "../../fixtures/dag.ts";
import { createRun } from "../../../lib/dag/runs.ts";

const SECOND = 1_000;
const [A, B] = [{ namespace: "file", name: "a" }, { namespace: "file", name: "b" }];

/** Runs dags of one task by their datasets; `write` runs a dag that writes some. */
function world(
  body: (w: {
    tick: () => Promise<string[]>;
    write: (names: readonly string[], run?: () => Promise<unknown>) => Promise<void>;
    finish: () => Promise<void>;
    runs: Parameters<Parameters<typeof withRuns>[0]>[0];
  }) => Promise<void>,
  definitions: readonly (Partial<DagDefinition<null>> & { id: string })[],
): Promise<void> {
  return withRuns(async (runs) => {
    const clock = new ManualClock(Date.parse("2026-05-01T12:00:00Z"));
    const dags = loadDags({
      dags: definitions.map((each) => defineDag<null>({ tasks: [{ id: "x", run: ok }], ...each })),
      pools: { default: 8 },
    });
    const scheduler = () =>
      new Scheduler({
        ...{ dags, runs, clock, tick_ms: SECOND, ttl_ms: 60 * SECOND, dispatch: () => {} },
        owner: "one",
      });
    await scheduler().tick();
    const tick = async () => {
      const before = new Set((await runs.runs({ limit: 99 })).map(({ run_id }) => run_id));
      // What has fired is in the store alone.
      await scheduler().tick();
      const after = await runs.runs({ limit: 99 });
      clock.advance(SECOND);
      return after.filter(({ run_id }) => !before.has(run_id)).map(({ dag_id }) => dag_id).sort();
    };
    const write = async (names: readonly string[], run: () => Promise<unknown> = ok) => {
      clock.advance(SECOND);
      const dag = dagOf([{
        id: "write",
        run: async (c) => {
          for (const name of names) c.writes({ namespace: "file", name });
          await run();
        },
      }]);
      const { run_id } = await createRun({ dag, runs, clock, params: {} });
      await driveRun(options({ runs, dag, clock }), run_id);
      clock.advance(SECOND);
    };
    const finish = async () => {
      for (const { run_id } of await runs.runs({ states: ["queued"], limit: 99 })) {
        await runs.requestCancel({ run_id });
      }
    };
    await body({ tick, write, finish, runs });
  });
}

Deno.test("tick() runs a dag once when all of its datasets were written, another when any was", () =>
  world(async ({ tick, write, finish, runs }) => {
    assert.deepEqual(await tick(), []);
    await write(["a"]);
    assert.deepEqual(await tick(), ["any"]);
    assert.deepEqual(await tick(), [], "the same write starts nothing twice");
    await write(["a", "a", "elsewhere"]);
    assert.deepEqual(await tick(), [], "the queued run will see it");
    await finish();
    assert.deepEqual(await tick(), ["any"], "no write is lost");
    await write(["b"]);
    await finish();
    assert.deepEqual(await tick(), ["all", "any"]);
    const [all] = await runs.runs({ dag_id: "all", limit: 1 });
    assert.deepEqual([all?.trigger, all?.params, all?.interval_end], ["dataset", {}, all?.logical_date]);
    await finish();
    await write(["b"]);
    assert.deepEqual(await tick(), ["any"], "a was not written since");
    await finish();
    await runs.setPaused({ dag_id: "all", paused: true });
    await write(["a"]);
    assert.deepEqual(await tick(), ["any"]);
    await runs.setPaused({ dag_id: "all", paused: false });
    assert.deepEqual(await tick(), ["all"]);
  }, [{ id: "all", on_datasets: { all_of: [A, B] } }, { id: "any", on_datasets: { any_of: [A, B] } }]));

Deno.test("tick() takes no notice of writes from before the dag was known, or by a task that failed", () =>
  withRuns(async (runs) => {
    const clock = new ManualClock(Date.parse("2026-05-01T12:00:00Z"));
    const write = async (run: () => Promise<unknown>) => {
      const dag = dagOf([{ id: "write", run: async (c) => (c.writes(A), await run()) as null }]);
      const { run_id } = await createRun({ dag, runs, clock, params: {} });
      await driveRun(options({ runs, dag, clock }), run_id);
      clock.advance(SECOND);
    };
    await write(ok);
    const dag = dagOf([{ id: "x", run: ok }], { id: "late", on_datasets: { any_of: [A] } });
    const one = new Scheduler({
      dags: new Map([[dag.id, dag]]),
      ...{ runs, clock, owner: "one", tick_ms: SECOND, ttl_ms: SECOND, dispatch: () => {} },
    });
    assert.equal((await one.tick()).created, 0);
    clock.advance(SECOND);
    await write(() => Promise.reject(new Error("broken")));
    assert.equal((await one.tick()).created, 0);
    await write(ok);
    assert.equal((await one.tick()).created, 1);
    assert.equal((await runs.runs({ dag_id: "late", limit: 1 }))[0]?.created_at, iso(clock.now()));
  }));

Deno.test("defineDag() refuses a dag that waits for no dataset", () => {
  assert.throws(() => dagOf([{ id: "x", run: ok }], { on_datasets: { any_of: [] } }), { code: "invalid" });
});
