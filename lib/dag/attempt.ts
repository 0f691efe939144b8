import { type Clock, iso } from "../core/clock.ts";
import { messageOf, ParleyError } from "../core/errors.ts";
import type { Json } from "../core/types.ts";
import type { AttemptRecord, EndedAttempt, LineageEntry, LogLine, TaskRecord } from "../stores/runs/port.ts";
import { retryAfter } from "./backoff.ts";
import { DEFAULT_POOL, type RetryDecision, type TaskDefinition } from "./define.ts";
import type { AttemptEnd } from "./state.ts";
import { type DatasetUse, Fail, type RunInfo, Skip, type TaskContext } from "./types.ts";

/** Why an attempt's signal was aborted; the error that a task sees as the signal's reason. */
export class Stop extends Error {
  constructor(readonly cause_of_stop: "timed_out" | "cancelled" | "interrupted" | "lost", message: string) {
    super(message);
    this.name = "Stop";
  }
}

/** How long a task may go on after its signal was aborted before it is recorded as ended all the same. */
const LINGER_MS = 5_000;

/** The record of an attempt that is about to start. */
export function newAttempt(
  task: TaskRecord,
  { pool = DEFAULT_POOL, weight = 1 }: { pool?: string; weight?: number },
  by: { owner: string; now: number; versions: Readonly<Record<string, string>> },
): AttemptRecord {
  return {
    task_id: task.task_id,
    attempt: task.attempts,
    state: "running",
    owner: by.owner,
    pool,
    weight,
    started_at: iso(by.now),
    ended_at: null,
    error: null,
    rows_in: 0,
    rows_out: 0,
    quarantined: 0,
    progress_done: 0,
    progress_total: null,
    versions: by.versions,
  };
}

/** What an attempt reports while it runs. */
export interface AttemptEvents {
  progress(task_id: string, done: number, total: number | null): void;
  log(line: LogLine): void;
}

export interface AttemptOptions<Services> {
  readonly definition: TaskDefinition<Services>;
  readonly record: AttemptRecord;
  readonly run: RunInfo;
  readonly services: Services;
  readonly clock: Clock;
  readonly output: (task_id: string) => Json;
  readonly checkpoint: Json;
  readonly saveCheckpoint: (value: Json) => Promise<void>;
  readonly events: AttemptEvents;
  /** Milliseconds left until the task's deadline; null where it has none. */
  readonly deadline_in_ms: number | null;
}

/** One try of one task: runs it under its signal, gathers what it reports, and says how it ended. */
export class Attempt<Services> {
  private readonly controller = new AbortController();
  private readonly lineage: LineageEntry[] = [];
  private readonly versions: Record<string, string> = {};
  private counts = { in: 0, out: 0, quarantined: 0 };
  private progressed: { done: number; total: number | null } = { done: 0, total: null };
  private ended = false;

  constructor(private readonly o: AttemptOptions<Services>) {
    Object.assign(this.versions, o.record.versions);
  }

  get task_id(): string {
    return this.o.record.task_id;
  }

  get progress(): { task_id: string; attempt: number; done: number; total: number | null } {
    return { task_id: this.task_id, attempt: this.o.record.attempt, ...this.progressed };
  }

  /** Tells the task to stop. The first reason stands. */
  stop(reason: Stop): void {
    this.controller.abort(reason);
  }

  /** Runs the task to its end. Never throws: a failure is an outcome. */
  async run(): Promise<{ record: EndedAttempt; end: AttemptEnd }> {
    const timer = this.startTimer();
    let end: AttemptEnd;
    try {
      const output = await this.orLinger(this.o.definition.run(this.context()));
      end = outcome("success", { output: output ?? null });
    } catch (error) {
      end = this.failure(error);
    } finally {
      clearTimeout(timer);
      this.ended = true;
    }
    return { record: this.record(end), end };
  }

  private startTimer(): ReturnType<typeof setTimeout> | undefined {
    const { definition: { timeout_ms = Infinity }, deadline_in_ms } = this.o;
    const limit = Math.min(timeout_ms, deadline_in_ms ?? Infinity);
    if (limit === Infinity) return undefined;
    const what = limit === timeout_ms
      ? `the attempt took longer than ${timeout_ms} ms`
      : "the task's deadline passed";
    return setTimeout(() => this.stop(new Stop("timed_out", what)), Math.max(0, limit));
  }

  /** The task's result; or the signal's reason, where the task does not heed its signal for {@link LINGER_MS}. */
  private orLinger<T>(work: Promise<T>): Promise<T> {
    const { signal } = this.controller;
    let timer: ReturnType<typeof setTimeout>;
    const lingered = new Promise<never>((_, reject) => {
      signal.addEventListener("abort", () => {
        timer = setTimeout(() => reject(signal.reason), LINGER_MS);
      }, { once: true });
    });
    return Promise.race([work, lingered]).finally(() => clearTimeout(timer));
  }

  private failure(error: unknown): AttemptEnd {
    if (error instanceof Skip) return outcome("skipped", { error: error.message });
    const reason = this.controller.signal.aborted ? this.controller.signal.reason : null;
    if (reason instanceof Stop) return outcome(reason.cause_of_stop, { error: reason.message });
    return outcome("failed", {
      error: messageOf(error),
      decision: this.decide(error),
      retry_after_ms: retryAfter(error, this.o.clock.now()),
    });
  }

  private decide(error: unknown): RetryDecision {
    if (error instanceof Fail) return "fail";
    const decided = this.o.definition.retries?.decide?.(error) ?? "default";
    if (decided !== "default" || !(error instanceof ParleyError)) return decided;
    return error.code === "unavailable" || error.code === "conflict" ? "default" : "fail";
  }

  private record(end: AttemptEnd): EndedAttempt {
    return {
      ...this.o.record,
      state: end.state,
      ended_at: iso(this.o.clock.now()),
      error: end.error,
      rows_in: this.counts.in,
      rows_out: this.counts.out,
      quarantined: this.counts.quarantined,
      progress_done: this.progressed.done,
      progress_total: this.progressed.total,
      versions: this.versions,
      lineage: this.lineage,
    };
  }

  private context(): TaskContext<Services> {
    const { run, record, services, output, events, clock } = this.o;
    let checkpoint = this.o.checkpoint;
    return {
      services,
      run,
      task_id: record.task_id,
      attempt: record.attempt,
      signal: this.controller.signal,
      output,
      progress: ({ done, total }) => {
        this.progressed = { done, total };
        events.progress(record.task_id, done, total);
      },
      rows: (counts) => void (this.counts = { ...this.counts, ...counts }),
      reads: (use) => void this.lineage.push(entry("input", use)),
      writes: (use) => void this.lineage.push(entry("output", use)),
      version: (what, version) => void (this.versions[what] = version),
      log: (line) =>
        events.log({ task_id: record.task_id, attempt: record.attempt, at: iso(clock.now()), line }),
      loadCheckpoint: () => checkpoint,
      saveCheckpoint: async (value) => {
        // An attempt that was given up may still be running: it must not speak for the one that follows.
        if (this.ended) throw this.controller.signal.reason;
        await this.o.saveCheckpoint(value);
        checkpoint = value;
      },
    };
  }
}

function outcome(state: AttemptEnd["state"], rest: Partial<Omit<AttemptEnd, "state">>): AttemptEnd {
  return { state, error: null, output: null, decision: "default", retry_after_ms: null, ...rest };
}

function entry(direction: LineageEntry["direction"], use: DatasetUse): LineageEntry {
  const { namespace, name, rows = null, bytes = null, version = null, fields = [], quality = {} } = use;
  return { direction, namespace, name, rows, bytes, version, fields, quality };
}
