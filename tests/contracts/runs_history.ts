import assert from "node:assert/strict";
import { iso } from "../../lib/core/clock.ts";
import type { RunStore } from "../../lib/stores/runs/port.ts";
import { endOf, startOf, T0 } from "../fixtures/runs.ts";
import { add, claim, type OpenRuns, storeTest, TTL } from "./runs.ts";

const ALL = { dag_id: "d", since: "", limit: 10 };

/** Attempts of one task, one after the other, each as it ended. */
async function attempt(
  runs: RunStore,
  run_id: string,
  task_id: string,
  ends: readonly Partial<ReturnType<typeof endOf>>[],
): Promise<void> {
  for (const [i, end] of ends.entries()) {
    const task = (await runs.snapshot({ run_id }))!.tasks.find((one) => one.task_id === task_id)!;
    const start = startOf(task, { owner: "p", now: T0 + i * 1_000, lease_until: T0 + 9_000 });
    const commit = (changes: Parameters<RunStore["commit"]>[0]["changes"]) =>
      runs.commit({ run_id, owner: "p", now: T0, changes });
    await commit({ starts: [start] });
    const state = end.state === "lost" ? "ready" as const : "success" as const;
    const output = { n: i };
    await commit({
      ended: [endOf(start, { ended_at: iso(T0 + i * 1_000 + 500), ...end })],
      tasks: [{ ...start.task, state, ...state === "success" ? { output } : {} }],
    });
  }
}

/** What the statistics are made from. */
export function runsHistoryContract(name: string, open: () => Promise<OpenRuns>): void {
  const test = storeTest(name, open);

  test("history() returns the newest attempt of each task, and the number of attempts", async ({ runs }) => {
    await add(runs, "r");
    const claimed = await claim(runs, "p");
    await attempt(runs, "r", "a", [
      { state: "lost", rows_in: 1 },
      { state: "lost" },
      { rows_in: 7, rows_out: 5, quarantined: 2 },
    ]);
    const [found] = await runs.history(ALL);
    assert.deepEqual(found?.run, claimed?.run);
    const none = { attempts: 0, lost: 0, started_at: null, ended_at: null, lease_until: null };
    assert.deepEqual(found?.tasks, [{
      task_id: "a",
      state: "success",
      attempts: 3,
      lost: 2,
      started_at: iso(T0 + 2_000),
      ended_at: iso(T0 + 2_500),
      rows_in: 7,
      rows_out: 5,
      quarantined: 2,
      lease_until: T0 + 9_000,
    }, { task_id: "b", state: "waiting", ...none, rows_in: 0, rows_out: 0, quarantined: 0 }]);
  });

  test("history() sums up the instances of a mapped task", async ({ runs }) => {
    await add(runs, "r", {}, ["a", "step2", "step2[0]", "step2[10]"]);
    await claim(runs, "p");
    await attempt(runs, "r", "step2[0]", [{ state: "lost", rows_in: 9 }, { rows_in: 7, rows_out: 5 }]);
    await attempt(runs, "r", "step2[10]", [{ rows_in: 1, quarantined: 1 }]);
    const [found] = await runs.history(ALL);
    assert.deepEqual(found?.tasks.map(({ task_id, attempts }) => [task_id, attempts]), [["a", 0], [
      "step2",
      2,
    ]]);
    const { lost, started_at, ended_at, rows_in, rows_out, quarantined } = found!.tasks[1]!;
    assert.deepEqual([lost, rows_in, rows_out, quarantined], [1, 8, 5, 1]);
    assert.deepEqual([started_at, ended_at], [iso(T0), iso(T0 + 1_500)]);
  });

  test("history() returns one dag's runs since a time, newest first, up to the limit", async ({ runs }) => {
    for (const n of [1, 2, 3, 4]) await add(runs, `r${n}`, { created_at: iso(T0 + n) });
    await add(runs, "other", { dag_id: "e", created_at: iso(T0 + 5) });
    await add(runs, "empty", { created_at: iso(T0 + 9) }, []);
    const ids = async (options: Partial<typeof ALL>) =>
      (await runs.history({ ...ALL, ...options })).map(({ run }) => run.run_id);
    assert.deepEqual(await ids({ since: iso(T0 + 3) }), ["empty", "r4", "r3"]);
    assert.deepEqual(await ids({ limit: 2 }), ["empty", "r4"]);
    assert.deepEqual(await ids({ dag_id: "e" }), ["other"]);
    assert.deepEqual(await ids({ dag_id: "unknown" }), []);
    assert.deepEqual((await runs.history({ ...ALL, limit: 1 }))[0]?.tasks, []);
  });

  test("outputs() returns the outputs of one task, newest first, without runs that have none", async ({ runs }) => {
    for (const n of [1, 2, 3]) {
      await add(runs, `r${n}`, { created_at: iso(T0 + n) });
      await claim(runs, "p", { run_id: `r${n}`, max: 9, now: T0 + n * TTL });
      if (n !== 2) await attempt(runs, `r${n}`, "a", [{}]);
    }
    const left = (n: number) => ({
      run_id: `r${n}`,
      created_at: iso(T0 + n),
      state: "success",
      ended_at: iso(T0 + 500),
      output: { n: 0 },
    });
    assert.deepEqual(await runs.outputs({ ...ALL, task_id: "a" }), [left(3), left(1)]);
    assert.deepEqual(await runs.outputs({ ...ALL, task_id: "a", limit: 1 }), [left(3)]);
    assert.deepEqual(await runs.outputs({ ...ALL, task_id: "a", since: iso(T0 + 4) }), []);
    assert.deepEqual(await runs.outputs({ ...ALL, task_id: "b" }), []);
  });
}
