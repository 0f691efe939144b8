/**
 * How often the detector cries wolf over generated histories in which nothing is wrong, and how often it finds what was
 * planted. Every night of each history is judged by the nights before it. Seeded: the rates are the same each time. And
 * what it costs to look.
 *
 *     deno task bench anomalies
 */
import { iso } from "../../lib/core/clock.ts";
import { newTask } from "../../lib/dag/state.ts";
import { detectAnomalies } from "../../lib/monitoring/anomalies.ts";
import { pipelineRunSummary } from "../../lib/monitoring/pipeline_run_summary.ts";
import { MAX_RUNS } from "../../lib/monitoring/run_history.ts";
import { SqliteAnalytics } from "../../lib/stores/analytics/sqlite/sqlite_analytics.ts";
import { SqliteRuns } from "../../lib/stores/runs/sqlite/sqlite_runs.ts";
import { NIGHT } from "../fixtures/monitoring.ts";
import { endOf, runOf, startOf } from "../fixtures/runs.ts";
import { FAULTS } from "../fixtures/monitoring_faults.ts";
import { detected, judge, until, worlds } from "../fixtures/monitoring_rates.ts";
import { cleanDay, foundAfter, judgeAt, SERVING_FAULTS, SPANS_A_DAY } from "../fixtures/serving_rates.ts";

const WORLDS = 200;
const NIGHTS = 84;
const clean = worlds(WORLDS, NIGHTS);
const percent = (share: number) => `${(100 * share).toFixed(1)} %`;

function falseAlarms(from: number, to: number): void {
  const codes = new Map<string, number>();
  let judged = 0, alarmed = 0;
  for (const world of clean) {
    for (let n = from; n < to; n++) {
      const found = judge(until(world, n));
      judged++;
      if (found.length > 0) alarmed++;
      for (const { code } of found) codes.set(code, (codes.get(code) ?? 0) + 1);
    }
  }
  const by = [...codes].map(([code, count]) => `${code} ${percent(count / judged)}`).join(", ");
  console.log(`nights ${from} to ${to - 1}, clean: ${percent(alarmed / judged)} with any alarm (${by})`);
}

/** From the ninth span on, each judged by the two hours before. */
function serving(): void {
  const days = Array.from({ length: WORLDS }, (_, i) => cleanDay(i + 1));
  const alarms = days.map((day) =>
    Array.from({ length: SPANS_A_DAY - 8 }, (_, i) => judgeAt(day, i + 8)).filter((found) => found.length > 0)
      .length
  );
  const spans = alarms.reduce((sum, each) => sum + each, 0) / (WORLDS * (SPANS_A_DAY - 8));
  const alarmed = alarms.filter((each) => each > 0).length / WORLDS;
  console.log(
    `serving, ${WORLDS} clean days with a publish: any alarm in ${(100 * spans).toFixed(3)} % of spans, ${
      percent(alarmed)
    } of days`,
  );
  for (const fault of SERVING_FAULTS) {
    console.log(`${fault.name}: found on ${percent(foundAfter(days, fault, 100))} of the days`);
  }
}

const HOUR = 3_600_000;
const TASKS = Array.from({ length: 50 }, (_, i) => `task-${i}`);

/** An hourly dag of 50 tasks, run 1,000 times. */
async function fill(runs: SqliteRuns): Promise<void> {
  for (let n = 0; n < 1_000; n++) {
    const at = NIGHT + n * HOUR, run_id = `run ${n}`, held = { run_id, owner: "bench", now: at };
    const run = runOf(run_id, { logical_date: iso(at), created_at: iso(at) });
    await runs.create({ run, tasks: TASKS.map(newTask) });
    await runs.claim({ ...held, ttl_ms: 10_000, max_active: { d: 1 } });
    const starts = TASKS.map((id) => startOf(id, held));
    await runs.commit({ ...held, changes: { starts } });
    const ended = starts.map((start) =>
      endOf(start, { rows_in: 1_000 + n % 24, rows_out: 1_000, ended_at: iso(at + 5_000) })
    );
    const tasks = starts.map(({ task }) => ({ ...task, state: "success" as const }));
    const over = { state: "success" as const, started_at: iso(at), ended_at: iso(at + 9_000), error: null };
    await runs.commit({ ...held, changes: { ended, tasks, run: over } });
  }
}

async function reads(): Promise<void> {
  const dir = await Deno.makeTempDir();
  const runs = new SqliteRuns({ path: `${dir}/runs.db` });
  const analytics = new SqliteAnalytics({ path: `${dir}/analytics.db` });
  await fill(runs);
  const watched = { runs, analytics, dags: [{ id: "d", tasks: TASKS.map((id) => ({ id })) }] };
  const clock = { now: () => NIGHT + 1_000 * HOUR };
  const time = async (name: string, work: () => Promise<unknown>) => {
    const times: number[] = [];
    for (let n = 0; n < 11; n++) {
      const from = performance.now();
      await work();
      times.push(performance.now() - from);
    }
    console.log(
      `${name}: p50 ${times.sort((a, b) => a - b)[5]!.toFixed(0)} ms, worst ${times[10]!.toFixed(0)}`,
    );
  };
  await time(
    `history() of ${MAX_RUNS} of 1,000 runs of 50 tasks`,
    () => runs.history({ dag_id: "d", since: "", limit: MAX_RUNS }),
  );
  await time("pipelineRunSummary() over them", () => pipelineRunSummary({ ...watched, clock }));
  await time("detectAnomalies() over them", () => detectAnomalies({ ...watched, clock }));
  await runs.close();
  await analytics.close();
  await Deno.remove(dir, { recursive: true });
}

await reads();
console.log(`${WORLDS} worlds of ${NIGHTS} nights, five tasks each`);
falseAlarms(8, 21);
falseAlarms(21, 42);
falseAlarms(42, NIGHTS);
for (const fault of FAULTS) {
  const shares = [10, 20, NIGHTS - 1].map((n) => detected(clean, fault, n));
  console.log(
    `${fault.name}: found in ${shares.map(percent).join(", ")} after 10, 20 and ${NIGHTS - 1} nights`,
  );
}
serving();
