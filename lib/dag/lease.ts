import { sleep } from "../core/abort.ts";
import type { Clock } from "../core/clock.ts";
import { messageOf, ParleyError } from "../core/errors.ts";
import type {
  AttemptKey,
  AttemptProgress,
  LeaseStore,
  LogLine,
  LogStore,
  RunRecord,
} from "../stores/runs/port.ts";

/** How long to wait before an unavailable store is called again. */
const RETRY_MS = 200;

interface LeaseOptions {
  readonly runs: LeaseStore & LogStore;
  readonly run: Pick<RunRecord, "run_id" | "cancel_requested">;
  /** The attempt whose own lease this is; without it, the run's. */
  readonly attempt?: AttemptKey;
  readonly owner: string;
  readonly clock: Clock;
  readonly ttl_ms: number;
  readonly heartbeat_ms: number;
  /** Progress of the running attempts. */
  readonly progress: () => readonly AttemptProgress[];
  /** Called when {@link Lease.lost} or {@link Lease.cancelRequested} changes. */
  readonly onChange: () => void;
}

/** This process's lease on a run or on one attempt. Heartbeats renew it, store progress and logs, and read cancel requests. */
export class Lease {
  private readonly lines: LogLine[] = [];
  private timer: ReturnType<typeof setTimeout> | undefined;
  private pendingHeartbeat: Promise<void> = Promise.resolve();
  private pendingFlush: Promise<void> = Promise.resolve();
  private stopped = false;
  private lostError: ParleyError | null = null;
  private cancelled: boolean;
  /** When the last successful renewal was sent. */
  private renewedAt = performance.now();

  constructor(private readonly options: LeaseOptions) {
    this.cancelled = options.run.cancel_requested;
  }

  /** Set if another process has taken over or may have: no renewal succeeded for the length of the lease. */
  get lost(): ParleyError | null {
    return this.lostError;
  }

  get cancelRequested(): boolean {
    return this.cancelled;
  }

  start(): void {
    this.timer = setTimeout(() => {
      this.pendingHeartbeat = this.heartbeat().finally(() => {
        if (!this.stopped) this.start();
      });
    }, this.options.heartbeat_ms);
  }

  /** Stops the heartbeats, waits for a running one, and stores the remaining log lines. */
  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.pendingHeartbeat;
    // If this fails, only log lines are lost, and the error that led here matters more.
    await this.flush().catch(() => {});
  }

  log(line: LogLine): void {
    this.lines.push(line);
  }

  /** Stores the collected log lines, after those that are being stored, so that they stay in order. */
  flush(): Promise<void> {
    const stored = this.pendingFlush.then(() => this.store());
    // Lines that could not be stored stay for the next call; the caller gets the error.
    this.pendingFlush = stored.catch(() => {});
    return stored;
  }

  private async store(): Promise<void> {
    const lines = this.lines.splice(0);
    if (lines.length === 0) return;
    try {
      await this.options.runs.appendLogs({ run_id: this.options.run.run_id, lines });
    } catch (error) {
      this.lines.unshift(...lines);
      throw error;
    }
  }

  /** Retries `call` while the store is unavailable, for the length of the lease. */
  async withRetry<T>(call: () => Promise<T>): Promise<T> {
    const until = performance.now() + this.options.ttl_ms;
    while (true) {
      try {
        return await call();
      } catch (error) {
        if (!isTransient(error) || performance.now() > until) throw error;
        await sleep(RETRY_MS);
      }
    }
  }

  private async heartbeat(): Promise<void> {
    const sentAt = performance.now();
    try {
      const { cancel_requested } = await this.withTimeout(this.renew());
      this.renewedAt = sentAt;
      if (cancel_requested && !this.cancelled) {
        this.cancelled = true;
        this.options.onChange();
      }
      await this.flush();
    } catch (error) {
      this.fail(error);
    }
  }

  private renew(): Promise<{ cancel_requested: boolean }> {
    const { runs, run: { run_id }, owner, clock, ttl_ms, attempt } = this.options;
    const progress = this.options.progress();
    const key = attempt === undefined ? {} : { attempt };
    return runs.heartbeat({ run_id, owner, now: clock.now(), ttl_ms, progress, ...key });
  }

  /** Waits for an answer until the lease expires, and for at least the length of a heartbeat. */
  private async withTimeout<T>(answer: Promise<T>): Promise<T> {
    const remaining = this.renewedAt + this.options.ttl_ms - performance.now();
    let timer: ReturnType<typeof setTimeout>;
    const timedOut = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new ParleyError("unavailable", "the run store does not answer")),
        Math.max(remaining, this.options.heartbeat_ms),
      );
    });
    return await Promise.race([answer, timedOut]).finally(() => clearTimeout(timer));
  }

  /** If the lease still holds, an unavailable store is tried again at the next heartbeat. */
  private fail(error: unknown): void {
    const silence_ms = performance.now() - this.renewedAt;
    if (isTransient(error) && silence_ms < this.options.ttl_ms) return;
    this.lostError = error instanceof ParleyError
      ? error
      : new ParleyError("unavailable", messageOf(error), { cause: error });
    this.options.onChange();
  }
}

function isTransient(error: unknown): boolean {
  return error instanceof ParleyError && error.code === "unavailable";
}
