import { sleep } from "../core/abort.ts";
import { ParleyError } from "../core/errors.ts";
import type { Json, JsonObject } from "../core/types.ts";
import type { EndedAttempt, RunSnapshot } from "../stores/runs/port.ts";
import { type Attempt, Stop } from "./attempt.ts";
import type { Dag, TaskDefinition } from "./define.ts";
import type { ExecutorOptions } from "./options.ts";
import { createAttempt } from "./attempt_factory.ts";
import { Lease } from "./lease.ts";
import { createRun } from "./runs.ts";
import type { AttemptEnd } from "./state.ts";
import { planEnd, type PlannedStart, planStart } from "./task_plan.ts";

/** The task of a run that an external engine runs now. */
export interface TaskOrder {
  readonly dag_id: string;
  readonly task_id: string;
  /** Of a mapped task: which item, from 0. */
  readonly map_index?: number;
  /** Any text; the run is created if it does not exist. */
  readonly run_id: string;
  /** Of a new run. */
  readonly params?: JsonObject;
  readonly logical_date?: string;
  readonly interval?: { readonly start: string; readonly end: string };
  /** The outside engine's number for this try. The record has it, unless an attempt of that number or a higher one exists. */
  readonly attempt?: number;
  /** The outside engine's run that this is part of, as OpenLineage's `namespace/job/run`. */
  readonly parent?: string;
}

/** How the attempt ended. The outside engine decides what comes next. */
interface TaskResult {
  readonly attempt: number;
  readonly state: AttemptEnd["state"];
  readonly output: Json;
  /** The dependents that the task chose; null if it did not branch. */
  readonly branch: readonly string[] | null;
  readonly error: string | null;
  /** Whether the error is one that no retry can help. */
  readonly final: boolean;
}

/** How often a full pool is checked again. */
const POOL_POLL_MS = 200;

/**
 * Makes one attempt of one task, for an engine outside that decides the order and the retries: any number of processes
 * may do so for tasks of one run at the same time. The run is marked `external` and never driven by Parley's scheduler. Each attempt has its own lease. The states of other tasks follow from their trigger rules.
 *
 * Waits while the task's pool is full. `stop` cancels; before the attempt began, its reason is thrown. Throws `not_found` for a dag or task that does not exist,
 * `conflict` while the task or what it needs is being run, and `invalid` if the run is not an external one or was cancelled, or
 * if what the task needs has not ended in it.
 */
export async function runTask<Services>(
  engine: ExecutorOptions<Services>,
  order: TaskOrder,
  stop: AbortSignal,
): Promise<TaskResult> {
  const dag = engine.dags.get(order.dag_id);
  const definition = dag?.tasksById.get(order.task_id);
  if (dag === undefined || definition === undefined) {
    throw new ParleyError("not_found", `there is no task "${order.task_id}" in a dag "${order.dag_id}"`);
  }
  await ensureRun(engine, dag, order);
  return await new TaskRunner(engine, dag, definition, order).run(stop);
}

async function ensureRun<Services>(
  { runs, clock }: ExecutorOptions<Services>,
  dag: Dag<Services>,
  order: TaskOrder,
): Promise<void> {
  const { run_id, params = {}, logical_date, interval } = order;
  const dates = {
    ...logical_date === undefined ? {} : { logical_date },
    ...interval === undefined ? {} : { interval },
  };
  if (await runs.snapshot({ run_id }) !== null) return;
  try {
    await createRun({ dag, runs, clock, params, run_id, trigger: "external", ...dates });
  } catch (error) {
    // Another task of the same run was first.
    if (!(error instanceof ParleyError && error.code === "conflict")) throw error;
  }
}

class TaskRunner<Services> {
  constructor(
    private readonly engine: ExecutorOptions<Services>,
    private readonly dag: Dag<Services>,
    private readonly definition: TaskDefinition<Services>,
    private readonly order: TaskOrder,
  ) {}

  async run(stop: AbortSignal): Promise<TaskResult> {
    const planned = await this.begin(stop);
    const { run, start } = planned;
    const lease: Lease = new Lease({
      ...this.engine,
      run,
      attempt: start.attempt,
      progress: () => [attempt.progress],
      onChange: () => this.handleLeaseEvents(attempt, lease),
    });
    const attempt: Attempt<Services> = createAttempt(this.engine, {
      dag: this.dag,
      definition: this.definition,
      run,
      start,
      lease,
      output: planned.output,
      item: planned.item,
    });
    const onStop = () => attempt.stop(new Stop("cancelled", "the engine that asked for it told it to stop"));
    stop.addEventListener("abort", onStop);
    if (stop.aborted) onStop();
    lease.start();
    try {
      this.engine.observer?.taskStarted?.(this.order.task_id, start.attempt.attempt);
      const { record, end } = await attempt.run();
      await lease.flush();
      await lease.withRetry(() => this.finish(record, end));
      return resultOf(record, end);
    } finally {
      stop.removeEventListener("abort", onStop);
      await lease.stop();
    }
  }

  private handleLeaseEvents(attempt: Attempt<Services>, lease: Lease): void {
    if (lease.lost !== null) attempt.stop(new Stop("lost", lease.lost.message));
    else if (lease.cancelRequested) attempt.stop(new Stop("cancelled", "the run was cancelled"));
  }

  /** Records the attempt as soon as its pool has free slots. */
  private async begin(stop: AbortSignal): Promise<PlannedStart> {
    const { runs, clock, owner, ttl_ms, code_version, pools } = this.engine;
    const { run_id } = this.order;
    let planned: PlannedStart | null = null;
    while (true) {
      stop.throwIfAborted();
      const now = clock.now();
      const by = {
        owner,
        now,
        versions: { code: code_version, dag: this.dag.version },
        lease_until: now + ttl_ms,
        parent: this.order.parent ?? null,
      };
      const plan = (snapshot: RunSnapshot) => {
        const { attempt = 1, map_index } = this.order;
        planned = planStart(this.dag, this.definition, snapshot, { by, attempt, map_index });
        return { ...planned.changes, pools };
      };
      const { admitted } = await runs.revise({ run_id, now, plan });
      if (admitted.length > 0 && planned !== null) return planned;
      await sleep(POOL_POLL_MS, stop);
    }
  }

  private async finish(record: EndedAttempt, end: AttemptEnd): Promise<void> {
    const { runs, clock, random } = this.engine;
    const at = { now: clock.now(), random };
    const plan = (snapshot: RunSnapshot) => planEnd(this.dag, snapshot, { record, end }, at);
    await runs.revise({ run_id: this.order.run_id, now: at.now, plan });
  }
}

function resultOf({ attempt }: EndedAttempt, end: AttemptEnd): TaskResult {
  const { state, output, branch, error, decision } = end;
  return { attempt, state, output, branch, error, final: decision === "fail" };
}
