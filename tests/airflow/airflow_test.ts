/** The exported DAGs under a real Airflow, with all state on PostgreSQL. */
import assert from "node:assert/strict";
import { dagFile } from "../../commands/airflow.ts";
import { allDags } from "../../commands/engine.ts";
import { loadConfig } from "../../lib/config.ts";
import { DAY_MS } from "../../lib/core/clock.ts";
import type { RunEvent } from "../../lib/lineage/events.ts";
import type { RunSnapshot } from "../../lib/stores/runs/port.ts";
import { type Airflow, SLOWLY, withAirflow } from "../fixtures/airflow.ts";
import { pipelineCommand } from "../fixtures/commands.ts";
import {
  digests,
  type Flow,
  nightlyRun,
  ROOT,
  runDag,
  SAMPLE,
  withFlow,
  withStores,
} from "../fixtures/flow.ts";
import { LineageSink } from "../fixtures/lineage.ts";
import { dropSchema, freshSchema, NEEDS_PGVECTOR, PGVECTOR } from "../fixtures/postgres.ts";
import { until } from "../fixtures/until.ts";

const DAGS = `${ROOT}tests/fixtures/airflow_dags`;

const statesOf = <Task extends { task_id: string; state: string | null }>(tasks: Iterable<Task>) =>
  Object.fromEntries(Array.from(tasks, ({ task_id, state }) => [task_id, state]));
const outputsOf = ({ tasks }: RunSnapshot) =>
  Object.fromEntries(tasks.map(({ task_id, state, output, branch }) => [task_id, { state, output, branch }]));

/** What Airflow adds to the tasks of a dag. */
const WATCHER = "parley-watcher";

/** The run of the last interval, which Airflow starts as soon as the DAG is not paused. */
async function nightly(airflow: Airflow, flow: Flow, lineage: readonly RunEvent[]): Promise<void> {
  const { dag_runs: [run] } = await airflow.ask<{ dag_runs: Record<string, string>[] }>(
    "GET",
    "dags/nightly/dagRuns",
  );
  const { dag_run_id, data_interval_start, data_interval_end } = run!;
  assert.equal(await airflow.ended("nightly", dag_run_id!), "success");
  const { run: ours } = (await flow.runs.snapshot({ run_id: `nightly-${dag_run_id}` }))!;
  const instant = (text?: string) => Date.parse(text!);
  assert.deepEqual(
    [ours.state, ours.trigger, instant(ours.interval_start), instant(ours.interval_end)],
    ["success", "external", instant(data_interval_start), instant(data_interval_end)],
  );
  assert.equal(instant(ours.interval_end) - instant(ours.interval_start), DAY_MS);
  // Thirteen processes sent it, as parts of one run; an event is sent again if a process ends before it knows that it arrived.
  const sent = lineage.filter(({ job }) => job.name.startsWith("nightly."));
  assert.equal(new Set(sent.map(({ run, eventType }) => `${run.runId} ${eventType}`)).size, 2 * 13);
  for (const { run } of sent) assert.deepEqual(run.facets.parent, sent[0]!.run.facets.parent);
  await withFlow(async (own) => {
    assert.equal((await nightlyRun(own, SAMPLE)).outcome, "success");
    assert.deepEqual(await digests(flow), await digests(own));
  });
}

async function cases(airflow: Airflow, { runs, config }: Flow, repaired: string): Promise<void> {
  const dag_run_id = "by-hand:1+1";
  const run_id = `cases-${dag_run_id}`;
  const at = `dags/cases/dagRuns/${encodeURIComponent(dag_run_id)}`;
  await airflow.ask("POST", "dags/cases/dagRuns", {
    dag_run_id,
    logical_date: null,
    conf: { rows: 7, repaired },
  });
  const attemptsOf = async (task: string) =>
    ((await runs.snapshot({ run_id }))?.attempts ?? []).filter(({ task_id }) => task_id === task)
      .map(({ state }) => state);

  await until(async () => (await attemptsOf("endless")).includes("running"), SLOWLY);
  await airflow.ask("PATCH", `${at}/taskInstances/endless`, { new_state: "failed" });
  assert.equal(await airflow.ended("cases", dag_run_id), "failed", "report would hide what failed");
  const first = await airflow.tasks("cases", dag_run_id);
  assert.deepEqual(statesOf(Object.values(first)), {
    flaky: "success",
    final: "failed",
    choose: "success",
    chosen: "success",
    unchosen: "skipped",
    idle: "skipped",
    after_idle: "skipped",
    endless: "failed",
    report: "success",
    [WATCHER]: "failed",
  });
  await until(async () => !(await attemptsOf("endless")).includes("running"), SLOWLY);
  assert.deepEqual(await attemptsOf("flaky"), ["failed", "success"]);
  assert.deepEqual(await attemptsOf("final"), ["failed"]);
  assert.deepEqual(await attemptsOf("endless"), ["cancelled"]);

  await Deno.writeTextFile(repaired, "");
  await airflow.ask("POST", "dags/cases/clearTaskInstances", {
    ...{ dry_run: false, dag_run_id, task_ids: ["final", "endless"], include_downstream: true },
    ...{ only_failed: false, reset_dag_runs: true },
  });
  assert.equal(await airflow.ended("cases", dag_run_id), "success");
  const again = await airflow.tasks("cases", dag_run_id);
  assert.deepEqual(await attemptsOf("endless"), ["cancelled", "success"]);
  assert.deepEqual(
    await attemptsOf("flaky"),
    ["failed", "success"],
    "what was not cleared does not run again",
  );
  const ours = (await runs.snapshot({ run_id }))!;
  assert.equal(ours.run.state, "success");
  await withFlow(async (own) => {
    const dag = (await allDags(config)).dags.get("cases")!;
    const ran = await runDag(own, "cases", { rows: 7, repaired }, { dag });
    assert.equal(ran.outcome, "success");
    assert.deepEqual(outputsOf(ours), outputsOf(ran.snapshot));
    const { [WATCHER]: watcher, ...states } = statesOf(Object.values(again));
    assert.deepEqual([watcher, states], ["skipped", statesOf(ran.snapshot.tasks)]);
  });
}

const title = "exported DAGs do under Airflow's scheduler what they do under Parley's";
if (PGVECTOR === undefined) Deno.test.ignore(`${title}: ${NEEDS_PGVECTOR}`, () => {});
else {
  const stores = freshSchema(PGVECTOR);
  Deno.test(title, async () => {
    const home = await Deno.makeTempDir({ prefix: "parley-airflow-" });
    const sink = new LineageSink().start();
    const settings = {
      ...{ PARLEY_STORES: stores.href, PARLEY_EMBEDDINGS: "test:64", PARLEY_DAGS: DAGS },
      ...{ PARLEY_DATA: ".parley", PARLEY_LINEAGE: sink.url.href },
      ...Object.fromEntries(
        Object.entries(SAMPLE).map(([kind, paths]) => [`PARLEY_${kind.toUpperCase()}`, paths.join()]),
      ),
    };
    const config = loadConfig({ ...settings, PARLEY_DATA: `${home}/.parley` }, home);
    try {
      const { dags } = await allDags(config);
      await Deno.mkdir(`${home}/dags`);
      for (const id of ["nightly", "cases"]) {
        await Deno.writeTextFile(`${home}/dags/${id}.py`, await dagFile(dags.get(id)!, Date.now()));
      }
      const env = { ...settings, AIRFLOW_PARLEY_HOME: home, AIRFLOW_PARLEY_COMMAND: pipelineCommand() };
      await withAirflow({ dags: `${home}/dags`, home, env }, async (airflow) => {
        for (const id of ["nightly", "cases"]) {
          await until(async () => {
            const { total_entries } = await airflow.ask<{ total_entries: number }>(
              "GET",
              `dags?dag_id_pattern=${id}`,
            );
            return total_entries > 0;
          }, SLOWLY);
          await airflow.ask("PATCH", `dags/${id}`, { is_paused: false });
        }
        await withStores(config, async (flow) => {
          await cases(airflow, flow, `${home}/repaired`);
          await nightly(airflow, flow, sink.taken);
        });
      });
    } finally {
      await sink.stop();
      await dropSchema(stores);
      await Deno.remove(home, { recursive: true });
    }
  });
}
