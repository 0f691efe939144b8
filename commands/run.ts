import type { Config, Sources } from "../lib/config.ts";
import { systemClock } from "../lib/core/clock.ts";
import { ParleyError } from "../lib/core/errors.ts";
import { absolute } from "../lib/core/parse_url.ts";
import { type Json, type JsonObject, KINDS } from "../lib/core/types.ts";
import { clearRun, type ClearScope } from "../lib/dag/clear.ts";
import type { Dag } from "../lib/dag/define.ts";
import { levels, topological } from "../lib/dag/graph.ts";
import { checkParams, createRun, notYetDue, queueOnce } from "../lib/dag/runs.ts";
import { startTime } from "../lib/schema/time.ts";
import type { RunSnapshot, RunStore } from "../lib/stores/runs/port.ts";
import type { Services } from "../tasks/services.ts";
import { hasRows } from "../tasks/steps/pending_work.ts";
import { executeQueued, GRACE_MS, withExecutor } from "./engine.ts";
import { announceStop, EXIT, exitCodeOf } from "./exit.ts";
import { dagOf, snapshotOf, withRuns } from "./inspect.ts";
import { modelName } from "./models.ts";
import { openServices } from "./services.ts";
import { ProgressView } from "./progress.ts";
import { isSample, mixesInSample, sourcesOfRun } from "./sample.ts";
import { summarize, summaryTable } from "./run_summary.ts";

export interface RunOrder extends Sources {
  readonly dag: string;
  /** Other commands, to be suggested after a typing error. */
  readonly commands: readonly string[];
  /** Whether the nightly run reads unchanged sources too. */
  readonly all: boolean;
  /** `name=value`, the value as JSON, else as text. */
  readonly param: readonly string[];
  /** The logical date, as {@link parseDate} takes it; default now. */
  readonly date?: string;
  readonly dryRun: boolean;
  readonly json: boolean;
}

/**
 * Makes a run of a dag now, executes it here and shows it. Returns the exit code, which says `failed` also if the run succeeded
 * without a source that could not be read.
 */
export async function runDag(config: Config, options: RunOrder): Promise<number> {
  const dag = await dagOf(config, options.dag, options.commands);
  const input = {
    ...options.all && { all: true },
    ...filesOf(options),
    ...Object.fromEntries(options.param.map(parseParam)),
  };
  if (dag.id === "nightly" && !KINDS.some((kind) => kind in input)) await needRows(config, options);
  const params = checkParams(dag, input);
  const logical_date = options.date === undefined ? {} : { logical_date: parsePast(options.date) };
  if (options.dryRun) return dryRun(dag, params, options);
  return await executeWithProgress(config, dag, options, async (runs, lease) => {
    return (await createRun({ dag, runs, clock: systemClock, params, lease, ...logical_date })).run_id;
  });
}

/** Executes the dag's run that is queued, or else a new one without params, as {@link runDag} does. */
export async function runQueued(
  config: Config,
  dag_id: string,
  options: { json: boolean },
): Promise<number> {
  const dag = await dagOf(config, dag_id);
  return await executeWithProgress(
    config,
    dag,
    options,
    (runs) => queueOnce({ dag, runs, clock: systemClock }),
  );
}

/**
 * Runs tasks of an ended run again, by default failed tasks and those that did not run because of them. Tasks of a run that an
 * external engine drives are opened again for that engine.
 */
export async function retryRun(
  config: Config,
  run_id: string,
  { task, ...flags }: Omit<ClearScope, "tasks"> & {
    task?: string[];
    keepCheckpoints: boolean;
    json: boolean;
  },
): Promise<number> {
  const options = { ...flags, ...task !== undefined && { tasks: task } };
  const { run } = await withRuns(config, (runs) => snapshotOf(runs, run_id));
  const dag = await dagOf(config, run.dag_id);
  if (run.trigger === "external") {
    const tasks = await withRuns(config, (runs) => clearTasks(runs, dag, run_id, options));
    const line = `open again, for the external engine of run ${run_id}: ${tasks.join(", ")}`;
    console.log(options.json ? JSON.stringify({ run_id, tasks }) : line);
    return EXIT.ok;
  }
  return await executeWithProgress(config, dag, options, async (runs) => {
    const tasks = await clearTasks(runs, dag, run_id, options);
    console.error(`runs again: ${tasks.join(", ")}`);
    return run_id;
  });
}

/** Returns the ids of the tasks to run again; throws `invalid` if no task matches. */
async function clearTasks(
  runs: RunStore,
  dag: Dag<Services>,
  run_id: string,
  options: ClearScope & { keepCheckpoints: boolean },
): Promise<string[]> {
  const scope = options.tasks === undefined ? { ...options, failed: true } : options;
  const keep_checkpoints = options.keepCheckpoints;
  const cleared = await clearRun({ dag, runs, clock: systemClock, run_id, scope, keep_checkpoints });
  if (cleared.length > 0) return cleared;
  const [subject, hint] = options.tasks === undefined
    ? ["no task", "; `--task` selects a task to run again anyway"]
    : ["none of these tasks", ""];
  throw new ParleyError("invalid", `${subject} of run ${run_id} failed${hint}`);
}

type Prepare = (runs: RunStore, lease: { owner: string; until: number }) => Promise<string>;

interface ExecuteOptions {
  readonly json: boolean;
  /** Called once the run has succeeded: what is added to the summary. */
  readonly onSuccess?: (snapshot: RunSnapshot) => Promise<Readonly<Record<string, string>>>;
}

/** Executes the run that `prepare` makes ready, with progress on stderr and the summary on stdout. */
export async function executeWithProgress(
  config: Config,
  dag: Dag<Services>,
  { json, onSuccess }: ExecuteOptions,
  prepare: Prepare,
): Promise<number> {
  return await withExecutor(config, async ({ options, shutdown }) => {
    const { runs, services: { analytics } } = options;
    const run_id = await prepare(runs, { owner: options.owner, until: Date.now() + options.ttl_ms });
    const view = new ProgressView(topological(dag.tasks));
    announceStop(shutdown, () => stopText(view.underWay()), (line) => view.print(line));
    const outcome = await executeQueued({ ...options, observer: view }, shutdown, {
      until: run_id,
      cancels: (run) => mixesInSample(config, runs, run),
      onCancel: (id) =>
        view.print(
          `run ${id} was interrupted while it loaded the sample; it is cancelled, because you have configured your own ` +
            "sources. `deno task reset --sample` removes the rows that it has stored",
        ),
      onClaim: (id, resumed) =>
        resumed && id !== run_id && view.print(`run ${id} was interrupted: it continues first`),
      onWait: () => view.print("another run is in progress: this one starts when it ends"),
    }).finally(() => view.close());
    const snapshot = await snapshotOf(runs, run_id);
    const recorded = summarize(snapshot, dag);
    // On record it is running until a process takes it up again.
    const summary = outcome === "interrupted" ? { ...recorded, state: outcome } : recorded;
    const added = outcome === "success" ? await onSuccess?.(snapshot) : undefined;
    console.log(json ? JSON.stringify({ ...summary, ...added }) : summaryTable(summary));
    if (!json) {
      for (const [name, value] of Object.entries(added ?? {})) console.log(`${name}: ${value}`);
      const parsed = (await analytics.sources()).map(({ uri }) => uri);
      if (outcome === "interrupted") {
        console.log("`deno task pipeline work` continues it, and so do the next run and a scheduler.");
      }
      for (const hint of [...hints(snapshot, parsed), ...modelHints(config, snapshot)]) console.log(hint);
    }
    const code = exitCodeOf(outcome);
    return code === EXIT.ok && summary.left_out.length > 0 ? EXIT.failed : code;
  });
}

/** How a run is left when it is interrupted. `tasks` are those in progress. */
function stopText(tasks: readonly string[]): string {
  const waits = tasks.length === 0
    ? "no task is in progress"
    : `${tasks.join(", ")} may take up to ${GRACE_MS / 1_000} s to stop`;
  return `${waits}; \`deno task pipeline work\` continues the run`;
}

/** Hints on the next steps, one per line, if any. `read` are the sources of the published version. */
function hints({ run, attempts }: RunSnapshot, parsed: readonly string[]): string[] {
  const refused = attempts.some(({ quarantined }) => quarantined > 0);
  const own = sourcesOfRun(run).some((path) => !isSample(path));
  return [
    ...run.state === "failed"
      ? [`\`deno task pipeline retry ${run.run_id}\` runs the failed tasks and their dependents again.`]
      : [],
    ...refused ? [`\`deno task pipeline quarantine --run ${run.run_id}\` lists the refused rows.`] : [],
    ...own && parsed.some(isSample)
      ? ["The sample is still in the stores next to your data; `deno task reset --sample` removes it."]
      : [],
  ];
}

/** After a switch to another model, the settings must change too, because the nightly run uses them, and so must intents. */
function modelHints(config: Pick<Config, "embeddings">, { run }: RunSnapshot): string[] {
  const { model } = run.params;
  if (run.dag_id !== "reembed" || run.state !== "success") return [];
  const set = modelName(config.embeddings);
  return [
    ...model === set ? [] : [
      `Set PARLEY_EMBEDDINGS=${model}: until then the nightly run fails, because another model is configured.`,
      `\`deno task pipeline run reembed --param model=${set}\` goes back to the configured one.`,
    ],
    "If that changed the model, the next nightly run learns the intents again, and `deno task pipeline run intents` does " +
    "so at once; until then `POST /intents/classify` answers 503.",
  ];
}

/** The files given as params, which then are all; none if none is given: the dag's params have defaults, the configured sources. */
function filesOf(sources: Sources): JsonObject {
  if (KINDS.every((kind) => sources[kind].length === 0)) return {};
  return Object.fromEntries(
    KINDS.map((kind) => [kind, sources[kind].map((path) => absolute(path, Deno.cwd()))]),
  );
}

/** Throws `invalid` if a run would have nothing to read: no source is set, and no row is stored, such as one that was written over HTTP. */
async function needRows(config: Config, { all }: { all: boolean }): Promise<void> {
  if (all || KINDS.some((kind) => config.sources[kind].length > 0)) return;
  await using opened = await openServices(config);
  if (await hasRows(opened.value)) return;
  throw new ParleyError(
    "invalid",
    "there is no source: pass --messages, --campaigns or --events, or set PARLEY_MESSAGES, PARLEY_CAMPAIGNS, " +
      "PARLEY_EVENTS; `deno task start` loads a sample",
  );
}

/** `name=value`, the value as JSON, else as text. */
export function parseParam(text: string): [string, Json] {
  const [, name, value] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
  if (name === undefined || value === undefined) {
    throw new ParleyError("invalid", `"${text}" is not name=value`);
  }
  try {
    return [name, JSON.parse(value)];
  } catch {
    return [name, value];
  }
}

/** A day, which means its start in UTC, or a date-time with its offset, as ISO 8601 in UTC. */
export function parseDate(text: string): string {
  const parsed = startTime.safeParse(text);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ message }) => message).join("; ");
  throw new ParleyError("invalid", `the date "${text}" ${problems}; a day is written as 2026-05-01`);
}

/** The same, if it has come. */
function parsePast(text: string): string {
  const date = parseDate(text);
  if (Date.parse(date) > systemClock.now()) throw notYetDue(text);
  return date;
}

function dryRun(dag: Dag<Services>, params: JsonObject, { json }: { json: boolean }): number {
  const order = levels(dag.tasks);
  if (json) console.log(JSON.stringify({ dag_id: dag.id, params, levels: order }));
  else {
    console.log(`would run ${dag.id} with ${JSON.stringify(params)}:`);
    console.log(order.map((level) => level.join(" ∥ ")).join(" → "));
  }
  return EXIT.ok;
}
