import { type Clock, iso } from "../core/clock.ts";
import { ParleyError } from "../core/errors.ts";
import {
  type RunChanges,
  type RunNote,
  type RunRecord,
  type RunRecordStore,
  type RunSnapshot,
  taskInstance,
  type TaskRecord,
} from "../stores/runs/port.ts";
import { type Dag, noSuchTask } from "./define.ts";
import { reachable } from "./graph.ts";
import { instancesOf, reset } from "./state.ts";

/** Which tasks of an ended run are to run again. */
export interface ClearScope {
  /** Default all. Of a mapped task either all instances, by its id, or some, by theirs. */
  readonly tasks?: readonly string[];
  /** And all tasks that these need, directly or not. */
  readonly upstream?: boolean;
  /** And all tasks that need these, directly or not. */
  readonly downstream?: boolean;
  /** Of all those, only failed, upstream_failed and cancelled ones. */
  readonly failed?: boolean;
}

/**
 * The ids of the tasks to clear, in the dag's order. Downstream tasks that ended without running, such as upstream_failed ones,
 * are included. Of a mapped task, `failed` selects the failed instances. Throws `invalid` for a task that does not exist.
 */
export function tasksToClear<Services>(
  dag: Dag<Services>,
  tasks: readonly TaskRecord[],
  scope: ClearScope,
): string[] {
  const instances = instancesOf(tasks);
  const isKnown = (id: string) =>
    dag.tasksById.has(id) || instances.get(taskInstance(id).task_id)?.some(({ task_id }) => task_id === id);
  const unknown = scope.tasks?.find((id) => !isKnown(id));
  if (unknown !== undefined) throw noSuchTask(dag, unknown);
  const named = scope.tasks ?? [...dag.tasksById.keys()];
  const roots = named.map((id) => taskInstance(id).task_id);
  const chosen = new Set(roots);
  if (scope.upstream) addAll(chosen, reachable(roots, (id) => dag.tasksById.get(id)?.needs ?? []));
  if (scope.downstream) addAll(chosen, reachable(roots, (id) => dag.dependents.get(id) ?? []));
  const failedIds = new Set(tasks.filter(hasFailed).map(({ task_id }) => task_id));
  const selected = [...chosen].filter((id) => !scope.failed || failedIds.has(id));
  const all = addAll(new Set(selected), downstream(dag, tasks, selected));
  return dag.tasks.filter(({ id }) => all.has(id)).flatMap(({ id, needs = [] }) => {
    // With another list there are other instances.
    if (needs.some((need) => all.has(need)) || named.includes(id) && !scope.failed) return [id];
    const some = (instances.get(id) ?? []).filter((task) =>
      scope.failed ? hasFailed(task) : named.includes(task.task_id)
    );
    return some.length === 0 ? [id] : some.map(({ task_id }) => task_id);
  });
}

/**
 * The tasks as they are once those of these ids are cleared; the others are left out. A mapped task loses its instances, or, if
 * only some of them are cleared, is running again.
 */
export function clearedTasks(tasks: readonly TaskRecord[], ids: Iterable<string>): TaskRecord[] {
  const cleared = new Set(ids);
  const reopened = new Set([...cleared].map((id) => taskInstance(id).task_id));
  return tasks.flatMap((task): TaskRecord[] => {
    const { task_id, map_index } = taskInstance(task.task_id);
    if (map_index !== null && cleared.has(task_id)) return [{ ...task, state: "removed" }];
    if (cleared.has(task.task_id)) {
      return [map_index === null ? reset(task) : { ...reset(task), state: "ready" }];
    }
    return map_index === null && reopened.has(task_id) ? [{ ...task, state: "running", error: null }] : [];
  });
}

/** Tasks downstream of these that ended by their trigger rule, without running. */
export function downstream<Services>(
  dag: Dag<Services>,
  tasks: readonly TaskRecord[],
  ids: readonly string[],
): Set<string> {
  const endedByRule = new Set(
    tasks.filter(({ state }) => ["skipped", "upstream_failed", "cancelled"].includes(state))
      .map(({ task_id }) => task_id),
  );
  const next = (id: string) =>
    (dag.dependents.get(id) ?? []).filter((dependent) => endedByRule.has(dependent));
  return reachable(ids.flatMap((id) => next(taskInstance(id).task_id)), next);
}

/** The changes of clearing: the tasks wait again, their attempts stay as history, and the run is queued. */
function planClear(
  { run, tasks }: RunSnapshot,
  ids: readonly string[],
  options: { keep_checkpoints: boolean; backfill_id: string | undefined; notes: readonly RunNote[] },
): RunChanges {
  if (run.ended_at === null) {
    throw new ParleyError(
      "conflict",
      `run ${run.run_id} has not ended: wait for it, or cancel it, before clearing its tasks`,
    );
  }
  const cleared = clearedTasks(tasks, ids);
  if (cleared.length === 0) return {};
  return {
    run: {
      state: "queued",
      started_at: null,
      ended_at: null,
      error: null,
      ...options.backfill_id !== undefined && { backfill_id: options.backfill_id },
    },
    tasks: cleared,
    notes: options.notes,
    discard: options.keep_checkpoints ? [] : cleared.map(({ task_id }) => task_id),
  };
}

/**
 * Clears tasks of an ended run in one transaction, so that the next process that claims the run runs them again. Returns their
 * ids. If the scope has no tasks, the run stays ended. Throws `conflict` if the run has not ended.
 */
export async function clearRun<Services>(options: {
  dag: Dag<Services>;
  runs: RunRecordStore;
  clock: Clock;
  run_id: string;
  scope: ClearScope;
  /** Default false: the tasks begin from nothing. */
  keep_checkpoints?: boolean;
  /** The backfill that the run becomes part of. Default: it stays in the one that it is of, if any. */
  backfill_id?: string;
  /** Who clears it and why, to be recorded. */
  mark?: { readonly by: string; readonly note: string };
}): Promise<string[]> {
  const { mark, clock } = options;
  const now = clock.now();
  const notes: RunNote[] = mark === undefined
    ? []
    : [{ task_id: null, action: "cleared", ...mark, at: iso(now) }];
  let ids: string[] = [];
  await options.runs.revise({
    run_id: options.run_id,
    now,
    plan: (snapshot) => {
      ids = tasksToClear(options.dag, snapshot.tasks, options.scope);
      return planClear(snapshot, ids, {
        keep_checkpoints: options.keep_checkpoints ?? false,
        backfill_id: options.backfill_id,
        notes,
      });
    },
  });
  return ids;
}

/**
 * Runs what failed in an ended run again, or one task with all tasks that need it. Returns the run as it was, and the ids of
 * the cleared tasks.
 *
 * @throws `not_found` if there is no such run or its dag is gone, `conflict` if nothing has failed or the run has not ended.
 */
export async function retryRun<Services>({ dags, task, ...options }: {
  dags: ReadonlyMap<string, Dag<Services>>;
  runs: RunRecordStore;
  clock: Clock;
  run_id: string;
  task?: string;
}): Promise<{ run: RunRecord; cleared: string[] }> {
  const run = (await options.runs.snapshot(options))?.run;
  const dag = run && dags.get(run.dag_id);
  if (run === undefined || dag === undefined) {
    throw new ParleyError("not_found", "there is no such run, or its pipeline is gone");
  }
  const scope = task === undefined ? { failed: true } : { tasks: [task], downstream: true };
  const cleared = await clearRun({ ...options, dag, scope });
  if (cleared.length === 0) throw new ParleyError("conflict", "nothing in this run has failed");
  return { run, cleared };
}

function hasFailed({ state }: TaskRecord): boolean {
  return state === "failed" || state === "upstream_failed" || state === "cancelled";
}

function addAll(to: Set<string>, ids: Iterable<string>): Set<string> {
  for (const id of ids) to.add(id);
  return to;
}
