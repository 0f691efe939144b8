import { iso } from "../core/clock.ts";
import { messageOf, ParleyError } from "../core/errors.ts";
import type {
  EndedAttempt,
  RunChanges,
  RunRecord,
  RunSnapshot,
  Start,
  TaskRecord,
} from "../stores/runs/port.ts";
import { type Attempt, newAttempt, Stop } from "./attempt.ts";
import { Wakeup } from "./wakeup.ts";
import { RunInFlight } from "./run_in_flight.ts";
import { type Dag, definitionOf, type TaskDefinition } from "./define.ts";
import type { ExecutorOptions, RunOutcome } from "./options.ts";
import { createAttempt } from "./attempt_factory.ts";
import { Lease } from "./lease.ts";
import { outcomeOf } from "./trigger_rules.ts";
import { afterAttempt, type AttemptEnd, lostAttempt, overdue, type RunEnd, started } from "./state.ts";

/** How often a full pool is checked again: another process may have released its slots. */
const POOL_POLL_MS = 200;

interface RunningAttempt<Services> {
  readonly attempt: Attempt<Services>;
  readonly ended: Promise<void>;
}

/** Drives one claimed run to its end: a loop around a {@link RunInFlight}, a {@link Lease} and the running attempts. */
export class RunDriver<Services> {
  private readonly run_in_flight: RunInFlight<Services>;
  private readonly running = new Map<string, RunningAttempt<Services>>();
  private readonly endedAttempts: { record: EndedAttempt; end: AttemptEnd }[] = [];
  private readonly lease: Lease;
  private readonly run: RunRecord;
  private readonly wakeup = new Wakeup();
  private poolWasFull = false;
  /** ISO time; null until this driver has written to the store. */
  private startedAt: string | null = null;
  /** On the clock of `performance.now()`: when the shutdown was noticed. */
  private shutdownAt: number | null = null;
  /** On the same clock: when the grace of the next attempt ends. */
  private nextStopAt = Infinity;

  constructor(
    private readonly options: ExecutorOptions<Services>,
    private readonly dag: Dag<Services>,
    claimed: RunSnapshot,
    private readonly shutdown: AbortSignal,
  ) {
    this.run = claimed.run;
    this.run_in_flight = new RunInFlight(dag, claimed.tasks);
    this.lease = new Lease({
      ...options,
      run: claimed.run,
      progress: () => [...this.running.values()].map(({ attempt }) => attempt.progress),
      onChange: () => this.wakeup.notify(),
    });
    // Attempts that are still marked running belong to the process whose lease ran out.
    for (const attempt of claimed.attempts) {
      if (attempt.state === "running") this.endedAttempts.push(lostAttempt(attempt, options.clock.now()));
    }
  }

  async drive(): Promise<RunOutcome> {
    this.lease.start();
    const onShutdown = () => this.wakeup.notify();
    this.shutdown.addEventListener("abort", onShutdown);
    try {
      return await this.loop();
    } catch (error) {
      this.stopAll(new Stop("lost", messageOf(error)));
      await Promise.all([...this.running.values()].map(({ ended }) => ended));
      if (error instanceof ParleyError && error.code === "conflict") return "lost";
      throw error;
    } finally {
      this.shutdown.removeEventListener("abort", onShutdown);
      await this.lease.stop();
    }
  }

  private async loop(): Promise<RunOutcome> {
    while (true) {
      if (this.lease.lost !== null) throw this.lease.lost;
      if (this.lease.cancelRequested) this.cancel();
      if (this.shutdown.aborted) this.stopOnShutdown();
      await this.step();
      if (this.running.size === 0 && this.endedAttempts.length === 0) {
        const end = this.run_in_flight.outcome();
        if (end !== null) return end.state;
        if (this.shutdown.aborted) return await this.interrupt();
      }
      await this.pause();
    }
  }

  /** Stops the attempts whose grace is over. */
  private stopOnShutdown(): void {
    const now = performance.now();
    this.shutdownAt ??= now;
    this.nextStopAt = Infinity;
    for (const { attempt } of this.running.values()) {
      const stopAt = this.shutdownAt + (this.definition(attempt.task_id).grace_ms ?? this.options.grace_ms);
      if (stopAt <= now) attempt.stop(new Stop("interrupted", "the process was asked to stop"));
      else this.nextStopAt = Math.min(this.nextStopAt, stopAt);
    }
  }

  private async interrupt(): Promise<RunOutcome> {
    await this.lease.flush();
    await this.lease.withRetry(() =>
      this.options.runs.release({ run_id: this.run.run_id, owner: this.options.owner })
    );
    return "interrupted";
  }

  /** One iteration: applies what has ended, starts what may start, and stores both in one transaction. */
  private async step(): Promise<void> {
    const ended = this.endedAttempts.splice(0).map((attempt) => this.applyEnd(attempt));
    const limit = this.shutdown.aborted ? 0 : this.options.concurrency - this.running.size;
    const starts = this.planStarts(limit);
    const tasks = this.run_in_flight.takeChanges();
    const end = this.running.size === 0 && starts.length === 0 ? this.run_in_flight.outcome() : null;
    const hasChanges = ended.length + starts.length + tasks.length > 0 || end !== null ||
      this.startedAt === null;
    if (!hasChanges) return;
    if (end !== null) await this.lease.flush();
    const changes = { ended, tasks, starts, limit, pools: this.options.pools, ...this.runChange(end) };
    const { run: { run_id }, options: { runs, owner, clock } } = this;
    const { admitted } = await this.lease.withRetry(() =>
      runs.commit({ run_id, owner, now: clock.now(), changes })
    );
    this.announce(ended, tasks);
    this.poolWasFull = admitted.length < Math.min(limit, starts.length);
    const admittedIds = new Set(admitted);
    for (const start of starts) if (admittedIds.has(start.task.task_id)) this.startAttempt(start);
  }

  /** The change of the run's own row: running at the first step, ended at the last. */
  private runChange(end: RunEnd | null): Pick<RunChanges, "run"> {
    const now = iso(this.options.clock.now());
    const first = this.startedAt === null;
    this.startedAt ??= this.run.started_at ?? now;
    if (end !== null) return { run: { ...end, started_at: this.startedAt, ended_at: now } };
    return first
      ? { run: { state: "running", started_at: this.startedAt, ended_at: null, error: null } }
      : {};
  }

  private applyEnd({ record, end }: { record: EndedAttempt; end: AttemptEnd }): EndedAttempt {
    const definition = definitionOf(this.dag, record.task_id);
    // If the dag no longer has the task, the attempt ends and the task stays removed.
    if (definition === undefined) return record;
    const at = { now: this.options.clock.now(), random: this.options.random };
    const task = afterAttempt(this.run_in_flight.get(record.task_id), definition, end, at);
    const isCancelledRetry = task.state === "ready" && this.lease.cancelRequested;
    this.run_in_flight.set(isCancelledRetry ? { ...task, state: "cancelled" } : task);
    return record;
  }

  private planStarts(limit: number): Start[] {
    const now = this.options.clock.now();
    return this.run_in_flight.ready(now, limit).flatMap((ready) => {
      const definition = this.definition(ready.task_id);
      const late = overdue(ready, definition, now);
      if (late !== null) {
        this.run_in_flight.set(late);
        return [];
      }
      const task = started(ready, now);
      const versions = { code: this.options.code_version, dag: this.dag.version };
      return [{ task, attempt: newAttempt(task, definition, { owner: this.options.owner, now, versions }) }];
    });
  }

  private definition(task_id: string): TaskDefinition<Services> {
    const definition = definitionOf(this.dag, task_id);
    if (definition === undefined) throw new Error(`task ${task_id} is not in dag ${this.dag.id}`);
    return definition;
  }

  private startAttempt(start: Start): void {
    const { task } = start;
    this.run_in_flight.set(task);
    this.run_in_flight.takeChanges();
    const attempt = createAttempt(this.options, {
      dag: this.dag,
      definition: this.definition(task.task_id),
      run: this.run,
      start,
      lease: this.lease,
      output: (id) => this.run_in_flight.output(id),
      item: this.run_in_flight.item(task.task_id),
    });
    this.options.observer?.taskStarted?.(task.task_id, start.attempt.attempt);
    const ended = attempt.run().then((result) => {
      this.running.delete(task.task_id);
      this.endedAttempts.push(result);
      this.wakeup.notify();
    });
    this.running.set(task.task_id, { attempt, ended });
  }

  private announce(ended: readonly EndedAttempt[], tasks: readonly TaskRecord[]): void {
    const { observer } = this.options;
    for (const record of ended) observer?.taskEnded?.(record, this.run_in_flight.get(record.task_id));
    const attempted = new Set(ended.map(({ task_id }) => task_id));
    for (const task of tasks) {
      if (outcomeOf(task.state) !== null && !attempted.has(task.task_id)) observer?.taskSettled?.(task);
    }
  }

  private cancel(): void {
    this.stopAll(new Stop("cancelled", "the run was cancelled"));
    this.run_in_flight.cancel();
  }

  private stopAll(reason: Stop): void {
    for (const { attempt } of this.running.values()) attempt.stop(reason);
  }

  /** Sleeps until an attempt ends, a retry is due, a pool may have free slots, or a grace period ends. */
  private async pause(): Promise<void> {
    const waits = [60_000];
    const readyAt = this.shutdown.aborted ? null : this.run_in_flight.nextReadyAt();
    const slotFree = this.running.size < this.options.concurrency;
    if (readyAt !== null && slotFree) waits.push(readyAt - this.options.clock.now());
    if (this.poolWasFull) waits.push(POOL_POLL_MS);
    waits.push(this.nextStopAt - performance.now());
    await this.wakeup.sleep(Math.max(1, Math.min(...waits)));
  }
}
