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

interface LeaseOptions {
  readonly runs: LeaseStore & LogStore;
  readonly run: Pick<RunRecord, "run_id" | "cancel_requested">;
  /** The attempt whose own lease this is; without it, the run's. */
  readonly attempt?: AttemptKey;
  readonly owner: string;
  readonly clock: Clock;
  readonly ttl_ms: number;
  readonly heartbeat_ms: number;
  /** How far the attempts under way are. */
  readonly progress: () => readonly AttemptProgress[];
  /** Called when {@link Lease.lost} or {@link Lease.cancelRequested} has changed. */
  readonly onNews: () => void;
}

/** This process's hold on a run, or on one attempt: renewed by heartbeats, which carry progress and logs out and a cancel in. */
export class Lease {
  private readonly lines: LogLine[] = [];
  private timer: ReturnType<typeof setTimeout> | undefined;
  private beating: Promise<void> = Promise.resolve();
  private storing: Promise<void> = Promise.resolve();
  private stopped = false;
  private lostBy: ParleyError | null = null;
  private cancelled: boolean;
  /** When the newest renewal that came through was sent. */
  private renewedAt = performance.now();

  constructor(private readonly options: LeaseOptions) {
    this.cancelled = options.run.cancel_requested;
  }

  /** Set when another process has taken over, or may have: no renewal came through for as long as the lease lasts. */
  get lost(): ParleyError | null {
    return this.lostBy;
  }

  get cancelRequested(): boolean {
    return this.cancelled;
  }

  start(): void {
    this.timer = setTimeout(() => {
      this.beating = this.beat().finally(() => {
        if (!this.stopped) this.start();
      });
    }, this.options.heartbeat_ms);
  }

  /** Stops the heartbeats, waits for one under way, and stores what log there is left. */
  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.beating;
    // The lines are all that is lost where this fails, and the error that led here matters more.
    await this.flush().catch(() => {});
  }

  log(line: LogLine): void {
    this.lines.push(line);
  }

  /** Stores the log lines that have gathered, after those that are being stored, so that they keep their order. */
  flush(): Promise<void> {
    const stored = this.storing.then(() => this.store());
    // What could not be stored is still there for the next one; whoever asked is told.
    this.storing = stored.catch(() => {});
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

  /** Asks a store that does not answer again, for as long as the lease can hold. */
  async patiently<T>(ask: () => Promise<T>): Promise<T> {
    const until = performance.now() + this.options.ttl_ms;
    while (true) {
      try {
        return await ask();
      } catch (error) {
        if (!isPassing(error) || performance.now() > until) throw error;
        await new Promise((resume) => setTimeout(resume, 200));
      }
    }
  }

  private async beat(): Promise<void> {
    const sentAt = performance.now();
    try {
      const { cancel_requested } = await this.inTime(this.renew());
      this.renewedAt = sentAt;
      if (cancel_requested && !this.cancelled) {
        this.cancelled = true;
        this.options.onNews();
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

  /** Waits for an answer until the lease runs out, and for the length of a heartbeat at least. */
  private async inTime<T>(answer: Promise<T>): Promise<T> {
    const left = this.renewedAt + this.options.ttl_ms - performance.now();
    let timer: ReturnType<typeof setTimeout>;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new ParleyError("unavailable", "the run store does not answer")),
        Math.max(left, this.options.heartbeat_ms),
      );
    });
    return await Promise.race([answer, late]).finally(() => clearTimeout(timer));
  }

  /** A store that stalls for less than the lease lasts is asked again at the next beat. */
  private fail(error: unknown): void {
    const silent = performance.now() - this.renewedAt;
    if (isPassing(error) && silent < this.options.ttl_ms) return;
    this.lostBy = error instanceof ParleyError
      ? error
      : new ParleyError("unavailable", messageOf(error), { cause: error });
    this.options.onNews();
  }
}

function isPassing(error: unknown): boolean {
  return error instanceof ParleyError && error.code === "unavailable";
}
