import { sha256 } from "../core/hash.ts";
import { type z } from "../../deps.ts";
import { messageOf, ParleyError } from "../core/errors.ts";
import { canonicalJson } from "../core/json.ts";
import { didYouMean } from "../did_you_mean.ts";
import { type ActiveLimits, taskInstance } from "../stores/runs/port.ts";
import { type DatasetSchedule, datasetsOf } from "./dataset_schedule.ts";
import { type DeadlineAlert, deadlineProblem } from "./deadline.ts";
import { checkGraph } from "./graph.ts";
import { checkRule } from "./trigger_rules.ts";
import { checkSchedule, type Schedule } from "./schedule.ts";
import type { Dataset, TaskFunction, TriggerRule } from "./types.ts";

/** What to do with an error: try again, give up at once, or whatever the count of retries says. */
export type RetryDecision = "retry" | "fail" | "default";

interface RetryPolicy {
  /** Further tries after the first. */
  readonly count: number;
  /** Upper bound of the first wait; each further one doubles it. Default 1 s. */
  readonly base_ms?: number;
  /** Upper bound of any wait. Default 5 min. */
  readonly cap_ms?: number;
  readonly decide?: (error: unknown) => RetryDecision;
}

/** Dynamic task mapping: the task becomes one instance for each item of a list that is known only when the run is in progress. */
interface Expansion {
  /** The task, of those that it needs, that returns the list. An empty list skips the mapped task. */
  readonly over: string;
  /** The most instances: a longer list fails the task. Default {@link MAX_MAP_LENGTH}. */
  readonly max_map_length?: number;
  /** Instances of one run that run at one time. Default: as many as the pool has room for. */
  readonly max_active?: number;
}

/** As Airflow's `max_map_length` is by default. */
export const MAX_MAP_LENGTH = 1_024;

export interface TaskDefinition<Services> {
  readonly id: string;
  readonly doc?: string;
  /** What the task is to those who watch runs, whatever its id. The engine does not read it; a dag has each role once. */
  readonly role?: string;
  readonly needs?: readonly string[];
  /** Default `all_success`. */
  readonly trigger?: TriggerRule;
  readonly retries?: RetryPolicy;
  /** Of one attempt. Default none. */
  readonly timeout_ms?: number;
  /** Of all attempts together, from the first start; then the task fails. Default none. */
  readonly deadline_ms?: number;
  /** If it has not ended by then, notifications say so; nothing is stopped. Default none. */
  readonly deadline_alert?: DeadlineAlert;
  /** How long an attempt may continue after a shutdown was asked for. Default: the executor's. */
  readonly grace_ms?: number;
  /** Default `default`. */
  readonly pool?: string;
  /** Slots that an attempt takes in its pool. Default 1. */
  readonly pool_slots?: number;
  /** Higher starts first. Default 0. */
  readonly priority?: number;
  /** One instance for each item of a list. Retries, limits and pool slots are then those of an instance. */
  readonly expand?: Expansion;
  /** If true, its failure does not fail the run. */
  readonly allow_failure?: boolean;
  readonly inputs?: readonly Dataset[];
  readonly outputs?: readonly Dataset[];
  readonly run: TaskFunction<Services>;
}

/** Which values of a param are allowed over HTTP: any that its schema takes, or one (or, of a list, several) of these. */
export type RemoteValues = "any" | {
  /** The values that are allowed now: read for each form and each request. */
  readonly values: () => Promise<readonly string[]>;
  /** The settings that they come from, as a sentence names them. */
  readonly settings: string;
};

export interface DagDefinition<Services> {
  readonly id: string;
  readonly doc?: string;
  readonly owner?: string;
  readonly tags?: readonly string[];
  readonly schedule?: Schedule;
  /** If a run has not ended by then, notifications say so; nothing is stopped. Default none. */
  readonly deadline_alert?: DeadlineAlert;
  /** Runs it when tasks of any dag have written these datasets, next to its schedule if it has one too. */
  readonly on_datasets?: DatasetSchedule;
  /** Runs of this dag, or of all dags of its group together, at one time in all processes. Default 1. */
  readonly max_active_runs?: number;
  /** Dags of one group share one `max_active_runs`, such as dags that change the same data. */
  readonly group?: string;
  /** Params are checked before a run is created; defaults fill in missing ones. */
  readonly params?: z.ZodType;
  /**
   * The params that may be given over HTTP, and with which values. The others keep their defaults there: a param can name a
   * file or an address, and only the operator may choose any of those.
   */
  readonly remote?: Readonly<Record<string, RemoteValues>>;
  readonly tasks: readonly TaskDefinition<Services>[];
}

/** A checked dag. `version` is a hash of its structure: of all that is not a function. */
export interface Dag<Services> extends DagDefinition<Services> {
  readonly version: string;
  readonly tasksById: ReadonlyMap<string, TaskDefinition<Services>>;
  /** Task ids by the task that they need. */
  readonly dependents: ReadonlyMap<string, readonly string[]>;
}

export const DEFAULT_POOL = "default";

/**
 * Checks a dag and returns it ready to run.
 *
 * @throws `invalid` that names the dag, the task and the path at fault.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { defineDag } from "./define.ts";
 *
 * const dag = defineDag({
 *   id: "report",
 *   schedule: { cron: "0 6 * * *", timezone: "Europe/Berlin", catch_up: "latest" },
 *   tasks: [
 *     { id: "count", run: () => Promise.resolve({ rows: 3 }) },
 *     { id: "send", needs: ["count"], retries: { count: 2 }, run: () => Promise.resolve(null) },
 *   ],
 * });
 * assert.deepEqual(dag.dependents.get("count"), ["send"]);
 * ```
 */
export function defineDag<Services>(definition: DagDefinition<Services>): Dag<Services> {
  const fault = (message: string) => new ParleyError("invalid", `dag "${definition.id}": ${message}`);
  const tasksById = new Map<string, TaskDefinition<Services>>();
  const ids = [definition.id, definition.group ?? definition.id, ...definition.tasks.map(({ id }) => id)];
  for (const id of ids) {
    if (!/^[\w.-]+$/.test(id)) throw fault(`"${id}" is not an id: use letters, digits, "_", "-", "."`);
  }
  for (const task of definition.tasks) {
    if (tasksById.has(task.id)) throw fault(`two tasks have the id "${task.id}"`);
    tasksById.set(task.id, task);
  }
  const roles = definition.tasks.flatMap(({ role }) => role ?? []);
  const duplicate = roles.find((role, i) => roles.indexOf(role) !== i);
  if (duplicate !== undefined) throw fault(`two tasks have the role "${duplicate}"`);
  if (tasksById.size === 0) throw fault("it has no tasks");
  const dependents = checkGraph(definition.tasks, fault);
  for (const task of definition.tasks) {
    checkRule(task, fault);
    checkLimits(task, fault);
    checkExpansion(task, fault);
  }
  checkDeadlines(definition, fault);
  checkActiveRuns(definition, fault);
  checkScheduled(definition, fault);
  return { ...definition, version: structureHash(definition), tasksById, dependents };
}

/** How many runs may be active at a time, as the run store takes it. */
export function activeLimits(
  dags: Iterable<Pick<DagDefinition<never>, "id" | "max_active_runs" | "group">>,
): ActiveLimits {
  const all = [...dags];
  return {
    max_active: Object.fromEntries(all.map(({ id, max_active_runs = 1 }) => [id, max_active_runs])),
    groups: Object.fromEntries(all.flatMap(({ id, group }) => group === undefined ? [] : [[id, group]])),
  };
}

type Fault = (message: string) => Error;

function checkLimits<Services>(task: TaskDefinition<Services>, fault: Fault): void {
  const limits: [name: string, value: number | undefined, minimum: number][] = [
    ["timeout_ms", task.timeout_ms, 1],
    ["deadline_ms", task.deadline_ms, 1],
    ["grace_ms", task.grace_ms, 0],
    ["pool_slots", task.pool_slots, 1],
    ["retries.count", task.retries?.count, 0],
    ["retries.base_ms", task.retries?.base_ms, 0],
    ["retries.cap_ms", task.retries?.cap_ms, 0],
    ["expand.max_map_length", task.expand?.max_map_length, 1],
    ["expand.max_active", task.expand?.max_active, 1],
  ];
  for (const [name, value, minimum] of limits) {
    if (value !== undefined && !(value >= minimum)) {
      throw fault(`task "${task.id}" has ${name} ${value}; the least is ${minimum}`);
    }
  }
}

function checkExpansion<Services>(
  { id, expand, needs = [] }: TaskDefinition<Services>,
  fault: Fault,
): void {
  if (expand === undefined || needs.includes(expand.over)) return;
  throw fault(`task "${id}" expands over "${expand.over}", which it does not need: add it to needs`);
}

function checkDeadlines<Services>(dag: DagDefinition<Services>, fault: Fault): void {
  for (const { deadline_alert, id } of [{ ...dag, id: null }, ...dag.tasks]) {
    const problem = deadlineProblem(deadline_alert, dag.schedule !== undefined);
    if (problem !== null) throw fault(id === null ? problem : `task "${id}": ${problem}`);
  }
}

function checkActiveRuns<Services>({ max_active_runs = 1 }: DagDefinition<Services>, fault: Fault): void {
  if (!(max_active_runs >= 1)) throw fault(`max_active_runs is ${max_active_runs}; the least is 1`);
}

/** A scheduled run has no params, so the schema must have a default for each. */
function checkScheduled<Services>(
  { schedule, on_datasets, params }: DagDefinition<Services>,
  fault: Fault,
): void {
  if (schedule === undefined && on_datasets === undefined) return;
  try {
    if (schedule !== undefined) checkSchedule(schedule);
  } catch (error) {
    throw fault(messageOf(error));
  }
  if (on_datasets !== undefined && datasetsOf(on_datasets).length === 0) {
    throw fault("on_datasets names no dataset");
  }
  const parsed = params?.safeParse({});
  if (parsed?.success !== false) return;
  const names = parsed.error.issues.map(({ path }) => path.join(".")).join(", ");
  throw fault(`it has a schedule, and no default for the params: ${names}`);
}

/** Checks that every pool that the dags use exists, and that groups agree on their limit; returns the dags by id. */
export function loadDags<Services>(options: {
  dags: readonly Dag<Services>[];
  pools: Readonly<Record<string, number>>;
}): Map<string, Dag<Services>> {
  const byId = new Map<string, Dag<Services>>();
  for (const dag of options.dags) {
    if (byId.has(dag.id)) throw new ParleyError("invalid", `two dags have the id "${dag.id}"`);
    byId.set(dag.id, dag);
    for (const { id, pool = DEFAULT_POOL, pool_slots = 1 } of dag.tasks) {
      const slots = options.pools[pool];
      const at = `dag "${dag.id}": task "${id}"`;
      if (slots === undefined) {
        throw new ParleyError("invalid", `${at} needs the pool "${pool}", which does not exist`);
      }
      if (pool_slots > slots) {
        throw new ParleyError(
          "invalid",
          `${at} needs ${pool_slots} slots of the pool "${pool}", which has ${slots}`,
        );
      }
    }
  }
  checkGroups(options.dags);
  return byId;
}

function checkGroups<Services>(dags: readonly Dag<Services>[]): void {
  for (const { id, group, max_active_runs = 1 } of dags) {
    const first = dags.find((dag) => group !== undefined && dag.group === group);
    const groupLimit = first?.max_active_runs ?? 1;
    if (first === undefined || groupLimit === max_active_runs) continue;
    throw new ParleyError(
      "invalid",
      `dag "${id}": max_active_runs is ${max_active_runs} and that of "${first.id}", of the same group "${group}", ` +
        `is ${groupLimit}: a group has one limit`,
    );
  }
}

/** The keys are those of hashes that runs have stored. */
function structureHash<Services>(dag: DagDefinition<Services>): string {
  const tasks = dag.tasks.map((task) => ({
    id: task.id,
    needs: [...new Set(task.needs)].sort(),
    trigger: task.trigger ?? "all_success",
    retries: task.retries?.count ?? 0,
    timeout_ms: task.timeout_ms ?? null,
    grace_ms: task.grace_ms ?? null,
    deadline_ms: task.deadline_ms ?? null,
    pool: task.pool ?? DEFAULT_POOL,
    weight: task.pool_slots ?? 1,
    tolerant: task.allow_failure ?? false,
    ...task.expand && { expand: { ...task.expand } },
  }));
  tasks.sort((a, b) => a.id < b.id ? -1 : 1);
  return sha256(canonicalJson({ id: dag.id, tasks })).slice(0, 12);
}

/** The definition of a task, or of the mapped task that this is the id of an instance of. */
export function definitionOf<Services>(
  { tasksById }: Pick<Dag<Services>, "tasksById">,
  id: string,
): TaskDefinition<Services> | undefined {
  return tasksById.get(taskInstance(id).task_id);
}

/** The error for a task that a dag does not have. */
export function noSuchTask<Services>({ id, tasks }: Dag<Services>, task_id: string): ParleyError {
  const ids = tasks.map((task) => task.id);
  const suggestion = didYouMean(task_id, ids);
  return new ParleyError(
    "invalid",
    `the dag "${id}" has no task "${task_id}"${suggestion}; its tasks are ${ids.join(", ")}`,
  );
}
