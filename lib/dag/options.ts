import type { Clock } from "../core/clock.ts";
import type { EndedAttempt, RunStore, TaskRecord } from "../stores/runs/port.ts";
import type { Dag } from "./define.ts";

/** Callbacks of a run's observer. */
export interface RunObserver {
  taskStarted?(task_id: string, attempt: number): void;
  progress?(task_id: string, done: number, total: number | null): void;
  /** A line of a task's log. */
  taskLogged?(task_id: string, line: string): void;
  taskEnded?(attempt: EndedAttempt, task: TaskRecord): void;
  /** A task that ended without an attempt: by its rule, by its deadline, or, if it is mapped, by its instances. */
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
  /** How long running attempts may continue after a shutdown is requested, unless their task sets it. */
  readonly grace_ms: number;
  /** How long a task may continue after its signal is aborted before it is given up. Default 5 s. */
  readonly linger_ms?: number;
  /** The version of this program, recorded with every attempt. */
  readonly code_version: string;
  readonly observer?: RunObserver;
  /** Runs the body of each attempt, such as inside a span of a trace. It returns what `body` does. */
  readonly around?: <T>(attempt: AttemptInfo, body: () => Promise<T>) => Promise<T>;
}

/** Names one attempt among all. */
export interface AttemptInfo {
  readonly run_id: string;
  readonly dag_id: string;
  readonly task_id: string;
  readonly attempt: number;
}

/** How driving a run ended. `interrupted`: the run continues when a process claims it again. */
export type RunOutcome = "success" | "failed" | "cancelled" | "interrupted" | "lost";
