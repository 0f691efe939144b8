import assert from "node:assert/strict";
import { DAY_MS, iso } from "../../../lib/core/clock.ts";
import { newTask } from "../../../lib/dag/state.ts";
import {
  lateRunAnomalies,
  pastLateRuns,
  schedulerAnomalies,
} from "../../../lib/monitoring/schedule_anomalies.ts";
import { SqliteRuns } from "../../../lib/stores/runs/sqlite/sqlite_runs.ts";
import { DAG, NIGHT } from "../../fixtures/monitoring.ts";
import { runOf } from "../../fixtures/runs.ts";

/** A store in which one scheduled run was made, in the first night. */
async function withRuns(body: (runs: SqliteRuns) => Promise<void>): Promise<void> {
  const runs = new SqliteRuns({ path: ":memory:" });
  try {
    const at = iso(NIGHT);
    const run = runOf("night 0", { trigger: "schedule", occurrence: "0", logical_date: at, created_at: at });
    await runs.create({ run, tasks: [newTask("ingest")] });
    await body(runs);
  } finally {
    await runs.close();
  }
}

Deno.test("lateAnomalies() counts the times at which no run was made", () =>
  withRuns(async (runs) => {
    const late = (now: number) => lateRunAnomalies(runs, DAG, now);
    assert.deepEqual(await late(NIGHT + DAY_MS + 60_000), [], "a minute is no delay");
    const [one] = await late(NIGHT + DAY_MS + 3_600_000);
    assert.deepEqual([one?.code, one?.severity, one?.figure, one?.since], [
      "run_late",
      "critical",
      1,
      iso(NIGHT + DAY_MS),
    ]);
    assert.match(one!.text, /pipeline run d`/);
    assert.equal((await late(NIGHT + 5 * DAY_MS))[0]?.figure, 4);
  }));

Deno.test("lateAnomalies() expects nothing of a dag that is paused, unscheduled, or was never scheduled", () =>
  withRuns(async (runs) => {
    const now = NIGHT + 9 * DAY_MS;
    const { schedule: _, ...unscheduled } = DAG;
    assert.deepEqual(await lateRunAnomalies(runs, unscheduled, now), []);
    assert.deepEqual(await lateRunAnomalies(runs, { ...DAG, id: "new" }, now), []);
    await runs.setPaused({ dag_id: DAG.id, paused: true });
    assert.deepEqual(await lateRunAnomalies(runs, DAG, now), []);
  }));

Deno.test("schedulerAnomalies() reports a scheduler that has gone silent at once, and that it stays so as critical", () =>
  withRuns(async (runs) => {
    const at = async (ms: number) =>
      (await schedulerAnomalies(runs, [DAG], NIGHT + ms)).map(({ code, severity }) => `${severity} ${code}`);
    await runs.lead({ owner: "one", now: NIGHT, ttl_ms: 15_000, lag_ms: 0 });
    assert.deepEqual(await at(14_999), []);
    assert.deepEqual(await at(15_000), ["warning scheduler_silent"]);
    assert.deepEqual(await at(15_000 + 600_000), ["critical scheduler_silent"]);
    const [silent] = await schedulerAnomalies(runs, [DAG], NIGHT + 3_600_000);
    assert.deepEqual([silent?.since, silent?.figure], [iso(NIGHT), 3_600_000]);
  }));

Deno.test("schedulerAnomalies() reports that no scheduler has ever run, if some dag has a schedule", () =>
  withRuns(async (runs) => {
    const { schedule: _, ...unscheduled } = DAG;
    const [missing] = await schedulerAnomalies(runs, [unscheduled, DAG], NIGHT);
    assert.deepEqual([missing?.code, missing?.severity], ["scheduler_missing", "warning"]);
    assert.deepEqual(await schedulerAnomalies(runs, [unscheduled], NIGHT), []);
  }));

Deno.test("pastLate() reports which scheduled runs were made long after they were due", () => {
  const made = (run_id: string, minutes: number, trigger: "schedule" | "manual" = "schedule") => ({
    run: runOf(run_id, { trigger, logical_date: iso(NIGHT), created_at: iso(NIGHT + minutes * 60_000) }),
    tasks: [],
  });
  const history = [made("in time", 1), made("late", 90), made("by hand", 90, "manual")];
  assert.deepEqual(
    pastLateRuns(DAG, history).map(({ run_id, figure, since, until }) => [run_id, figure, since, until]),
    [["late", 90 * 60_000, iso(NIGHT), iso(NIGHT + 90 * 60_000)]],
  );
});
