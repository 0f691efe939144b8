import { backoff } from "../core/backoff.ts";
import { iso } from "../core/clock.ts";
import {
  type AttemptRecord,
  type AttemptState,
  type EndedAttempt,
  type RunState,
  taskInstance,
  type TaskRecord,
} from "../stores/runs/port.ts";
import { type Dag, definitionOf, type RetryDecision, type TaskDefinition } from "./define.ts";
import { outcomeOf } from "./trigger_rules.ts";

/**
 * How many attempts in a row may be lost with their process, without a checkpoint between them, before the task fails: the task
 * itself may end the process.
 */
export const MAX_LOST_ATTEMPTS = 10;

/** How one attempt ended, as far as the next step of its task depends on it. */
export interface AttemptEnd {
  readonly state: Exclude<AttemptState, "running">;
  readonly error: string | null;
  readonly output: TaskRecord["output"];
  readonly branch: TaskRecord["branch"];
  readonly decision: RetryDecision;
  /** Milliseconds that the server asked to wait; null if it did not. */
  readonly retry_after_ms: number | null;
}

export function newTask(task_id: string): TaskRecord {
  return {
    task_id,
    state: "waiting",
    attempts: 0,
    tries: 0,
    lost: 0,
    ready_at: 0,
    first_started_at: null,
    output: null,
    branch: null,
    error: null,
  };
}

/** The task as if it had never run, but for its attempts, which stay as history. */
export function reset({ task_id, attempts }: TaskRecord): TaskRecord {
  return { ...newTask(task_id), attempts };
}

/** The task as an attempt starts: with the number `attempt`, if that is higher than the next one. */
export function started(task: TaskRecord, now: number, attempt = 1): TaskRecord {
  return {
    ...task,
    state: "running",
    attempts: Math.max(task.attempts + 1, attempt),
    first_started_at: task.first_started_at ?? iso(now),
  };
}

const DEADLINE_PASSED = "the task's deadline passed";

/** The task as failed if its deadline passed before another attempt could start; null if time is left. */
export function overdue(
  task: TaskRecord,
  definition: Pick<TaskDefinition<never>, "deadline_ms">,
  now: number,
): TaskRecord | null {
  if ((deadlineIn(task, definition, now) ?? 1) > 0) return null;
  const error = task.error === null ? DEADLINE_PASSED : `${DEADLINE_PASSED}; before that: ${task.error}`;
  return { ...task, state: "failed", error };
}

/** Milliseconds left until a task's deadline, which counts from its first start; null if it has none. */
export function deadlineIn(
  { first_started_at }: TaskRecord,
  { deadline_ms }: { deadline_ms?: number | undefined },
  now: number,
): number | null {
  if (deadline_ms === undefined || first_started_at === null) return null;
  return Date.parse(first_started_at) + deadline_ms - now;
}

/** The task after an attempt: done, to be tried again (ready, from a later time on), or failed. */
export function afterAttempt(
  task: TaskRecord,
  definition: Pick<TaskDefinition<never>, "retries" | "deadline_ms">,
  end: AttemptEnd,
  at: { now: number; random: () => number },
): TaskRecord {
  const { state, error, output, branch } = end;
  switch (state) {
    case "success":
    case "skipped":
    case "cancelled":
      return { ...task, state, error, output, branch };
    case "interrupted":
      return { ...task, state: "ready", ready_at: 0, error };
    case "lost": {
      const lost = task.lost + 1;
      return { ...task, lost, error, state: lost > MAX_LOST_ATTEMPTS ? "failed" : "ready", ready_at: 0 };
    }
    case "failed":
    case "timed_out": {
      const tries = task.tries + 1;
      const wait = retryWait({ ...task, tries }, definition, end, at);
      if (wait === null) return { ...task, tries, error, output, state: "failed" };
      return { ...task, tries, error, state: "ready", ready_at: at.now + wait };
    }
  }
}

/** Milliseconds until the next try; null without one. */
function retryWait(
  task: TaskRecord,
  { retries, deadline_ms }: Pick<TaskDefinition<never>, "retries" | "deadline_ms">,
  end: AttemptEnd,
  { now, random }: { now: number; random: () => number },
): number | null {
  if (end.decision === "fail") return null;
  if (end.decision === "default" && task.tries > (retries?.count ?? 0)) return null;
  const { base_ms, cap_ms } = retries ?? {};
  const wait = end.retry_after_ms ??
    backoff({
      tries: task.tries,
      ...(base_ms === undefined ? {} : { base_ms }),
      ...(cap_ms === undefined ? {} : { cap_ms }),
      random,
    });
  return wait >= (deadlineIn(task, { deadline_ms }, now) ?? Infinity) ? null : wait;
}

/** The end of an attempt that a dead process left behind. */
export function lostAttempt(attempt: AttemptRecord, now: number): { record: EndedAttempt; end: AttemptEnd } {
  const error = "the process that ran it is gone";
  return {
    record: { ...attempt, state: "lost", error, ended_at: iso(now), lineage: [] },
    end: { state: "lost", error, output: null, branch: null, decision: "default", retry_after_ms: null },
  };
}

/** How a run ended, with its first failure, or with why all its tasks were skipped. */
export interface RunEnd {
  readonly state: Extract<RunState, "success" | "failed" | "cancelled">;
  readonly error: string | null;
}

/**
 * How a run ends, once every task of the dag has; null before. Every task counts, not only the leaves, and so does a failed one
 * that the dag no longer has. Failures of tasks with `allow_failure` do not count.
 */
export function runEnd<Services>(dag: Dag<Services>, tasks: readonly TaskRecord[]): RunEnd | null {
  const ended = new Set(tasks.filter(({ state }) => outcomeOf(state) !== null).map(({ task_id }) => task_id));
  if (!dag.tasks.every(({ id }) => ended.has(id))) return null;
  if (tasks.some(({ state }) => state === "cancelled")) return { state: "cancelled", error: null };
  const failed = tasks.find(({ task_id, state }) =>
    state === "failed" && definitionOf(dag, task_id)?.allow_failure !== true
  );
  if (failed === undefined) return { state: "success", error: whySkipped(tasks) };
  return { state: "failed", error: `${failed.task_id}: ${failed.error ?? "failed"}` };
}

/** How a mapped task ends by its instances, once all of them have ended. */
export function mappedEnd(
  instances: readonly TaskRecord[],
): Pick<TaskRecord, "error"> & { readonly state: "success" | "failed" | "skipped" | "cancelled" } {
  const of = (wanted: TaskRecord["state"]) => instances.filter(({ state }) => state === wanted);
  if (of("cancelled").length > 0) return { state: "cancelled", error: null };
  const [failed, skipped] = [of("failed"), of("skipped")];
  const [first] = failed;
  if (first !== undefined) {
    const count = `${failed.length} of ${instances.length} instances failed`;
    return { state: "failed", error: `${count}; ${first.task_id}: ${first.error ?? "failed"}` };
  }
  if (skipped.length < instances.length) return { state: "success", error: null };
  return { state: "skipped", error: skipped[0]?.error ?? null };
}

/** Why all tasks were skipped; null if one ran. */
function whySkipped(tasks: readonly TaskRecord[]): string | null {
  const ended = tasks.filter(({ state }) => state !== "removed");
  if (!ended.every(({ state }) => state === "skipped")) return null;
  return ended.find(({ error }) => error !== null)?.error ?? null;
}

/**
 * Fits the stored tasks of a run to the dag as it is now: finished tasks stay, tasks that are gone are removed, new
 * ones wait, and so do removed ones that are back, and a task that is no longer mapped.
 */
export function reconcile<Services>(
  dag: Dag<Services>,
  stored: readonly TaskRecord[],
): { tasks: TaskRecord[]; changed: string[] } {
  const storedIds = new Set(stored.map(({ task_id }) => task_id));
  const expanded = instancesOf(stored);
  const changed: string[] = [];
  const existing = stored.map((task): TaskRecord => {
    const definition = definitionOf(dag, task.task_id);
    const isKnown = definition !== undefined && (definition.expand !== undefined || !isInstance(task));
    const isGone = !isKnown && outcomeOf(task.state) === null;
    const isBack = dag.tasksById.has(task.task_id) && task.state === "removed";
    const isUnmapped = isKnown && task.state === "running" && definition.expand === undefined &&
      expanded.has(task.task_id);
    if (!isGone && !isBack && !isUnmapped) return task;
    changed.push(task.task_id);
    return isGone ? { ...task, state: "removed" } : reset(task);
  });
  const added = dag.tasks.filter(({ id }) => !storedIds.has(id)).map(({ id }) => newTask(id));
  return { tasks: [...existing, ...added], changed: [...changed, ...added.map(({ task_id }) => task_id)] };
}

/** The instances of each mapped task, in the order of their items. */
export function instancesOf(tasks: readonly TaskRecord[]): Map<string, TaskRecord[]> {
  const byTask = Map.groupBy(
    tasks.filter((task) => isInstance(task) && task.state !== "removed"),
    ({ task_id }) => taskInstance(task_id).task_id,
  );
  const index = ({ task_id }: TaskRecord) => taskInstance(task_id).map_index!;
  for (const own of byTask.values()) own.sort((a, b) => index(a) - index(b));
  return byTask;
}

export function isInstance({ task_id }: Pick<TaskRecord, "task_id">): boolean {
  return taskInstance(task_id).map_index !== null;
}
