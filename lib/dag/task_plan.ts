import { iso } from "../core/clock.ts";
import { ParleyError } from "../core/errors.ts";
import type { Json } from "../core/types.ts";
import {
  type AttemptRecord,
  type EndedAttempt,
  instanceId,
  type RunChanges,
  type RunRecord,
  type RunSnapshot,
  type Start,
  type TaskRecord,
} from "../stores/runs/port.ts";
import { outcomeOf } from "./trigger_rules.ts";
import { newAttempt } from "./attempt.ts";
import { RunInFlight } from "./run_in_flight.ts";
import { clearedTasks, downstream } from "./clear.ts";
import type { Dag, TaskDefinition } from "./define.ts";
import {
  afterAttempt,
  type AttemptEnd,
  instancesOf,
  isInstance,
  lostAttempt,
  newTask,
  started,
} from "./state.ts";

/** One attempt of a task in an external run, about to be recorded. */
export interface PlannedStart {
  readonly start: Start;
  readonly run: RunRecord;
  /** What a task of the run has returned. */
  readonly output: (task_id: string) => Json;
  /** Of an instance of a mapped task. */
  readonly item: Json;
  readonly changes: RunChanges;
}

/**
 * Starts a task of an external run, whatever state it is in. A running attempt of a dead process is marked lost, and downstream
 * tasks that had ended by their rules wait again. Throws `conflict` while the task or one that it needs is running, and
 * `invalid` if it can never start.
 */
export function planStart<Services>(
  dag: Dag<Services>,
  definition: TaskDefinition<Services>,
  snapshot: RunSnapshot,
  options: {
    by: Parameters<typeof newAttempt>[2] & { lease_until: number };
    attempt: number;
    map_index: number | undefined;
  },
): PlannedStart {
  const { run, tasks, attempts } = snapshot;
  const { map_index } = options;
  const id = map_index === undefined ? definition.id : instanceId(definition.id, map_index);
  const { now } = options.by;
  const running = attempts.filter(({ task_id, state }) => task_id === id && state === "running");
  checkStart(dag, snapshot.run, running, now);
  const current = new RunInFlight(dag, tasks);
  checkNeeds(current, definition, run);
  checkInstance(current, definition, { run, id });
  const before = current.has(id) ? current.get(id) : newTask(id);
  const task = started({ ...before, lost: before.lost + running.length, branch: null }, now, options.attempt);
  const inFlight = new RunInFlight(dag, reopened(dag, { ...snapshot, tasks: current.all() }, task));
  const stored = new Set(tasks);
  const start = { task, attempt: newAttempt(task, definition, options.by) };
  return {
    start,
    run,
    output: (task_id) => inFlight.output(task_id),
    item: inFlight.item(id),
    changes: {
      run: { state: "running", started_at: run.started_at ?? iso(now), ended_at: null, error: null },
      tasks: inFlight.all().filter((other) => other !== task && !stored.has(other)),
      ended: running.map((attempt) => lostAttempt(attempt, now).record),
      starts: [start],
    },
  };
}

function checkStart<Services>(
  dag: Dag<Services>,
  run: RunRecord,
  running: readonly AttemptRecord[],
  now: number,
): void {
  const refuse = (reason: string) => new ParleyError("invalid", `run ${run.run_id} ${reason}`);
  if (run.dag_id !== dag.id) throw refuse(`is of the dag "${run.dag_id}"`);
  if (run.trigger !== "external") throw refuse("is not one that an outside engine drives");
  if (run.cancel_requested) throw refuse("was cancelled: clear it, or use another run id");
  const active = running.find(({ lease_until }) => (lease_until ?? 0) > now);
  if (active === undefined) return;
  const text = `run ${run.run_id} has its task ${active.task_id} running already, by ${active.owner}`;
  throw new ParleyError("conflict", text);
}

/** A task reads the output of its needs, so its rule waits for them, whatever the order of the outside engine. */
function checkNeeds<Services>(
  inFlight: RunInFlight<Services>,
  { id, needs = [] }: TaskDefinition<Services>,
  run: RunRecord,
): void {
  if (inFlight.get(id).state !== "waiting") return;
  const open = needs.filter((need) => outcomeOf(inFlight.get(need).state) === null);
  const isRunning = open.some((need) => inFlight.get(need).state === "running");
  throw new ParleyError(
    isRunning ? "conflict" : "invalid",
    `task ${id} of run ${run.run_id} needs ${
      open.join(", ")
    }, which has not ended in that run: run that first`,
  );
}

/** Of a mapped task the outside engine runs each instance. */
function checkInstance<Services>(
  inFlight: RunInFlight<Services>,
  { id: task_id, expand }: TaskDefinition<Services>,
  { run, id }: { run: RunRecord; id: string },
): void {
  const refuse = (reason: string) =>
    new ParleyError("invalid", `task ${task_id} of run ${run.run_id} ${reason}`);
  if (expand === undefined) {
    if (id !== task_id) throw refuse("is not mapped over items: omit --map-index");
    return;
  }
  const { state, error } = inFlight.get(task_id);
  const items = instancesOf(inFlight.all()).get(task_id) ?? [];
  if (items.length === 0) throw refuse(`has no instances: ${error ?? state}`);
  if (!inFlight.has(id) || id === task_id) {
    throw refuse(
      `is mapped over ${items.length} items: choose one by --map-index, from 0 to ${items.length - 1}`,
    );
  }
}

/** The run's tasks with `task` running; downstream tasks that had ended without an attempt wait again. */
function reopened<Services>(
  dag: Dag<Services>,
  { tasks, attempts }: RunSnapshot,
  task: TaskRecord,
): TaskRecord[] {
  const newest = new Map(attempts.map(({ task_id, state }) => [task_id, state as string]));
  const after = downstream(dag, tasks, [task.task_id]);
  const endedByRule = ({ task_id, state }: TaskRecord) => after.has(task_id) && newest.get(task_id) !== state;
  const ids = tasks.filter(endedByRule).map(({ task_id }) => task_id);
  // A mapped task is running while one of its instances is.
  const cleared = clearedTasks(tasks, isInstance(task) ? [...ids, task.task_id] : ids);
  const byId = new Map([...tasks, ...cleared, task].map((each) => [each.task_id, each]));
  return [...byId.values()];
}

/**
 * Ends an attempt of a task in an external run, and the run with its last task. Throws `conflict` if the attempt was declared
 * lost meanwhile.
 */
export function planEnd<Services>(
  dag: Dag<Services>,
  { run, tasks, attempts }: RunSnapshot,
  { record, end }: { record: EndedAttempt; end: AttemptEnd },
  at: { now: number; random: () => number },
): RunChanges {
  const isThisAttempt = (other: AttemptRecord) =>
    other.task_id === record.task_id && other.attempt === record.attempt && other.owner === record.owner;
  const running = attempts.filter(({ state }) => state === "running");
  const before = tasks.find(({ task_id }) => task_id === record.task_id);
  if (before === undefined || !running.some(isThisAttempt)) {
    throw new ParleyError("conflict", `task ${record.task_id} was taken over by another process`);
  }
  const after = afterAttempt(before, {}, end, at);
  const inFlight = new RunInFlight(dag, tasks);
  // The outside engine decides whether to retry: until then the task has failed.
  inFlight.set(after.state === "ready" ? { ...after, state: "failed", ready_at: 0 } : after);
  if (run.cancel_requested) inFlight.cancel();
  const outcome = running.every(isThisAttempt) ? inFlight.outcome() : null;
  return {
    tasks: inFlight.takeChanges(),
    ended: [record],
    ...outcome === null ? {} : { run: { ...outcome, started_at: run.started_at, ended_at: iso(at.now) } },
  };
}
