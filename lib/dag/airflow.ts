import { z } from "../../deps.ts";
import { iso } from "../core/clock.ts";
import { ParleyError } from "../core/errors.ts";
import type { JsonObject } from "../core/types.ts";
import { type Dag, DEFAULT_POOL, type TaskDefinition } from "./define.ts";
import { nextOccurrences } from "./schedule.ts";
import type { TriggerRule } from "./types.ts";

/** A dag in the words of Airflow's `DAG`. Times are ISO 8601, durations seconds. */
interface AirflowDag extends JsonObject {
  readonly dag_id: string;
  readonly doc_md: string;
  readonly owner: string;
  readonly tags: readonly string[];
  readonly schedule: { readonly cron: string; readonly timezone: string } | null;
  readonly start_date: string;
  readonly catchup: boolean;
  readonly max_active_runs: number;
  /** JSON Schemas, each with its default. */
  readonly params: Readonly<Record<string, JsonObject>>;
  readonly tasks: readonly AirflowTask[];
  /** A failure of one of these could otherwise be overlooked. */
  readonly watched: readonly string[];
  /** Leaves whose failure must not fail the run. */
  readonly may_fail: readonly string[];
}

interface AirflowTask extends JsonObject {
  readonly task_id: string;
  readonly doc_md: string;
  readonly upstream: readonly string[];
  readonly trigger_rule: TriggerRule;
  readonly retries: number;
  readonly retry_delay: number;
  readonly max_retry_delay: number;
  readonly execution_timeout: number | null;
  readonly pool: string;
  readonly pool_slots: number;
  readonly priority_weight: number;
}

/**
 * What a DAG has of a dag, and what `run-task` sees to or has no use for. With any other field the DAG would not be the same.
 */
const DAG_FIELDS: ReadonlySet<string> = new Set<keyof Dag<never> | "secrets">([
  ...["id", "doc", "owner", "tags", "schedule", "max_active_runs", "params", "tasks"] as const,
  // Airflow has no limit over several DAGs.
  ...["group", "deadline_alert", "remote", "secrets", "version", "tasksById", "dependents"] as const,
]);
const TASK_FIELDS: ReadonlySet<string> = new Set<keyof TaskDefinition<never>>([
  ...["id", "doc", "needs", "trigger", "retries", "timeout_ms", "allow_failure"] as const,
  ...["pool", "pool_slots", "priority"] as const,
  ...["role", "deadline_ms", "deadline_alert", "grace_ms", "inputs", "outputs", "run"] as const,
]);

/** `run-task` ends an attempt at its timeout and records why. Airflow's own limit, so much later, is for one that does not end. */
const TIMEOUT_MARGIN_MS = 60_000;

/** The same as those of the engine. */
const DEFAULT_RETRY_MS = { base: 1_000, cap: 300_000 };

/** With these a task never runs if one that it needs has failed, so that the leaves show every failure. */
const PASSING_ON: ReadonlySet<TriggerRule> = new Set([
  "all_success",
  "none_failed",
  "none_failed_min_one_success",
]);

/**
 * Translates a dag into Airflow's words. `now`, in epoch milliseconds, decides where a schedule begins that catches up on all that
 * it missed: its first run is the next that is due.
 *
 * @throws `unsupported` that names the part of the dag that Airflow cannot run.
 */
export function airflowDag<Services>(dag: Dag<Services>, now: number): AirflowDag {
  checkFields(dag, DAG_FIELDS, `dag "${dag.id}"`);
  for (const task of dag.tasks) checkFields(task, TASK_FIELDS, `dag "${dag.id}": task "${task.id}"`);
  const { schedule, tasks } = dag;
  const catchup = schedule?.catch_up === "all";
  const [next] = catchup ? nextOccurrences(schedule, now, 1) : [];
  const mayFail = tasks.filter(({ allow_failure }) => allow_failure === true);
  const hides = mayFail.length > 0 ||
    tasks.some(({ needs = [], trigger = "all_success" }) => needs.length > 0 && !PASSING_ON.has(trigger));
  return {
    dag_id: dag.id,
    doc_md: dag.doc ?? "",
    owner: dag.owner ?? "parley",
    tags: ["parley", ...dag.tags ?? []],
    schedule: schedule === undefined ? null : { cron: schedule.cron, timezone: schedule.timezone },
    // A run of an earlier date would have no tasks, and Python before 3.11 does not read a Z.
    start_date: iso(next?.interval_start ?? 0).replace("Z", "+00:00"),
    catchup,
    max_active_runs: dag.max_active_runs ?? 1,
    params: remoteParams(dag),
    tasks: tasks.map(airflowTask),
    watched: hides ? tasks.filter((task) => !mayFail.includes(task)).map(({ id }) => id) : [],
    may_fail: mayFail.filter(({ id }) => (dag.dependents.get(id) ?? []).length === 0).map(({ id }) => id),
  };
}

function checkFields(value: object, fields: ReadonlySet<string>, at: string): void {
  const name = Object.entries(value).find(([name, field]) => field !== undefined && !fields.has(name))?.[0];
  if (name === undefined) return;
  throw new ParleyError("unsupported", `${at} has ${name}, which cannot be exported to Airflow`);
}

function airflowTask<Services>(task: TaskDefinition<Services>): AirflowTask {
  const { retries, timeout_ms, pool = DEFAULT_POOL } = task;
  return {
    task_id: task.id,
    doc_md: task.doc ?? "",
    upstream: [...new Set(task.needs)],
    trigger_rule: task.trigger ?? "all_success",
    retries: retries?.count ?? 0,
    retry_delay: (retries?.base_ms ?? DEFAULT_RETRY_MS.base) / 1_000,
    max_retry_delay: (retries?.cap_ms ?? DEFAULT_RETRY_MS.cap) / 1_000,
    execution_timeout: timeout_ms === undefined ? null : (timeout_ms + TIMEOUT_MARGIN_MS) / 1_000,
    pool: pool === DEFAULT_POOL ? "default_pool" : pool,
    pool_slots: task.pool_slots ?? 1,
    priority_weight: 1 + (task.priority ?? 0),
  };
}

/**
 * The params that may be set from outside. Of one with a list of values the default is left out, since the list is configured where
 * the tasks run: null means that it is not set.
 */
function remoteParams<Services>({ params, remote = {} }: Dag<Services>): Record<string, JsonObject> {
  if (params === undefined) return {};
  const { properties = {} } = z.toJSONSchema(params, { io: "input" });
  return Object.fromEntries(
    Object.entries(remote).flatMap(([name, allowed]) => {
      const schema = properties[name] as JsonObject | undefined;
      if (schema === undefined) return [];
      return [[name, allowed === "any" && schema.default !== undefined ? schema : optional(schema)]];
    }),
  );
}

/** The schema with null as a further value, and as the default. Airflow's form for params knows a list of types. */
function optional({ default: _default, ...schema }: JsonObject): JsonObject {
  const { type, enum: values, ...rest } = schema;
  if (type === undefined) return { default: null, anyOf: [{ type: "null" }, schema] };
  return {
    ...rest,
    default: null,
    type: ["null", ...[type].flat()],
    ...Array.isArray(values) ? { enum: [...values, null] } : {},
  };
}
