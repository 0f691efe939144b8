import { type Clock, iso } from "../core/clock.ts";
import { messageOf, ParleyError } from "../core/errors.ts";
import type {
  EndedAttempt,
  RunRecord,
  RunSnapshot,
  RunStore,
  Start,
  TaskRecord,
} from "../stores/runs/port.ts";
import { Attempt, type AttemptEvents, newAttempt, Stop } from "./attempt.ts";
import { type Dag, type TaskDefinition } from "./define.ts";
import { Bell } from "./bell.ts";
import { Lease } from "./lease.ts";
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
  private readonly lease: Lease;
  private readonly run: RunRecord;
  private readonly bell = new Bell();
  private poolWasFull = false;
  private begun = false;

  constructor(
    private readonly o: ExecutorOptions<Services>,
    private readonly dag: Dag<Services>,
    private readonly claimed: RunSnapshot,
    private readonly shutdown: AbortSignal,
  ) {
    this.run = claimed.run;
    this.board = new Board(dag, claimed.tasks);
    this.lease = new Lease({
      ...o,
      run: claimed.run,
      progress: () => [...this.running.values()].map(({ progress }) => progress),
      onNews: () => this.bell.ring(),
    });
  }

  async drive(): Promise<RunOutcome> {
    this.loseOrphans();
    this.lease.start();
    const onShutdown = () => this.bell.ring();
    this.shutdown.addEventListener("abort", onShutdown);
    try {
      return await this.loop();
    } catch (error) {
      this.stopAll(new Stop("lost", messageOf(error)));
      if (error instanceof ParleyError && error.code === "conflict") return "lost";
      throw error;
    } finally {
      this.shutdown.removeEventListener("abort", onShutdown);
      await this.lease.stop();
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
      if (this.lease.lost !== null) throw this.lease.lost;
      if (this.lease.cancelRequested) this.cancel();
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
        await this.lease.flush();
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
      this.board.set(
        this.lease.cancelRequested && task.state === "ready" ? { ...task, state: "cancelled" } : task,
      );
      return record;
    });
    const starts = this.shutdown.aborted ? [] : this.planStarts();
    const tasks = this.board.takeChanges();
    const outcome = this.running.size === 0 && starts.length === 0 ? this.board.outcome() : null;
    const begin = !this.begun;
    if (ended.length === 0 && starts.length === 0 && tasks.length === 0 && outcome === null && !begin) return;
    if (outcome !== null) await this.lease.flush();
    const now = iso(this.o.clock.now());
    const started_at = this.run.started_at ?? now;
    const { admitted } = await this.lease.patiently(() =>
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
      const task = started(ready, now);
      const versions = { code: this.o.code_version, dag: this.dag.version };
      const attempt = newAttempt(task, this.definition(task.task_id), { owner: this.o.owner, now, versions });
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
      this.bell.ring();
    });
  }

  private attemptEvents(): AttemptEvents {
    return {
      progress: (task_id, done, total) => this.o.observer?.progress?.(task_id, done, total),
      log: (line) => this.lease.log(line),
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
    await this.bell.sleep(Math.max(floor, Math.min(...waits)));
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
