import type { TaskRecord } from "../stores/runs/port.ts";
import { type Dag, DEFAULT_POOL } from "./define.ts";
import { reachable } from "./graph.ts";
import { ReadyTasks } from "./ready_tasks.ts";
import { evaluateRule, type NeedCounts, NO_OUTCOMES, outcomeOf } from "./trigger_rules.ts";
import { reconcile, type RunEnd, runEnd } from "./state.ts";

/**
 * The tasks of one run. Setting a task applies the trigger rules of its dependents. It has no clock and does no I/O: the caller
 * takes the changes and stores them.
 */
export class RunInFlight<Services> {
  private readonly tasks = new Map<string, TaskRecord>();
  private readonly counts = new Map<string, { -readonly [K in keyof NeedCounts]: NeedCounts[K] }>();
  private readonly open = new Set<string>();
  private readonly readyTasks = new ReadyTasks();
  /** Tasks that a branch passed over. */
  private readonly skippedByBranch = new Set<string>();
  private readonly changes = new Set<string>();

  /** Takes a run's tasks as stored, and fits them to the dag as it is now: see {@link reconcile}. */
  constructor(private readonly dag: Dag<Services>, stored: readonly TaskRecord[]) {
    for (const { id, needs = [] } of dag.tasks) {
      this.counts.set(id, { total: new Set(needs).size, ...NO_OUTCOMES });
      this.open.add(id);
    }
    const reconciled = reconcile(dag, stored);
    for (const task of reconciled.tasks) this.put(task);
    for (const id of reconciled.changed) this.changes.add(id);
    for (const { id } of dag.tasks) this.applyRule(id);
  }

  get(task_id: string): TaskRecord {
    const task = this.tasks.get(task_id);
    if (task === undefined) throw new Error(`the run has no task ${task_id}`);
    return task;
  }

  all(): TaskRecord[] {
    return [...this.tasks.values()];
  }

  /** Sets a task and applies the trigger rules of its dependents. */
  set(task: TaskRecord): void {
    this.put(task);
    this.changes.add(task.task_id);
    if (outcomeOf(task.state) === null) return;
    for (const id of this.dag.dependents.get(task.task_id) ?? []) this.applyRule(id);
  }

  /** Tasks that may start now, up to `limit` of each pool; those of higher priority first, else in order of readiness. */
  ready(now: number, limit: number): TaskRecord[] {
    return this.readyTasks.due(now, limit).map((id) => this.get(id));
  }

  /** When the next retry is due; null if no task waits for one. */
  nextReadyAt(): number | null {
    return this.readyTasks.nextAt();
  }

  /** Cancels all tasks that have not started. Running tasks end by their attempts. */
  cancel(): void {
    for (const id of [...this.open]) {
      const task = this.get(id);
      if (outcomeOf(task.state) === null && task.state !== "running") {
        this.set({ ...task, state: "cancelled" });
      }
    }
  }

  /** How the run ends; null while a task is open. */
  outcome(): RunEnd | null {
    return this.open.size > 0 ? null : runEnd(this.dag, this.all());
  }

  /** Tasks that changed since the last call. */
  takeChanges(): TaskRecord[] {
    const changed = [...this.changes].map((id) => this.get(id));
    this.changes.clear();
    return changed;
  }

  private put(task: TaskRecord): void {
    const id = task.task_id;
    this.tasks.set(id, task);
    if (task.state === "ready") {
      const { pool = DEFAULT_POOL, priority = 0 } = this.dag.tasksById.get(id) ?? {};
      this.readyTasks.add(id, { pool, priority, ready_at: task.ready_at });
    } else this.readyTasks.delete(id);
    const outcome = outcomeOf(task.state);
    if (outcome === null || !this.open.delete(id)) return;
    const dependents = this.dag.dependents.get(id) ?? [];
    for (const dependent of dependents) {
      const counts = this.counts.get(dependent);
      if (counts !== undefined) counts[outcome]++;
    }
    if (task.branch !== null) this.skipUnchosen(task.branch, dependents);
  }

  private skipUnchosen(chosen: readonly string[], dependents: readonly string[]): void {
    const chosenPaths = reachable(chosen, (id) => this.dag.dependents.get(id) ?? []);
    for (const id of dependents) if (!chosenPaths.has(id)) this.skippedByBranch.add(id);
  }

  private applyRule(task_id: string): void {
    const task = this.get(task_id);
    const counts = this.counts.get(task_id);
    if (task.state !== "waiting" || counts === undefined) return;
    const result = this.skippedByBranch.has(task_id)
      ? "skipped"
      : evaluateRule(this.dag.tasksById.get(task_id)?.trigger ?? "all_success", counts);
    if (result !== "wait") this.set({ ...task, state: result === "start" ? "ready" : result });
  }
}
