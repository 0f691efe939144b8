import type { Clock } from "../core/clock.ts";
import { ParleyError } from "../core/errors.ts";
import type { RunChanges, RunRecord, RunRecordStore, RunSnapshot, TaskRecord } from "../stores/runs/port.ts";
import { type Dag, noSuchTask } from "./define.ts";
import { reachable } from "./graph.ts";
import { reset } from "./state.ts";

/** Which tasks of an ended run are to run again. */
export interface ClearScope {
  /** Default all. */
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
 * are included. Throws `invalid` for a task that does not exist.
 */
export function tasksToClear<Services>(
  dag: Dag<Services>,
  tasks: readonly TaskRecord[],
  scope: ClearScope,
): string[] {
  const unknown = scope.tasks?.find((id) => !dag.tasksById.has(id));
  if (unknown !== undefined) throw noSuchTask(dag, unknown);
  const roots = scope.tasks ?? [...dag.tasksById.keys()];
  const chosen = new Set(roots);
  if (scope.upstream) addAll(chosen, reachable(roots, (id) => dag.tasksById.get(id)?.needs ?? []));
  if (scope.downstream) addAll(chosen, reachable(roots, (id) => dag.dependents.get(id) ?? []));
  const failedIds = new Set(tasks.filter(hasFailed).map(({ task_id }) => task_id));
  const selected = [...chosen].filter((id) => !scope.failed || failedIds.has(id));
  const all = addAll(new Set(selected), downstream(dag, tasks, selected));
  return [...dag.tasksById.keys()].filter((id) => all.has(id));
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
  return reachable(ids.flatMap(next), next);
}

/** The changes of clearing: the tasks wait again, their attempts stay as history, and the run is queued. */
function planClear(
  { run, tasks }: RunSnapshot,
  ids: readonly string[],
  options: { keep_checkpoints: boolean; backfill_id: string | undefined },
): RunChanges {
  if (run.ended_at === null) {
    throw new ParleyError(
      "conflict",
      `run ${run.run_id} has not ended: wait for it, or cancel it, before clearing its tasks`,
    );
  }
  const cleared = tasks.filter(({ task_id }) => ids.includes(task_id)).map(reset);
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
    discard: options.keep_checkpoints ? [] : ids,
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
}): Promise<string[]> {
  let ids: string[] = [];
  await options.runs.revise({
    run_id: options.run_id,
    now: options.clock.now(),
    plan: (snapshot) => {
      ids = tasksToClear(options.dag, snapshot.tasks, options.scope);
      return planClear(snapshot, ids, {
        keep_checkpoints: options.keep_checkpoints ?? false,
        backfill_id: options.backfill_id,
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
