import { iso } from "../core/clock.ts";
import type { AttemptState, RunState, TaskRecord, TaskState } from "../stores/runs/port.ts";
import { backoff } from "./backoff.ts";
import type { Dag, RetryDecision, TaskDefinition } from "./define.ts";
import { evaluateRule, type NeedCounts, outcomeOf } from "./rules.ts";

/** How often an attempt may be lost with its process before the task fails for it. */
export const MAX_LOST = 5;

/** How one attempt ended, as far as the next step of its task depends on it. */
export interface AttemptEnd {
  readonly state: Exclude<AttemptState, "running">;
  readonly error: string | null;
  readonly output: TaskRecord["output"];
  readonly decision: RetryDecision;
  /** Milliseconds that the other side asked to wait; null where it did not. */
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
    error: null,
  };
}

/** The task as an attempt starts. */
export function started(task: TaskRecord, now: number): TaskRecord {
  return {
    ...task,
    state: "running",
    attempts: task.attempts + 1,
    first_started_at: task.first_started_at ?? iso(now),
  };
}

/** The task after an attempt: done, to be tried again (ready, from a later time on), or failed. */
export function afterAttempt(
  task: TaskRecord,
  definition: Pick<TaskDefinition<never>, "retries" | "deadline_ms">,
  end: AttemptEnd,
  at: { now: number; random: () => number },
): TaskRecord {
  const { state, error, output } = end;
  switch (state) {
    case "success":
    case "skipped":
    case "cancelled":
      return { ...task, state, error, output };
    case "interrupted":
      return { ...task, state: "ready", ready_at: 0, error };
    case "lost": {
      const lost = task.lost + 1;
      return { ...task, lost, error, state: lost > MAX_LOST ? "failed" : "ready", ready_at: 0 };
    }
    case "failed":
    case "timed_out": {
      const tries = task.tries + 1;
      const wait = retryWait({ ...task, tries }, definition, end, at);
      if (wait === null) return { ...task, tries, error, state: "failed" };
      return { ...task, tries, error, state: "ready", ready_at: at.now + wait };
    }
  }
}

/** Milliseconds until the next try, or null where there is none. */
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
  const started_at = task.first_started_at === null ? now : Date.parse(task.first_started_at);
  return deadline_ms !== undefined && now + wait - started_at >= deadline_ms ? null : wait;
}

/**
 * The tasks of one run, kept consistent: setting one task lets its dependents follow by their trigger rules. Holds no
 * clock and does no I/O; what changed is taken by the caller, who stores it.
 */
export class Board<Services> {
  private readonly tasks = new Map<string, TaskRecord>();
  private readonly counts = new Map<string, { -readonly [K in keyof NeedCounts]: NeedCounts[K] }>();
  private readonly open = new Set<string>();
  private readonly readyIds = new Set<string>();
  private readonly changes = new Set<string>();

  /** Takes a run's tasks as stored, and fits them to the dag as it is now: see {@link reconcile}. */
  constructor(private readonly dag: Dag<Services>, stored: readonly TaskRecord[]) {
    for (const { id, needs = [] } of dag.tasks) {
      this.counts.set(id, { total: new Set(needs).size, success: 0, skipped: 0, failed: 0 });
      this.open.add(id);
    }
    const fresh = reconcile(dag, stored);
    for (const task of fresh.tasks) this.place(task);
    for (const id of fresh.changed) this.changes.add(id);
    for (const { id } of dag.tasks) this.follow(id);
  }

  get(task_id: string): TaskRecord {
    const task = this.tasks.get(task_id);
    if (task === undefined) throw new Error(`no task ${task_id} on this board`);
    return task;
  }

  all(): TaskRecord[] {
    return [...this.tasks.values()];
  }

  /** Changes a task and whatever follows from that. */
  set(task: TaskRecord): void {
    this.place(task);
    this.changes.add(task.task_id);
    if (outcomeOf(task.state) === null) return;
    for (const id of this.dag.dependents.get(task.task_id) ?? []) this.follow(id);
  }

  /** Up to `limit` tasks that may start now, those of higher priority first, else in order of readiness. */
  ready(now: number, limit: number): TaskRecord[] {
    if (limit <= 0) return [];
    const priority = (id: string) => this.dag.task.get(id)?.priority ?? 0;
    const due = [...this.readyIds].filter((id) => this.get(id).ready_at <= now);
    return due.sort((a, b) => priority(b) - priority(a)).slice(0, limit).map((id) => this.get(id));
  }

  /** When the next waiting retry is due; null where none waits. */
  nextReadyAt(): number | null {
    const times = [...this.readyIds].map((id) => this.get(id).ready_at);
    return times.length === 0 ? null : Math.min(...times);
  }

  /** Ends everything that has not started. Running tasks are left to their attempts. */
  cancel(): void {
    for (const id of [...this.open]) {
      const task = this.get(id);
      if (task.state !== "running") this.set({ ...task, state: "cancelled" });
    }
  }

  /** How the run ends, once every task has; counts every task, not only the leaves. */
  outcome(): Extract<RunState, "success" | "failed" | "cancelled"> | null {
    if (this.open.size > 0) return null;
    const states = new Map(this.all().map(({ task_id, state }) => [task_id, state]));
    if ([...states.values()].includes("cancelled")) return "cancelled";
    const hard = this.dag.tasks.some(({ id, tolerant }) => states.get(id) === "failed" && !tolerant);
    return hard ? "failed" : "success";
  }

  /** Tasks that changed since the last call. */
  takeChanges(): TaskRecord[] {
    const changed = [...this.changes].map((id) => this.get(id));
    this.changes.clear();
    return changed;
  }

  private place(task: TaskRecord): void {
    const id = task.task_id;
    this.tasks.set(id, task);
    if (task.state === "ready") this.readyIds.add(id);
    else this.readyIds.delete(id);
    const outcome = outcomeOf(task.state);
    if (outcome === null || !this.open.delete(id)) return;
    for (const dependent of this.dag.dependents.get(id) ?? []) {
      const counts = this.counts.get(dependent);
      if (counts !== undefined) counts[outcome]++;
    }
  }

  private follow(task_id: string): void {
    const task = this.get(task_id);
    const counts = this.counts.get(task_id);
    if (task.state !== "waiting" || counts === undefined) return;
    const verdict = evaluateRule(this.dag.task.get(task_id)?.trigger ?? "all_success", counts);
    if (verdict === "wait") return;
    const state: TaskState = verdict === "start" ? "ready" : verdict;
    this.set({ ...task, state });
  }
}

/**
 * Fits the stored tasks of a run to the dag as it is now: finished tasks stay, tasks that are gone are removed, new
 * ones wait.
 */
export function reconcile<Services>(
  dag: Dag<Services>,
  stored: readonly TaskRecord[],
): { tasks: TaskRecord[]; changed: string[] } {
  const known = new Set(stored.map(({ task_id }) => task_id));
  const gone = stored.filter(({ task_id, state }) => !dag.task.has(task_id) && outcomeOf(state) === null);
  const goneIds = new Set(gone.map(({ task_id }) => task_id));
  const added = dag.tasks.filter(({ id }) => !known.has(id)).map(({ id }) => newTask(id));
  const kept = stored.map((task): TaskRecord =>
    goneIds.has(task.task_id) ? { ...task, state: "removed" } : task
  );
  return { tasks: [...kept, ...added], changed: [...goneIds, ...added.map(({ task_id }) => task_id)] };
}
