import type { Clock } from "../core/clock.ts";
import { ParleyError } from "../core/errors.ts";
import type { LogLine, Progressed, RunRecord, RunStore } from "../stores/runs/port.ts";

export interface LeaseOptions {
  readonly runs: RunStore;
  readonly run: RunRecord;
  readonly owner: string;
  readonly clock: Clock;
  readonly ttl_ms: number;
  readonly heartbeat_ms: number;
  /** How far the attempts under way are. */
  readonly progress: () => readonly Progressed[];
  /** Called when {@link Lease.lost} or {@link Lease.cancelRequested} has changed. */
  readonly onNews: () => void;
}

/** This process's hold on one run: renewed by heartbeats, which carry progress and logs out and a cancel in. */
export class Lease {
  private readonly lines: LogLine[] = [];
  private timer: ReturnType<typeof setTimeout> | undefined;
  private beating: Promise<void> = Promise.resolve();
  private stopped = false;
  private lostBy: ParleyError | null = null;
  private cancelled: boolean;

  constructor(private readonly o: LeaseOptions) {
    this.cancelled = o.run.cancel_requested;
  }

  /** Set when another process has taken the run over. */
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
    }, this.o.heartbeat_ms);
  }

  /** Stops the heartbeats and waits for one under way. */
  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.beating;
  }

  log(line: LogLine): void {
    this.lines.push(line);
  }

  /** Stores the log lines that have gathered. */
  async flush(): Promise<void> {
    const lines = this.lines.slice();
    if (lines.length === 0) return;
    await this.o.runs.appendLogs({ run_id: this.o.run.run_id, lines });
    this.lines.splice(0, lines.length);
  }

  /** Asks a store that does not answer again, for as long as the lease can hold. */
  async patiently<T>(ask: () => Promise<T>): Promise<T> {
    const until = performance.now() + this.o.ttl_ms;
    while (true) {
      try {
        return await ask();
      } catch (error) {
        if (!isPassing(error) || performance.now() > until) throw error;
        await new Promise((resume) => setTimeout(resume, 200));
      }
    }
  }

  /** A store that stalls is asked again at the next beat; whether the lease still held, the next commit tells. */
  private async beat(): Promise<void> {
    const { runs, run: { run_id }, owner, clock, ttl_ms } = this.o;
    try {
      await this.flush();
      const progress = this.o.progress();
      const { cancel_requested } = await runs.heartbeat({
        run_id,
        owner,
        now: clock.now(),
        ttl_ms,
        progress,
      });
      if (!cancel_requested || this.cancelled) return;
      this.cancelled = true;
    } catch (error) {
      if (isPassing(error)) return;
      this.lostBy = error instanceof ParleyError
        ? error
        : new ParleyError("unavailable", String(error), { cause: error });
    }
    this.o.onNews();
  }
}

function isPassing(error: unknown): boolean {
  return error instanceof ParleyError && error.code === "unavailable";
}
