import { z } from "../../deps.ts";
import { type Clock, iso } from "../core/clock.ts";
import { ParleyError } from "../core/errors.ts";
import type { Json, JsonObject } from "../core/types.ts";
import type { RunRecord, RunStore } from "../stores/runs/port.ts";
import { didYouMean } from "../did_you_mean.ts";
import type { Dag } from "./define.ts";
import type { Occurrence } from "./schedule.ts";
import { newTask } from "./state.ts";

/** Checks params against the dag's schema, which fills in defaults; `invalid` names each that is wrong. */
export function checkParams<Services>(
  dag: Pick<Dag<Services>, "id" | "params">,
  params: JsonObject,
): JsonObject {
  const names = paramNames(dag);
  const unknown = names === null ? undefined : Object.keys(params).find((name) => !names.includes(name));
  if (names !== null && unknown !== undefined) {
    const expected = names.length === 0 ? "it takes none" : `its params are ${names.join(", ")}`;
    throw new ParleyError(
      "invalid",
      `the dag "${dag.id}" has no param "${unknown}"${didYouMean(unknown, names)}; ${expected}`,
    );
  }
  if (dag.params === undefined) return params;
  const parsed = dag.params.safeParse(params);
  if (parsed.success) return parsed.data as JsonObject;
  const faults = parsed.error.issues.map(({ path, message }) => `${path.join(".") || "params"}: ${message}`);
  throw new ParleyError("invalid", `the dag "${dag.id}" does not take these params: ${faults.join("; ")}`);
}

/** Names of the params that a dag takes; null if its schema takes any. */
function paramNames<Services>({ params }: Pick<Dag<Services>, "params">): string[] | null {
  if (params === undefined) return [];
  const { properties = {}, additionalProperties = false } = z.toJSONSchema(params, { io: "input" });
  return additionalProperties === false ? Object.keys(properties) : null;
}

/** Checks params that came over HTTP: by {@link DagDefinition.remote}, then as {@link checkParams} does. */
export async function checkRemoteParams<Services>(
  dag: Pick<Dag<Services>, "id" | "params" | "remote">,
  params: JsonObject,
): Promise<JsonObject> {
  for (const [name, value] of Object.entries(params)) {
    const allowed = dag.remote?.[name];
    if (allowed === "any") continue;
    if (allowed === undefined) {
      throw new ParleyError(
        "invalid",
        `the param ${name} of ${dag.id} can be given on the command line alone`,
      );
    }
    const values: readonly Json[] = await allowed.values();
    if ([value].flat().every((item) => values.includes(item))) continue;
    throw new ParleyError(
      "invalid",
      `the param ${name} of ${dag.id} is not one of those that may be given here: they come from ${allowed.settings}`,
    );
  }
  return checkParams(dag, params);
}

/** The error for a dag that is not among those that can be run. */
export function noSuchDag(ids: readonly string[]): ParleyError {
  const known = ids.length === 0 ? "there are none" : `the dags are ${ids.join(", ")}`;
  return new ParleyError("invalid", `dag_id names no dag; ${known}`);
}

/** The error for a run of a day that has not come. */
export function notYetDue(day: string): ParleyError {
  return new ParleyError("invalid", `${day} has not come yet: the schedule starts its run when it is due`);
}

/** The id of a dag's run that is queued and has not begun, or of one that is added now: for work that one run does for all who ask. */
export async function queueOnce<Services>(
  options: { dag: Dag<Services>; runs: RunStore; clock: Clock },
): Promise<string> {
  const { dag, runs } = options;
  const [queued] = await runs.runs({ dag_id: dag.id, states: ["queued"], limit: 1 });
  return queued?.run_id ?? (await createRun({ ...options, params: {} })).run_id;
}

/** Adds a queued run that is started by hand or by an outside engine, and returns it. Throws `conflict` if the run id exists. */
export async function createRun<Services>(options: {
  dag: Dag<Services>;
  runs: RunStore;
  clock: Clock;
  params: JsonObject;
  run_id?: string;
  logical_date?: string;
  /** The data interval, in ISO 8601; default the logical date alone. */
  interval?: { readonly start: string; readonly end: string };
  /** `external`: an engine outside drives it, task by task. Default `manual`. */
  trigger?: "manual" | "external";
  /** Reserves the run for this process, which has something that others lack, such as standard input. */
  lease?: { readonly owner: string; readonly until: number };
}): Promise<RunRecord> {
  const now = iso(options.clock.now());
  const at = options.logical_date ?? now;
  const run = queuedRun(options.dag, {
    run_id: options.run_id ??
      `${options.dag.id}-${now.replace(/[:.]/g, "-")}-${crypto.randomUUID().slice(0, 4)}`,
    trigger: options.trigger ?? "manual",
    backfill_id: null,
    occurrence: null,
    logical_date: at,
    interval_start: options.interval?.start ?? at,
    interval_end: options.interval?.end ?? at,
    created_at: now,
    params: checkParams(options.dag, options.params),
  });
  const tasks = options.dag.tasks.map(({ id }) => newTask(id));
  const added = await options.runs.create({
    run,
    tasks,
    ...options.lease === undefined ? {} : { lease: options.lease },
  });
  if (!added) throw new ParleyError("conflict", `a run with the id ${run.run_id} exists already`);
  return run;
}

/** Adds a queued run with params that came over HTTP, and returns it. Throws `invalid` for params that may not. */
export async function requestRun<Services>(
  { dag, runs, clock, params }: { dag: Dag<Services>; runs: RunStore; clock: Clock; params: JsonObject },
): Promise<RunRecord> {
  return await createRun({ dag, runs, clock, params: await checkRemoteParams(dag, params) });
}

/** The id of the run of an occurrence, of the scheduler or of a backfill. */
export function scheduledRunId<Services>({ id }: Pick<Dag<Services>, "id">, { due }: Occurrence): string {
  return `${id}-${iso(due).replace(/[:.]/g, "-")}`;
}

/** Adds the run of an occurrence; false if the occurrence has its run already. */
export function createScheduledRun<Services>(options: {
  dag: Dag<Services>;
  runs: RunStore;
  clock: Clock;
  occurrence: Occurrence;
  /** Default: those of the dag. */
  params?: JsonObject;
  /** The backfill that adds it. Default: the scheduler does. */
  backfill_id?: string;
}): Promise<boolean> {
  const { due, interval_start, name } = options.occurrence;
  const { backfill_id = null } = options;
  const run = queuedRun(options.dag, {
    run_id: scheduledRunId(options.dag, options.occurrence),
    trigger: backfill_id === null ? "schedule" : "backfill",
    backfill_id,
    occurrence: `${options.dag.id}|${name}`,
    logical_date: iso(due),
    interval_start: iso(interval_start),
    interval_end: iso(due),
    created_at: iso(options.clock.now()),
    params: checkParams(options.dag, options.params ?? {}),
  });
  return options.runs.create({ run, tasks: options.dag.tasks.map(({ id }) => newTask(id)) });
}

/** Adds the run of a dag whose datasets were written; false if there is one for these writes already. */
export function createDatasetRun<Services>(options: {
  dag: Dag<Services>;
  runs: RunStore;
  clock: Clock;
  occurrence: string;
  /** ISO 8601: when the run before was made. */
  since: string;
}): Promise<boolean> {
  const now = iso(options.clock.now());
  const run = queuedRun(options.dag, {
    run_id: `${options.dag.id}-${now.replace(/[:.]/g, "-")}`,
    trigger: "dataset",
    backfill_id: null,
    occurrence: options.occurrence,
    logical_date: now,
    interval_start: options.since,
    interval_end: now,
    created_at: now,
    params: checkParams(options.dag, {}),
  });
  return options.runs.create({ run, tasks: options.dag.tasks.map(({ id }) => newTask(id)) });
}

function queuedRun<Services>(
  dag: Dag<Services>,
  rest: Pick<
    RunRecord,
    | "run_id"
    | "trigger"
    | "backfill_id"
    | "occurrence"
    | "logical_date"
    | "interval_start"
    | "interval_end"
    | "created_at"
    | "params"
  >,
): RunRecord {
  return {
    ...rest,
    dag_id: dag.id,
    dag_version: dag.version,
    state: "queued",
    started_at: null,
    ended_at: null,
    error: null,
    cancel_requested: false,
    lease_until: 0,
  };
}
