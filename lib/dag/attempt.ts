import { retryAfter } from "../core/backoff.ts";
import { type Clock, iso } from "../core/clock.ts";
import { messageOf, ParleyError, withCauses } from "../core/errors.ts";
import type { Json } from "../core/types.ts";
import {
  type AttemptProgress,
  type AttemptRecord,
  type EndedAttempt,
  type LogLine,
  taskInstance,
  type TaskRecord,
} from "../stores/runs/port.ts";
import { DEFAULT_POOL, type RetryDecision, type TaskDefinition } from "./define.ts";
import { AttemptRecorder } from "./attempt_recorder.ts";
import type { AttemptEnd } from "./state.ts";
import { Branch, Fail, type RunInfo, Skip, type TaskContext } from "./types.ts";

/** Why an attempt's signal was aborted; the error that a task sees as the signal's reason. */
export class Stop extends Error {
  constructor(readonly stop_reason: "timed_out" | "cancelled" | "interrupted" | "lost", message: string) {
    super(message);
    this.name = "Stop";
  }
}

/** Default of {@link AttemptOptions.linger_ms}. */
export const LINGER_MS = 5_000;

/** Characters of an error that are stored. */
const MAX_ERROR_CHARACTERS = 4_000;

/** The longest delay of a timer; a longer one would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** The record of an attempt that is about to start. */
export function newAttempt(
  task: TaskRecord,
  { pool = DEFAULT_POOL, pool_slots = 1 }: { pool?: string; pool_slots?: number },
  by: {
    owner: string;
    now: number;
    versions: Readonly<Record<string, string>>;
    lease_until?: number;
    parent?: string | null;
  },
): AttemptRecord {
  return {
    task_id: task.task_id,
    attempt: task.attempts,
    state: "running",
    owner: by.owner,
    pool,
    weight: pool_slots,
    started_at: iso(by.now),
    ended_at: null,
    error: null,
    rows_in: 0,
    rows_out: 0,
    quarantined: 0,
    progress_done: 0,
    progress_total: null,
    versions: by.versions,
    lease_until: by.lease_until ?? null,
    parent: by.parent ?? null,
  };
}

/** What an attempt reports while it runs. */
interface AttemptEvents {
  progress(task_id: string, done: number, total: number | null): void;
  log(line: LogLine): void;
}

interface AttemptOptions<Services> {
  readonly definition: TaskDefinition<Services>;
  readonly record: AttemptRecord;
  readonly run: RunInfo;
  readonly services: Services;
  readonly clock: Clock;
  readonly output: (task_id: string) => Json;
  /** Of an instance of a mapped task. */
  readonly item: Json;
  /** What an earlier attempt saved. */
  readonly checkpoint: () => Promise<Json>;
  readonly saveCheckpoint: (value: Json) => Promise<void>;
  readonly events: AttemptEvents;
  /** Milliseconds left until the task's deadline; null if it has none. */
  readonly deadline_in_ms: number | null;
  /**
   * How long a task may continue after its signal is aborted. After that the attempt is recorded as ended, and what the task
   * reports is ignored.
   */
  readonly linger_ms: number;
  /** The dependents that the task may branch to. */
  readonly dependents: readonly string[];
}

/** One attempt of one task: runs it with a signal, collects what it reports, and returns how it ended. */
export class Attempt<Services> {
  private readonly controller = new AbortController();
  private readonly recorder: AttemptRecorder;

  constructor(private readonly options: AttemptOptions<Services>) {
    this.recorder = new AttemptRecorder(options.record.versions);
  }

  get task_id(): string {
    return this.options.record.task_id;
  }

  get progress(): AttemptProgress {
    return { task_id: this.task_id, attempt: this.options.record.attempt, ...this.recorder.progress };
  }

  /** Aborts the task's signal. The first reason counts. */
  stop(reason: Stop): void {
    this.controller.abort(reason);
  }

  /** Runs the task to its end. Never throws: a failure is an outcome. */
  async run(): Promise<{ record: EndedAttempt; end: AttemptEnd }> {
    const timer = this.startTimer();
    let end: AttemptEnd;
    try {
      const checkpoint = await this.options.checkpoint();
      this.controller.signal.throwIfAborted();
      end = this.success(await this.orLinger(this.options.definition.run(this.context(checkpoint))));
    } catch (error) {
      end = this.failure(error);
    } finally {
      clearTimeout(timer);
      this.recorder.close();
    }
    if (end.state === "success") this.recorder.addDeclared(this.options.definition);
    return { record: this.record(end), end };
  }

  private startTimer(): ReturnType<typeof setTimeout> | undefined {
    const { definition: { timeout_ms = Infinity }, deadline_in_ms } = this.options;
    const limit = Math.min(timeout_ms, deadline_in_ms ?? Infinity);
    if (limit > MAX_TIMER_MS) return undefined;
    const message = limit === timeout_ms
      ? `the attempt took longer than ${timeout_ms} ms`
      : "the task's deadline passed";
    return setTimeout(() => this.stop(new Stop("timed_out", message)), Math.max(0, limit));
  }

  /** The task's result; rejects with the signal's reason if the task ignores its signal for `linger_ms`. */
  private orLinger<T>(work: Promise<T>): Promise<T> {
    const { signal } = this.controller;
    const { promise: lingered, reject } = Promise.withResolvers<never>();
    let timer: ReturnType<typeof setTimeout>;
    const linger = () => timer = setTimeout(() => reject(signal.reason), this.options.linger_ms);
    if (signal.aborted) linger();
    else signal.addEventListener("abort", linger);
    return Promise.race([work, lingered]).finally(() => {
      clearTimeout(timer);
      signal.removeEventListener("abort", linger);
    });
  }

  private success(result: Json | object | void): AttemptEnd {
    if (!(result instanceof Branch)) {
      return outcome("success", { output: asJson(result ?? null, "returned") });
    }
    if (this.options.definition.expand !== undefined) throw new Fail("a mapped task cannot branch");
    const unknown = result.to.find((id) => !this.options.dependents.includes(id));
    if (unknown !== undefined) {
      throw new Fail(`it branches to "${unknown}", which is not one of the tasks that need it`);
    }
    return outcome("success", { output: asJson(result.output, "returned"), branch: [...result.to] });
  }

  private failure(error: unknown): AttemptEnd {
    if (error instanceof Skip) return outcome("skipped", { error: error.message, output: error.output });
    const reason = this.controller.signal.aborted ? this.controller.signal.reason : null;
    if (reason instanceof Stop) return outcome(reason.stop_reason, { error: reason.message });
    return outcome("failed", {
      error: withCauses(error).slice(0, MAX_ERROR_CHARACTERS),
      output: error instanceof Fail ? error.output : null,
      decision: this.decide(error),
      retry_after_ms: retryAfter(error, this.options.clock.now()),
    });
  }

  private decide(error: unknown): RetryDecision {
    if (error instanceof Fail) return "fail";
    const decided = this.applyPolicy(error);
    if (decided !== "default" || !(error instanceof ParleyError)) return decided;
    return error.code === "unavailable" || error.code === "conflict" ? "default" : "fail";
  }

  private applyPolicy(error: unknown): RetryDecision {
    try {
      return this.options.definition.retries?.decide?.(error) ?? "default";
    } catch (policyError) {
      this.log(`the retry policy failed: ${messageOf(policyError)}`);
      return "default";
    }
  }

  private log(line: string): void {
    const { record: { task_id, attempt }, clock, events } = this.options;
    events.log({ task_id, attempt, at: iso(clock.now()), line });
  }

  private record(end: AttemptEnd): EndedAttempt {
    const { rows, progress, versions, lineage } = this.recorder;
    return {
      ...this.options.record,
      state: end.state,
      ended_at: iso(this.options.clock.now()),
      error: end.error,
      rows_in: rows.in,
      rows_out: rows.out,
      quarantined: rows.quarantined,
      progress_done: progress.done,
      progress_total: progress.total,
      versions,
      lineage,
    };
  }

  private context(stored: Json): TaskContext<Services> {
    const { run, record: { task_id: id, attempt }, services, output, item, events } = this.options;
    const { task_id, map_index } = taskInstance(id);
    const { recorder } = this;
    let checkpoint = stored;
    return {
      services,
      run,
      task_id,
      map_index,
      item: <Item>() => item as Item,
      attempt,
      signal: this.controller.signal,
      output: <Output>(id: string) => output(id) as Output,
      progress: (progress) => {
        recorder.setProgress(progress);
        if (!recorder.isClosed) events.progress(id, recorder.progress.done, recorder.progress.total);
      },
      rows: (counts) => recorder.setRows(counts),
      reads: (use) => recorder.addUse("input", use),
      writes: (use) => recorder.addUse("output", use),
      version: (message, version) => recorder.setVersion(message, version),
      log: (line) => {
        if (!recorder.isClosed) this.log(line);
      },
      loadCheckpoint: <Value>() => checkpoint as Value | null,
      saveCheckpoint: async (value) => {
        if (recorder.isClosed) throw new Stop("lost", "the attempt has ended");
        checkpoint = asJson(value, "saved");
        await this.options.saveCheckpoint(checkpoint);
      },
    };
  }
}

/** The value as JSON. Throws `Fail` if JSON cannot represent it. */
function asJson(value: unknown, done: "returned" | "saved"): Json {
  try {
    return JSON.parse(JSON.stringify(value));
  } catch (error) {
    throw new Fail(`what it ${done} cannot be kept as JSON: ${messageOf(error)}`, { cause: error });
  }
}

function outcome(state: AttemptEnd["state"], rest: Partial<Omit<AttemptEnd, "state">>): AttemptEnd {
  return {
    state,
    error: null,
    output: null,
    branch: null,
    decision: "default",
    retry_after_ms: null,
    ...rest,
  };
}
