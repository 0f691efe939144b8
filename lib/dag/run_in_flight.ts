import type { Json } from "../core/types.ts";
import { instanceId, taskInstance, type TaskRecord } from "../stores/runs/port.ts";
import { type Dag, DEFAULT_POOL, definitionOf, MAX_MAP_LENGTH } from "./define.ts";
import { reachable } from "./graph.ts";
import { ReadyTasks } from "./ready_tasks.ts";
import { evaluateRule, type NeedCounts, NO_OUTCOMES, outcomeOf } from "./trigger_rules.ts";
import { instancesOf, mappedEnd, newTask, reconcile, reset, type RunEnd, runEnd } from "./state.ts";

/**
 * The tasks of one run. Setting a task applies the trigger rules of its dependents. It has no clock and does no I/O: the caller
 * takes the changes and stores them.
 */
export class RunInFlight<Services> {
  private readonly tasks = new Map<string, TaskRecord>();
  private readonly counts = new Map<string, { -readonly [K in keyof NeedCounts]: NeedCounts[K] }>();
  private readonly open = new Set<string>();
  private readonly readyTasks = new ReadyTasks();
  /** Ids of the instances of each mapped task that has its list, in the order of the items. */
  private readonly instances = new Map<string, readonly string[]>();
  /** How many of them have not ended, and how many are running. */
  private readonly openInstances = new Map<string, number>();
  private readonly runningInstances = new Map<string, number>();
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
    for (const [id, { length }] of instancesOf(reconciled.tasks)) this.addInstances(id, length);
    for (const task of reconciled.tasks) this.put(task);
    for (const id of reconciled.changed) this.changes.add(id);
    for (const { id } of dag.tasks) {
      // A task that was not mapped before may be ready already.
      if (this.isMapped(id) && this.get(id).state === "ready") this.set(this.get(id));
      else this.applyRule(id);
    }
  }

  get(task_id: string): TaskRecord {
    const task = this.tasks.get(task_id);
    if (task === undefined) throw new Error(`the run has no task ${task_id}`);
    return task;
  }

  /** What a task has returned; of a mapped task, what its instances have, in the order of the items. */
  output(task_id: string): Json {
    const ids = this.instances.get(task_id);
    return ids === undefined ? this.get(task_id).output : ids.map((id) => this.get(id).output);
  }

  /** The item of an instance of a mapped task; null for any other task. */
  item(id: string): Json {
    const { task_id, map_index } = taskInstance(id);
    const over = this.dag.tasksById.get(task_id)?.expand?.over;
    const items = map_index === null || over === undefined ? null : this.output(over);
    return Array.isArray(items) ? items[map_index!] ?? null : null;
  }

  has(id: string): boolean {
    return this.tasks.has(id);
  }

  all(): TaskRecord[] {
    return [...this.tasks.values()];
  }

  /**
   * Sets a task and applies the trigger rules of its dependents. A mapped task that becomes ready gets its instances; it is running
   * until all of them have ended.
   */
  set(task: TaskRecord): void {
    if (task.state === "ready" && this.isMapped(task.task_id)) return this.expand(task);
    this.put(task);
    this.changes.add(task.task_id);
    if (outcomeOf(task.state) === null) return;
    const { task_id, map_index } = taskInstance(task.task_id);
    if (map_index !== null && this.openInstances.get(task_id) === 0) this.endMapped(task_id);
    for (const id of this.dag.dependents.get(task_id) ?? []) this.applyRule(id);
  }

  /** Tasks that may start now, up to `limit` of each pool; those of higher priority first, else in order of readiness. */
  ready(now: number, limit: number): TaskRecord[] {
    const room = (group: string) =>
      (this.dag.tasksById.get(group)?.expand?.max_active ?? Infinity) -
      (this.runningInstances.get(group) ?? 0);
    return this.readyTasks.due(now, limit, room).map((id) => this.get(id));
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
    const { task_id, map_index } = taskInstance(id);
    if (map_index !== null) this.countRunning(task_id, this.tasks.get(id)?.state, task.state);
    this.tasks.set(id, task);
    if (task.state === "ready") {
      const { pool = DEFAULT_POOL, priority = 0 } = definitionOf(this.dag, id) ?? {};
      this.readyTasks.add(id, {
        pool,
        priority,
        group: map_index === null ? null : task_id,
        ready_at: task.ready_at,
      });
    } else this.readyTasks.delete(id);
    const outcome = outcomeOf(task.state);
    if (outcome === null || !this.open.delete(id)) return;
    if (map_index !== null) add(this.openInstances, task_id, -1);
    // As in Airflow, rules count the instances, not the mapped task as well.
    if (this.instances.has(id)) return;
    const dependents = this.dag.dependents.get(task_id) ?? [];
    for (const dependent of dependents) {
      const counts = this.counts.get(dependent);
      if (counts !== undefined) counts[outcome]++;
    }
    if (task.branch !== null) this.skipUnchosen(task.branch, dependents);
  }

  private isMapped(task_id: string): boolean {
    return this.dag.tasksById.get(task_id)?.expand !== undefined;
  }

  private expand(task: TaskRecord): void {
    const { task_id } = task;
    const { over, max_map_length = MAX_MAP_LENGTH } = this.dag.tasksById.get(task_id)!.expand!;
    const items = this.output(over) ?? [];
    const fail = (error: string) => this.set({ ...task, state: "failed", error });
    if (!Array.isArray(items)) return fail(`${over} returned no list`);
    if (items.length > max_map_length) {
      return fail(`${over} returned ${items.length} items; max_map_length is ${max_map_length}`);
    }
    if (items.length === 0) {
      return this.set({ ...task, state: "skipped", error: `${over} returned no items` });
    }
    this.addInstances(task_id, items.length);
    this.put({ ...task, state: "running", error: null });
    this.changes.add(task_id);
    for (const id of this.instances.get(task_id)!) {
      this.set({ ...reset(this.tasks.get(id) ?? newTask(id)), state: "ready" });
    }
  }

  private addInstances(task_id: string, length: number): void {
    const ids = Array.from({ length }, (_, map_index) => instanceId(task_id, map_index));
    this.instances.set(task_id, ids);
    this.openInstances.set(task_id, length);
    for (const id of ids) this.open.add(id);
    for (const dependent of this.dag.dependents.get(task_id) ?? []) {
      const counts = this.counts.get(dependent);
      if (counts !== undefined) counts.total += length - 1;
    }
  }

  private endMapped(task_id: string): void {
    const instances = this.instances.get(task_id)!.map((id) => this.get(id));
    this.set({ ...this.get(task_id), ...mappedEnd(instances) });
  }

  private countRunning(task_id: string, before: TaskRecord["state"] | undefined, after: TaskRecord["state"]) {
    add(this.runningInstances, task_id, Number(after === "running") - Number(before === "running"));
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

function add(counts: Map<string, number>, key: string, n: number): void {
  counts.set(key, (counts.get(key) ?? 0) + n);
}
