import type { Clock } from "../core/clock.ts";
import { ParleyError } from "../core/errors.ts";
import type { EndedAttempt, RunSnapshot, RunStore, TaskRecord } from "../stores/runs/port.ts";
import type { Dag } from "./define.ts";
import { RunDriver } from "./driver.ts";

/** What somebody who watches a run is told. */
export interface RunObserver {
  taskStarted?(task_id: string, attempt: number): void;
  progress?(task_id: string, done: number, total: number | null): void;
  taskEnded?(attempt: EndedAttempt, task: TaskRecord): void;
  /** A task that ended without an attempt: skipped, upstream_failed, cancelled, removed. */
  taskSettled?(task: TaskRecord): void;
}

export interface ExecutorOptions<Services> {
  readonly dags: ReadonlyMap<string, Dag<Services>>;
  readonly runs: RunStore;
  readonly services: Services;
  readonly clock: Clock;
  readonly random: () => number;
  /** Names this process among all that share the run store. */
  readonly owner: string;
  /** Slots by pool. */
  readonly pools: Readonly<Record<string, number>>;
  /** Attempts at one time in this process. */
  readonly concurrency: number;
  readonly ttl_ms: number;
  readonly heartbeat_ms: number;
  /** How long running attempts may go on after a shutdown was asked for. */
  readonly grace_ms: number;
  /** How long a task may go on after its signal was aborted before it is given up. Default 5 s. */
  readonly linger_ms?: number;
  /** The version of this program, recorded with every attempt. */
  readonly code_version: string;
  readonly observer?: RunObserver;
}

/** How driving a run came out. `interrupted`: the run goes on when somebody claims it again. */
export type RunOutcome = "success" | "failed" | "cancelled" | "interrupted" | "lost";

/** Drives one claimed run to its end. Call once, with what `claim` gave. */
export async function executeRun<Services>(
  o: ExecutorOptions<Services>,
  claimed: RunSnapshot,
  shutdown: AbortSignal,
): Promise<RunOutcome> {
  const dag = o.dags.get(claimed.run.dag_id);
  if (dag === undefined) {
    await o.runs.release({ run_id: claimed.run.run_id, owner: o.owner });
    throw new ParleyError(
      "not_found",
      `run ${claimed.run.run_id} is of the dag "${claimed.run.dag_id}", which is gone`,
    );
  }
  return await new RunDriver(o, dag, claimed, shutdown).drive();
}
