import type { Clock } from "../core/clock.ts";
import { ParleyError } from "../core/errors.ts";
import type { RunChanges, RunRecordStore, RunSnapshot, TaskRecord } from "../stores/runs/port.ts";
import { type Dag, noSuchTask } from "./define.ts";
import { reachable } from "./graph.ts";
import { reset } from "./state.ts";

/** Which tasks of an ended run are to run again. */
export interface ClearScope {
  /** Default all. */
  readonly tasks?: readonly string[];
  /** And all that these need, near and far. */
  readonly upstream?: boolean;
  /** And all that needs these, near and far. */
  readonly downstream?: boolean;
  /** Of all those, only what did not come to a good end: failed, upstream_failed, cancelled. */
  readonly failed?: boolean;
}

/**
 * The ids of the tasks to clear, in the dag's order. With each go those after it that ended without running, such as
 * upstream_failed ones: what they ended by is cleared. `invalid` names a task that does not exist.
 */
export function tasksToClear<Services>(
  dag: Dag<Services>,
  tasks: readonly TaskRecord[],
  scope: ClearScope,
): string[] {
  const stranger = scope.tasks?.find((id) => !dag.tasksById.has(id));
  if (stranger !== undefined) throw noSuchTask(dag, stranger);
  const given = scope.tasks ?? [...dag.tasksById.keys()];
  const chosen = new Set(given);
  if (scope.upstream) addAll(chosen, reachable(given, (id) => dag.tasksById.get(id)?.needs ?? []));
  if (scope.downstream) addAll(chosen, reachable(given, (id) => dag.dependents.get(id) ?? []));
  const bad = new Set(tasks.filter(isBad).map(({ task_id }) => task_id));
  const base = [...chosen].filter((id) => !scope.failed || bad.has(id));
  const all = addAll(new Set(base), downstream(dag, tasks, base));
  return [...dag.tasksById.keys()].filter((id) => all.has(id));
}

/** Tasks after these that ended by their trigger rule, or skipped, because of how others had ended. */
export function downstream<Services>(
  dag: Dag<Services>,
  tasks: readonly TaskRecord[],
  ids: readonly string[],
): Set<string> {
  const settled = new Set(
    tasks.filter(({ state }) => ["skipped", "upstream_failed", "cancelled"].includes(state))
      .map(({ task_id }) => task_id),
  );
  const next = (id: string) => (dag.dependents.get(id) ?? []).filter((dependent) => settled.has(dependent));
  return reachable(ids.flatMap(next), next);
}

/** What clearing changes: the tasks wait again with their attempts kept as history, and the run is queued. */
function planClear(
  { run, tasks }: RunSnapshot,
  ids: readonly string[],
  options: { keep_checkpoints: boolean },
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
    run: { state: "queued", started_at: null, ended_at: null, error: null },
    tasks: cleared,
    discard: options.keep_checkpoints ? [] : ids,
  };
}

/**
 * Clears tasks of an ended run in one transaction, so that whoever claims the run next runs them again. Returns their
 * ids; none where the scope holds nothing, and the run stays ended. `conflict` where the run has not ended.
 */
export async function clearRun<Services>(options: {
  dag: Dag<Services>;
  runs: RunRecordStore;
  clock: Clock;
  run_id: string;
  scope: ClearScope;
  /** Default false: the tasks begin from nothing. */
  keep_checkpoints?: boolean;
}): Promise<string[]> {
  let ids: string[] = [];
  await options.runs.revise({
    run_id: options.run_id,
    now: options.clock.now(),
    plan: (snapshot) => {
      ids = tasksToClear(options.dag, snapshot.tasks, options.scope);
      return planClear(snapshot, ids, { keep_checkpoints: options.keep_checkpoints ?? false });
    },
  });
  return ids;
}

function isBad({ state }: TaskRecord): boolean {
  return state === "failed" || state === "upstream_failed" || state === "cancelled";
}

function addAll(to: Set<string>, ids: Iterable<string>): Set<string> {
  for (const id of ids) to.add(id);
  return to;
}
