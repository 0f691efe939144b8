import { sleep } from "../lib/core/abort.ts";
import { systemClock } from "../lib/core/clock.ts";
import { styleText, z } from "../deps.ts";
import type { Config } from "../lib/config.ts";
import { iso } from "../lib/core/clock.ts";
import { ParleyError } from "../lib/core/errors.ts";
import type { Dag } from "../lib/dag/define.ts";
import { levels } from "../lib/dag/graph.ts";
import { nextOccurrences } from "../lib/dag/schedule.ts";
import { didYouMean } from "../lib/did_you_mean.ts";
import { dagFaultText } from "../lib/monitoring/dag_faults.ts";
import { openRuns } from "../lib/stores/open.ts";
import {
  type RunRecord,
  type RunRecordStore,
  type RunSnapshot,
  type RunStore,
  statusOf,
} from "../lib/stores/runs/port.ts";
import type { Services } from "../tasks/services.ts";
import { allDags } from "./engine.ts";
import { EXIT, shutdownSignal } from "./exit.ts";
import { openAll, openOptions } from "./services.ts";
import { table } from "./table.ts";
import { summarize, summaryTable } from "./run_summary.ts";

/** Opens the run store for one question or change, and closes it again. */
export async function withRuns<T>(config: Config, body: (runs: RunStore) => Promise<T>): Promise<T> {
  const options = await openOptions(config);
  await using opened = await openAll({ runs: () => openRuns(config.runs, options) });
  return await body(opened.value.runs);
}

/** The newest run that has begun and not ended; null if none has. */
export async function runInProgress(runs: Pick<RunRecordStore, "runs">): Promise<RunRecord | null> {
  return (await runs.runs({ states: ["running"], limit: 1 }))[0] ?? null;
}

/** A dag by id; `invalid` lists the dags. `commands` are other words that the user may have meant. */
export async function dagOf(
  config: Config,
  id: string,
  commands: readonly string[] = [],
): Promise<Dag<Services>> {
  const { dags, faults } = await allDags(config);
  const dag = dags.get(id);
  if (dag !== undefined) return dag;
  const noun = commands.length === 0 ? "dag" : "dag or command";
  const suggestion = didYouMean(id, [...dags.keys(), ...commands]);
  const unusable = faults.map((fault) => `; ${dagFaultText(fault)}`);
  throw new ParleyError(
    "invalid",
    `there is no ${noun} "${id}"${suggestion}; dags are ${[...dags.keys()].join(", ")}${unusable.join("")}`,
  );
}

/** A run with its tasks and attempts; `not_found` says how to list runs. */
export async function snapshotOf(runs: RunStore, run_id: string): Promise<RunSnapshot> {
  const snapshot = await runs.snapshot({ run_id });
  if (snapshot !== null) return snapshot;
  throw new ParleyError("not_found", `there is no run ${run_id}; \`deno task pipeline runs\` lists them`);
}

/** The dags, when each is due next, and how its last run came out. */
export function listDags(config: Config, options: { json: boolean }): Promise<number> {
  return withRuns(config, async (runs) => {
    const paused = await runs.paused();
    const dags: object[] = [], lines: string[] = [];
    const { dags: loaded, faults } = await allDags(config);
    for (const dag of loaded.values()) {
      const [last] = await runs.runs({ dag_id: dag.id, limit: 1 });
      const row = {
        dag_id: dag.id,
        doc: dag.doc ?? "",
        tasks: dag.tasks.length,
        schedule: dag.schedule === undefined ? null : `${dag.schedule.cron} ${dag.schedule.timezone}`,
        on_datasets: dag.on_datasets ?? null,
        next: nextDue(dag),
        paused: paused.includes(dag.id),
        last_run: last === undefined ? null : { run_id: last.run_id, state: last.state },
      };
      const byDatasets = dag.on_datasets === undefined ? "never" : "when its datasets were written";
      const due = row.paused ? "paused" : `next ${row.next ?? byDatasets}`;
      dags.push(row);
      lines.push(
        `${row.dag_id}  ${due}  last ${
          last === undefined ? "none" : statusOf(last, systemClock.now())
        }  ${row.doc}`,
      );
    }
    for (const { path, reason } of faults) lines.push(`${path}  cannot run: ${reason}`);
    console.log(options.json ? JSON.stringify({ dags, faults }) : lines.join("\n"));
    return EXIT.ok;
  });
}

function nextDue({ schedule }: Dag<Services>): string | null {
  const next = schedule === undefined ? undefined : nextOccurrences(schedule, Date.now(), 1)[0];
  return next === undefined ? null : iso(next.due);
}

/** A dag's graph, level by level, with the declaration of each task. */
export async function showDag(config: Config, id: string, options: { json: boolean }): Promise<number> {
  const dag = await dagOf(config, id);
  if (options.json) {
    const { tasksById: _task, dependents: _dependents, tasks, ...rest } = dag;
    const params = dag.params === undefined ? {} : z.toJSONSchema(dag.params, { io: "input" });
    console.log(JSON.stringify({ ...rest, params, tasks: tasks.map(({ run: _run, ...task }) => task) }));
    return EXIT.ok;
  }
  console.log(`${styleText("bold", dag.id)}  ${dag.doc ?? ""}`);
  console.log(levels(dag.tasks).map((level) => level.join(" ∥ ")).join(" → "));
  console.log(describeParams(dag));
  for (const { id, doc = "", needs = [], trigger = "all_success", retries } of dag.tasks) {
    const after = needs.length === 0 ? "" : `  after ${needs.join(", ")}`;
    console.log(`  ${id.padEnd(10)} ${doc}${after}  (${trigger}, ${retries?.count ?? 0} retries)`);
  }
  return EXIT.ok;
}

/** A dag's params with their types and defaults, a line each. */
function describeParams({ id, params }: Pick<Dag<Services>, "id" | "params">): string {
  const { properties = {} } = params === undefined ? {} : z.toJSONSchema(params, { io: "input" });
  const lines = Object.entries(properties).map(([name, schema]) => `  ${name}: ${JSON.stringify(schema)}`);
  return lines.length === 0 ? `${id} takes no params.` : [`Params of ${id}:`, ...lines].join("\n");
}

/** What `run --help` adds: the params of every dag. */
export async function allParams(config: Config): Promise<string> {
  return [...(await allDags(config)).dags.values()].map(describeParams).join("\n");
}

/** Runs, newest first. */
export function listRuns(
  config: Config,
  options: { dag?: string; limit: number; json: boolean },
): Promise<number> {
  return withRuns(config, async (runs) => {
    const runRecords = await runs.runs({
      ...options.dag === undefined ? {} : { dag_id: options.dag },
      limit: options.limit,
    });
    if (runRecords.length === 0 && options.dag !== undefined) await dagOf(config, options.dag);
    if (options.json) console.log(JSON.stringify({ runs: runRecords }));
    else if (runRecords.length === 0) {
      const [scope, run] = options.dag === undefined
        ? ["", ""]
        : [` of ${options.dag}`, ` run ${options.dag}`];
      console.log(`There are no runs${scope} yet; \`deno task pipeline${run}\` starts one.`);
    } else {for (const line of table(RUN_COLUMNS, runRecords.map(runCells), RUN_COLUMNS.length)) {
        console.log(line.trimEnd());
      }}
    return EXIT.ok;
  });
}

const RUN_COLUMNS = ["run", "dag", "state", "trigger", "logical date", "error"];

function runCells(run: RunRecord): string[] {
  return [
    run.run_id,
    run.dag_id,
    statusOf(run, systemClock.now()),
    run.trigger,
    run.logical_date,
    firstLine(run.error),
  ];
}

function firstLine(error: string | null): string {
  return error?.split("\n")[0] ?? "";
}

/** One run, stage by stage; on a terminal, until it has ended. */
export function showStatus(config: Config, run_id: string, options: { json: boolean }): Promise<number> {
  return withRuns(config, async (runs) => {
    const shutdown = shutdownSignal();
    const live = !options.json && Deno.stdout.isTerminal();
    const { dags } = await allDags(config);
    try {
      while (true) {
        const snapshot = await snapshotOf(runs, run_id);
        const summary = summarize(snapshot, dags.get(snapshot.run.dag_id));
        const isOver = snapshot.run.ended_at !== null || !live || shutdown.signal.aborted;
        if (live && !isOver) console.clear();
        console.log(options.json ? JSON.stringify(summary) : summaryTable(summary));
        if (isOver) return snapshot.run.state === "failed" ? EXIT.failed : EXIT.ok;
        await sleep(500);
      }
    } finally {
      shutdown.dispose();
    }
  });
}

/** A run's log lines, as JSON an object each; with `follow`, new ones until the run has ended. */
export function showLogs(
  config: Config,
  run_id: string,
  task_id: string | undefined,
  options: { attempt?: number; follow: boolean; json: boolean },
): Promise<number> {
  return withRuns(config, async (runs) => {
    const shutdown = shutdownSignal();
    const filter = {
      run_id,
      ...task_id !== undefined && { task_id },
      ...options.attempt !== undefined && { attempt: options.attempt },
    };
    try {
      for (let after = 0;;) {
        const ended = (await snapshotOf(runs, run_id)).run.ended_at !== null;
        const lines = await runs.logs({ ...filter, after, limit: 1_000 });
        for (const { seq, at, task_id, attempt, line } of lines) {
          console.log(
            options.json
              ? JSON.stringify({ at, task_id, attempt, line })
              : `${at} ${task_id}/${attempt} ${line}`,
          );
          after = seq;
        }
        if (lines.length === 1_000) continue;
        if (!options.follow || ended || shutdown.signal.aborted) return EXIT.ok;
        await sleep(300);
      }
    } finally {
      shutdown.dispose();
    }
  });
}

/** The datasets that each attempt of a run read and wrote. */
export function showLineage(config: Config, run_id: string, options: { json: boolean }): Promise<number> {
  return withRuns(config, async (runs) => {
    await snapshotOf(runs, run_id);
    const lineage = await runs.lineage({ run_id });
    if (options.json) console.log(JSON.stringify({ run_id, lineage }));
    else {for (const use of lineage) {
        const arrow = use.direction === "input" ? "reads " : "writes";
        const rows = use.rows === null ? "" : `  ${use.rows} rows`;
        const version = use.version === null ? "" : `  version ${use.version.slice(0, 12)}`;
        console.log(`${use.task_id}/${use.attempt} ${arrow} ${use.namespace} ${use.name}${rows}${version}`);
      }}
    return EXIT.ok;
  });
}
