import { type Clock, iso } from "../core/clock.ts";
import { messageOf, ParleyError } from "../core/errors.ts";
import type {
  AttemptRecord,
  EndedAttempt,
  LogLine,
  RunRecord,
  RunSnapshot,
  RunStore,
  Start,
  TaskRecord,
} from "../stores/runs/port.ts";
import { Attempt, type AttemptEvents, Stop } from "./attempt.ts";
import { type Dag, DEFAULT_POOL, type TaskDefinition } from "./define.ts";
import { afterAttempt, type AttemptEnd, Board, started } from "./state.ts";

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

class RunDriver<Services> {
  private readonly board: Board<Services>;
  private readonly running = new Map<string, Attempt<Services>>();
  private readonly finished: { record: EndedAttempt; end: AttemptEnd }[] = [];
  private readonly logLines: LogLine[] = [];
  private readonly run: RunRecord;
  private wakePause: () => void = () => {};
  private woken = false;
  private fatal: ParleyError | null = null;
  private poolWasFull = false;
  private cancelling = false;
  private begun = false;

  constructor(
    private readonly o: ExecutorOptions<Services>,
    private readonly dag: Dag<Services>,
    private readonly claimed: RunSnapshot,
    private readonly shutdown: AbortSignal,
  ) {
    this.run = claimed.run;
    this.board = new Board(dag, claimed.tasks);
    this.cancelling = claimed.run.cancel_requested;
  }

  async drive(): Promise<RunOutcome> {
    this.loseOrphans();
    const stopBeating = this.beat();
    const onShutdown = () => this.wake();
    this.shutdown.addEventListener("abort", onShutdown);
    try {
      return await this.loop();
    } catch (error) {
      this.stopAll(new Stop("lost", messageOf(error)));
      if (error instanceof ParleyError && error.code === "conflict") return "lost";
      throw error;
    } finally {
      this.shutdown.removeEventListener("abort", onShutdown);
      await stopBeating();
    }
  }

  /** Attempts that are still marked running belong to the process whose lease ran out. */
  private loseOrphans(): void {
    for (const attempt of this.claimed.attempts.filter(({ state }) => state === "running")) {
      const end: AttemptEnd = {
        state: "lost",
        error: "the process that ran it is gone",
        output: null,
        decision: "default",
        retry_after_ms: null,
      };
      const ended_at = iso(this.o.clock.now());
      this.finished.push({
        record: { ...attempt, state: "lost", error: end.error, ended_at, lineage: [] },
        end,
      });
    }
  }

  private async loop(): Promise<RunOutcome> {
    let graceUntil: number | null = null;
    while (true) {
      if (this.fatal !== null) throw this.fatal;
      if (this.cancelling) this.cancel();
      if (this.shutdown.aborted) {
        graceUntil ??= performance.now() + this.o.grace_ms;
        if (performance.now() >= graceUntil) {
          this.stopAll(new Stop("interrupted", "the process was told to stop"));
        }
      }
      await this.step();
      const outcome = this.running.size > 0 || this.finished.length > 0 ? null : this.board.outcome();
      if (outcome !== null) return outcome;
      if (this.shutdown.aborted && this.running.size === 0 && this.finished.length === 0) {
        await this.flushLogs();
        await this.o.runs.release({ run_id: this.run.run_id, owner: this.o.owner });
        return "interrupted";
      }
      await this.pause(graceUntil);
    }
  }

  /** One turn: takes in what has ended, starts what may start, and stores both in one transaction. */
  private async step(): Promise<void> {
    const ended = this.finished.splice(0).map(({ record, end }) => {
      const definition = this.dag.task.get(record.task_id) ?? { deadline_ms: 0 };
      const task = afterAttempt(this.board.get(record.task_id), definition, end, {
        now: this.o.clock.now(),
        random: this.o.random,
      });
      this.board.set(this.cancelling && task.state === "ready" ? { ...task, state: "cancelled" } : task);
      return record;
    });
    const starts = this.shutdown.aborted ? [] : this.planStarts();
    const tasks = this.board.takeChanges();
    const outcome = this.running.size === 0 && starts.length === 0 ? this.board.outcome() : null;
    const begin = !this.begun;
    if (ended.length === 0 && starts.length === 0 && tasks.length === 0 && outcome === null && !begin) return;
    if (outcome !== null) await this.flushLogs();
    const now = iso(this.o.clock.now());
    const started_at = this.run.started_at ?? now;
    const { admitted } = await this.patiently(() =>
      this.o.runs.commit({
        run_id: this.run.run_id,
        owner: this.o.owner,
        now: this.o.clock.now(),
        changes: {
          tasks,
          ended,
          starts,
          pools: this.o.pools,
          ...(outcome !== null
            ? { run: { state: outcome, started_at, ended_at: now, error: this.firstError(outcome) } }
            : begin
            ? { run: { state: "running", started_at, ended_at: null, error: null } }
            : {}),
        },
      })
    );
    this.begun = true;
    this.announce(ended, tasks);
    this.poolWasFull = admitted.length < starts.length;
    for (const start of starts) if (admitted.includes(start.task.task_id)) await this.launch(start);
  }

  private firstError(outcome: string): string | null {
    if (outcome !== "failed") return null;
    const failed = this.board.all().find(({ state }) => state === "failed");
    return failed === undefined ? null : `${failed.task_id}: ${failed.error ?? "failed"}`;
  }

  private announce(ended: readonly EndedAttempt[], tasks: readonly TaskRecord[]): void {
    const { observer } = this.o;
    for (const record of ended) observer?.taskEnded?.(record, this.board.get(record.task_id));
    const attempted = new Set(ended.map(({ task_id }) => task_id));
    for (const task of tasks) {
      const settled = ["skipped", "upstream_failed", "cancelled", "removed"].includes(task.state);
      if (settled && !attempted.has(task.task_id)) observer?.taskSettled?.(task);
    }
  }

  private planStarts(): Start[] {
    const now = this.o.clock.now();
    return this.board.ready(now, this.o.concurrency - this.running.size).map((ready) => {
      const { pool = DEFAULT_POOL, weight = 1 } = this.definition(ready.task_id);
      const task = started(ready, now);
      const attempt: AttemptRecord = {
        task_id: task.task_id,
        attempt: task.attempts,
        state: "running",
        owner: this.o.owner,
        pool,
        weight,
        started_at: iso(now),
        ended_at: null,
        error: null,
        rows_in: 0,
        rows_out: 0,
        quarantined: 0,
        progress_done: 0,
        progress_total: null,
        versions: { code: this.o.code_version, dag: this.dag.version },
      };
      return { attempt, task };
    });
  }

  private definition(task_id: string): TaskDefinition<Services> {
    const definition = this.dag.task.get(task_id);
    if (definition === undefined) throw new Error(`task ${task_id} is not in dag ${this.dag.id}`);
    return definition;
  }

  private async launch({ attempt: record, task }: Start): Promise<void> {
    this.board.set(task);
    this.board.takeChanges();
    const { run_id } = this.run;
    const { task_id } = task;
    const definition = this.definition(task_id);
    const attempt = new Attempt<Services>({
      definition,
      record,
      run: this.run,
      services: this.o.services,
      clock: this.o.clock,
      output: (id) => this.board.get(id).output,
      checkpoint: task.attempts === 1 ? null : await this.o.runs.checkpoint({ run_id, task_id }),
      saveCheckpoint: (value) => this.o.runs.saveCheckpoint({ run_id, owner: this.o.owner, task_id, value }),
      events: this.attemptEvents(),
      deadline_in_ms: deadlineIn(definition, task, this.o.clock.now()),
    });
    this.running.set(task_id, attempt);
    this.o.observer?.taskStarted?.(task_id, record.attempt);
    void attempt.run().then((result) => {
      this.running.delete(task_id);
      this.finished.push(result);
      this.wake();
    });
  }

  private attemptEvents(): AttemptEvents {
    return {
      progress: (task_id, done, total) => this.o.observer?.progress?.(task_id, done, total),
      log: (line) => void this.logLines.push(line),
    };
  }

  private cancel(): void {
    this.stopAll(new Stop("cancelled", "the run was cancelled"));
    this.board.cancel();
  }

  private stopAll(reason: Stop): void {
    for (const attempt of this.running.values()) attempt.stop(reason);
  }

  /** Sleeps until an attempt ends, a retry is due, a pool may have room, or the grace is over. */
  private async pause(graceUntil: number | null): Promise<void> {
    const waits = [60_000];
    const readyAt = this.shutdown.aborted ? null : this.board.nextReadyAt();
    const slotFree = this.running.size < this.o.concurrency;
    if (readyAt !== null && slotFree) waits.push(readyAt - this.o.clock.now());
    if (this.poolWasFull) waits.push(100);
    if (graceUntil !== null) waits.push(graceUntil - performance.now());
    const floor = this.poolWasFull ? 100 : 1;
    if (!this.woken) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.max(floor, Math.min(...waits)));
        this.wakePause = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.woken = false;
    this.wakePause = () => {};
  }

  private wake(): void {
    this.woken = true;
    this.wakePause();
  }

  /** Renews the lease until told to stop. A store that stalls is asked again; only a lost lease ends the run. */
  private beat(): () => Promise<void> {
    let stopped = false;
    let timer: ReturnType<typeof setTimeout>;
    let beating: Promise<void> = Promise.resolve();
    const next = () => {
      timer = setTimeout(() => {
        beating = this.heartbeat().finally(() => {
          if (!stopped) next();
        });
      }, this.o.heartbeat_ms);
    };
    next();
    return async () => {
      stopped = true;
      clearTimeout(timer);
      await beating;
    };
  }

  private async heartbeat(): Promise<void> {
    try {
      await this.flushLogs();
      const { cancel_requested } = await this.o.runs.heartbeat({
        run_id: this.run.run_id,
        owner: this.o.owner,
        now: this.o.clock.now(),
        ttl_ms: this.o.ttl_ms,
        progress: [...this.running.values()].map(({ progress }) => progress),
      });
      if (cancel_requested && !this.cancelling) {
        this.cancelling = true;
        this.wake();
      }
    } catch (error) {
      if (!(error instanceof ParleyError) || error.code !== "conflict") return;
      this.fatal = error;
      this.wake();
    }
  }

  private async flushLogs(): Promise<void> {
    const lines = this.logLines.slice();
    if (lines.length === 0) return;
    await this.o.runs.appendLogs({ run_id: this.run.run_id, lines });
    this.logLines.splice(0, lines.length);
  }

  /** Asks a store that does not answer again, for as long as the lease can hold. */
  private async patiently<T>(ask: () => Promise<T>): Promise<T> {
    const until = performance.now() + this.o.ttl_ms;
    while (true) {
      try {
        return await ask();
      } catch (error) {
        const passing = error instanceof ParleyError && error.code === "unavailable";
        if (!passing || performance.now() > until) throw error;
        await new Promise((resume) => setTimeout(resume, 200));
      }
    }
  }
}

function deadlineIn(
  definition: Pick<TaskDefinition<never>, "deadline_ms">,
  task: TaskRecord,
  now: number,
): number | null {
  if (definition.deadline_ms === undefined || task.first_started_at === null) return null;
  return Date.parse(task.first_started_at) + definition.deadline_ms - now;
}
