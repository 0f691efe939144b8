import { createHash, type z } from "../../deps.ts";
import { ParleyError } from "../core/errors.ts";
import { canonicalJson } from "../core/json.ts";
import { checkGraph } from "./graph.ts";
import { checkRule } from "./rules.ts";
import type { Dataset, TaskFunction, TriggerRule } from "./types.ts";

/** What to do with an error: try again, give up at once, or whatever the count of retries says. */
export type RetryDecision = "retry" | "fail" | "default";

export interface RetryPolicy {
  /** Further tries after the first. */
  readonly count: number;
  /** Upper bound of the first wait; each further one doubles it. Default 1 s. */
  readonly base_ms?: number;
  /** Upper bound of any wait. Default 5 min. */
  readonly cap_ms?: number;
  readonly decide?: (error: unknown) => RetryDecision;
}

export interface TaskDefinition<Services> {
  readonly id: string;
  readonly doc?: string;
  readonly needs?: readonly string[];
  /** Default `all_success`. */
  readonly trigger?: TriggerRule;
  readonly retries?: RetryPolicy;
  /** Of one attempt. Default none. */
  readonly timeout_ms?: number;
  /** Of all attempts together, from the first start. Default none. */
  readonly deadline_ms?: number;
  /** Default `default`. */
  readonly pool?: string;
  /** Slots that an attempt takes in its pool. Default 1. */
  readonly weight?: number;
  /** Higher starts first. Default 0. */
  readonly priority?: number;
  /** Its failure does not fail the run. */
  readonly tolerant?: boolean;
  readonly inputs?: readonly Dataset[];
  readonly outputs?: readonly Dataset[];
  readonly run: TaskFunction<Services>;
}

/** What happens with occurrences that passed while no scheduler ran. */
export type CatchUp = "none" | "latest" | "all";

export interface Schedule {
  /** Five fields, as in crontab(5). */
  readonly cron: string;
  /** IANA zone, such as `Europe/Berlin`. */
  readonly timezone: string;
  readonly catch_up: CatchUp;
}

export interface DagDefinition<Services> {
  readonly id: string;
  readonly doc?: string;
  readonly owner?: string;
  readonly tags?: readonly string[];
  readonly schedule?: Schedule;
  /** Runs of this dag at one time, in all processes. Default 1. */
  readonly max_active_runs?: number;
  /** Checked before a run is made; its defaults fill in what is not given. */
  readonly params?: z.ZodType;
  readonly tasks: readonly TaskDefinition<Services>[];
}

/** A checked dag. `version` is a hash of its structure: of all that is not a function. */
export interface Dag<Services> extends DagDefinition<Services> {
  readonly version: string;
  readonly task: ReadonlyMap<string, TaskDefinition<Services>>;
  /** Task ids by the task that they need. */
  readonly dependents: ReadonlyMap<string, readonly string[]>;
}

export const DEFAULT_POOL = "default";

/** Checks a dag and returns it ready to run. Throws `invalid` that names the dag, the task and the path at fault. */
export function defineDag<Services>(definition: DagDefinition<Services>): Dag<Services> {
  const fault = (what: string) => new ParleyError("invalid", `dag "${definition.id}": ${what}`);
  const task = new Map<string, TaskDefinition<Services>>();
  for (const each of definition.tasks) {
    if (!/^[\w.-]+$/.test(each.id)) {
      throw fault(`"${each.id}" is not a task id: use letters, digits, "_", "-", "."`);
    }
    if (task.has(each.id)) throw fault(`two tasks have the id "${each.id}"`);
    task.set(each.id, each);
  }
  if (task.size === 0) throw fault("it has no tasks");
  const dependents = checkGraph(definition.tasks, fault);
  for (const each of definition.tasks) checkRule(each, fault);
  return { ...definition, version: structureHash(definition), task, dependents };
}

/** Checks that every pool that the dags use exists; returns them by id. */
export function loadDags<Services>(o: {
  dags: readonly Dag<Services>[];
  pools: Readonly<Record<string, number>>;
}): Map<string, Dag<Services>> {
  const byId = new Map<string, Dag<Services>>();
  for (const dag of o.dags) {
    if (byId.has(dag.id)) throw new ParleyError("invalid", `two dags have the id "${dag.id}"`);
    byId.set(dag.id, dag);
    for (const { id, pool = DEFAULT_POOL, weight = 1 } of dag.tasks) {
      const slots = o.pools[pool];
      const at = `dag "${dag.id}": task "${id}"`;
      if (slots === undefined) {
        throw new ParleyError("invalid", `${at} wants the pool "${pool}", which does not exist`);
      }
      if (weight > slots) {
        throw new ParleyError(
          "invalid",
          `${at} wants ${weight} slots of the pool "${pool}", which has ${slots}`,
        );
      }
    }
  }
  return byId;
}

function structureHash(dag: DagDefinition<never>): string {
  const tasks = dag.tasks.map(({ id, needs, trigger, retries, timeout_ms, deadline_ms, pool, weight }) => ({
    id,
    needs: [...needs ?? []].sort(),
    trigger: trigger ?? "all_success",
    retries: retries?.count ?? 0,
    timeout_ms: timeout_ms ?? null,
    deadline_ms: deadline_ms ?? null,
    pool: pool ?? DEFAULT_POOL,
    weight: weight ?? 1,
  }));
  tasks.sort((a, b) => a.id < b.id ? -1 : 1);
  return createHash("sha256").update(canonicalJson({ id: dag.id, tasks })).digest("hex").slice(0, 12);
}
