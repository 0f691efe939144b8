import { type Clock, iso } from "../core/clock.ts";
import { ParleyError } from "../core/errors.ts";
import {
  type RunChanges,
  type RunRecordStore,
  type RunSnapshot,
  taskInstance,
  type TaskRecord,
} from "../stores/runs/port.ts";
import { clearedTasks, downstream } from "./clear.ts";
import { type Dag, noSuchTask } from "./define.ts";
import { runEnd } from "./state.ts";

/** What an ended run, or a task of one, is marked as. */
export const MARKS = ["success", "failed"] as const;
export type Mark = typeof MARKS[number];

interface MarkOptions {
  readonly state: Mark;
  /** A task of the run. Default: the run. */
  readonly task?: string;
  /** Who does it, and why. */
  readonly by: string;
  readonly note: string;
}

/**
 * Marks an ended run or one of its tasks as successful or failed, as Airflow does, and records who did it. A run that is marked as
 * successful has no failed task any more. After a task is marked as successful, what did not run because of it waits again, and the
 * run is queued. Nothing else runs.
 *
 * @throws `not_found` if there is no such run or its dag is gone, `conflict` if the run has not ended, `invalid` for a task that does
 * not exist or for a note that is too long.
 */
export async function markRun<Services>(
  { dags, runs, clock, run_id, ...options }: MarkOptions & {
    dags: ReadonlyMap<string, Dag<Services>>;
    runs: RunRecordStore;
    clock: Clock;
    run_id: string;
  },
): Promise<void> {
  const note = checkNote(options.note);
  const now = clock.now();
  await runs.revise({
    run_id,
    now,
    plan: (snapshot) => {
      const { run } = snapshot;
      const dag = dags.get(run.dag_id);
      if (dag === undefined) throw new ParleyError("not_found", `the dag ${run.dag_id} of this run is gone`);
      if (run.ended_at === null) {
        throw new ParleyError(
          "conflict",
          `run ${run_id} has not ended: wait for it, or cancel it, before marking it`,
        );
      }
      const { task: task_id = null, state: action, by } = options;
      return {
        ...task_id === null ? markedRun(snapshot, options) : markedTask(dag, snapshot, task_id, options, now),
        notes: [{ task_id, action, by, note, at: iso(now) }],
      };
    },
  });
}

const MAX_NOTE = 1_000;

/** @throws `invalid` for a note that is too long. */
export function checkNote(note: string): string {
  if (note.length <= MAX_NOTE) return note.trim();
  throw new ParleyError("invalid", `a note has at most ${MAX_NOTE} characters`);
}

function isGood({ state }: TaskRecord): boolean {
  return state === "success" || state === "skipped" || state === "removed";
}

/** A failed run keeps its tasks as they are. */
function markedRun({ run, tasks }: RunSnapshot, { state, by }: MarkOptions): RunChanges {
  const { started_at, ended_at } = run;
  if (state === "failed") {
    return { run: { state, started_at, ended_at, error: `marked as failed by ${by}` } };
  }
  const marked = tasks.filter((task) => !isGood(task)).map((task) => ({ ...task, state, error: null }));
  return { run: { state, started_at, ended_at, error: null }, tasks: marked };
}

function markedTask<Services>(
  dag: Dag<Services>,
  { run, tasks }: RunSnapshot,
  task_id: string,
  { state, by }: MarkOptions,
  now: number,
): RunChanges {
  const found = tasks.find((task) => task.task_id === task_id);
  if (!dag.tasksById.has(task_id) || found === undefined) throw noSuchTask(dag, task_id);
  const marked = state === "failed"
    ? [{ ...found, state, error: `marked as failed by ${by}` }]
    : tasks.filter((task) => taskInstance(task.task_id).task_id === task_id)
      .filter((task) => task === found || !isGood(task))
      .map((task) => ({ ...task, state, error: null }));
  const cleared = state === "failed" ? [] : clearedTasks(tasks, downstream(dag, tasks, [task_id]));
  const changes = [...marked, ...cleared];
  const { started_at } = run;
  if (cleared.length > 0) {
    return {
      run: { state: "queued", started_at: null, ended_at: null, error: null },
      tasks: changes,
      discard: cleared.map((task) => task.task_id),
    };
  }
  const byId = new Map([...tasks, ...changes].map((task) => [task.task_id, task]));
  const end = runEnd(dag, [...byId.values()]);
  return {
    tasks: changes,
    run: { ...end ?? { state, error: null }, started_at, ended_at: run.ended_at ?? iso(now) },
  };
}
