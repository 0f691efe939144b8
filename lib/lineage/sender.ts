import { backoff } from "../core/backoff.ts";
import type { Clock } from "../core/clock.ts";
import { causeOf } from "../core/errors.ts";
import type { AttemptOfRun, LineageOutbox, UnsentAttempt } from "../stores/runs/port.ts";
import type { Logger } from "../telemetry/log.ts";
import { eventsOf } from "./events.ts";
import { type Delivery, post, type SinkAddress } from "./sink.ts";

/** Attempts that are taken at a time, and how long others let them be where this process dies. */
const BATCH = 20;
const REDELIVERY_MS = 60_000;
/** When an attempt is tried again that the sink refused: what would help, such as a newer sink, takes time. */
const REFUSED_MS = 3_600_000;
/** Pauses while the sink fails. */
const BACKOFF = { base_ms: 1_000, cap_ms: 60_000 };
const LONGEST_WAIT_MS = 3_600_000;

export interface SenderOptions {
  readonly outbox: LineageOutbox;
  readonly sink: SinkAddress;
  /** Parley's own. */
  readonly version: string;
  readonly clock: Clock;
  /** 0 ≤ random() < 1. */
  readonly random: () => number;
  readonly log: Pick<Logger, "info" | "warning">;
  /** How often the outbox is looked at. Default 1 s. */
  readonly poll_ms?: number;
  /** For one event. Default 10 s. */
  readonly timeout_ms?: number;
  /** How long {@link LineageSender.close} goes on sending what is left. Default 2 s. */
  readonly flush_ms?: number;
}

/**
 * Sends ended attempts on to a lineage sink, in the background, until it is closed. At least once: what was sent and not
 * marked so, because this process died or its run store was down, is sent again. Nothing is given up, and no attempt
 * holds others up: one that fails goes behind those that were not tried, one that is refused is put off for an hour.
 * Nobody waits for it, and its failures are nobody else's.
 */
export class LineageSender {
  private readonly aborted = new AbortController();
  private readonly running: Promise<void>;
  private closing = false;
  private wake = () => {};
  /** Rounds on end in which nothing came through. */
  private failures = 0;
  /** What the log was told last. */
  private told: Delivery["kind"] = "taken";

  constructor(private readonly options: SenderOptions) {
    this.running = this.run();
  }

  /** Sends what is left, for a short time and only where the sink is well; the rest is for whoever sends next. */
  async close(): Promise<void> {
    this.closing = true;
    this.wake();
    const timer = setTimeout(() => this.aborted.abort(), this.options.flush_ms ?? 2_000);
    await this.running;
    clearTimeout(timer);
  }

  private async run(): Promise<void> {
    while (!this.aborted.signal.aborted) {
      // Read before the round, so that the last one finds all that ended before closing.
      const last = this.closing;
      if (last && this.failures > 0) return;
      const wait_ms = await this.round().catch((error) => this.storeFailed(error));
      if (last && wait_ms > 0) return;
      await this.sleep(wait_ms);
    }
  }

  /** Sends what is due, up to the first failure. Returns how long to wait until the next round. */
  private async round(): Promise<number> {
    const { outbox, clock } = this.options;
    const now = clock.now();
    const taken = await outbox.takeUnsent({ now, again_at: now + REDELIVERY_MS, limit: BATCH });
    const verdicts: Delivery[] = [];
    for (const each of taken) {
      const verdict = await this.send(each);
      verdicts.push(verdict);
      if (verdict.kind === "failed") break;
    }
    const wait_ms = this.waitAfter(verdicts);
    await this.settle(taken, verdicts, wait_ms);
    this.tell(taken, verdicts);
    return wait_ms;
  }

  private async send(unsent: UnsentAttempt): Promise<Delivery> {
    const { sink, version, timeout_ms = 10_000 } = this.options;
    for (const event of eventsOf(unsent, { namespace: sink.namespace, version })) {
      const verdict = await post(sink, event, { timeout_ms, signal: this.aborted.signal });
      if (verdict.kind !== "taken") return verdict;
    }
    return { kind: "taken" };
  }

  private waitAfter(verdicts: readonly Delivery[]): number {
    const { poll_ms = 1_000 } = this.options;
    const last = verdicts.at(-1);
    if (last?.kind === "failed") {
      this.failures = verdicts.length > 1 ? 1 : this.failures + 1;
      return Math.max(this.backoff(), Math.min(last.retry_after_ms ?? 0, LONGEST_WAIT_MS));
    }
    if (last !== undefined) this.failures = 0;
    return verdicts.length < BATCH ? poll_ms : 0;
  }

  private backoff(): number {
    return backoff({ tries: this.failures, ...BACKOFF, random: this.options.random });
  }

  /** Says of each attempt that was taken when it is due again. */
  private async settle(taken: readonly UnsentAttempt[], verdicts: readonly Delivery[], wait_ms: number) {
    const now = this.options.clock.now();
    const again = { taken: null, refused: now + REFUSED_MS, failed: now + wait_ms };
    const groups = Map.groupBy(
      taken.keys(),
      (i) => i in verdicts ? again[verdicts[i]!.kind] : taken[i]!.due_at,
    );
    for (const [again_at, at] of groups) {
      await this.options.outbox.markSent({ attempts: at.map((i) => keyOf(taken[i]!)), again_at });
    }
  }

  /** Logs how it goes, once until it goes otherwise. */
  private tell(taken: readonly UnsentAttempt[], verdicts: readonly Delivery[]): void {
    if (verdicts.length === 0 || this.aborted.signal.aborted) return;
    const last = verdicts.length - 1;
    const refused = verdicts.findIndex(({ kind }) => kind === "refused");
    const at = verdicts[last]!.kind === "failed" || refused < 0 ? last : refused;
    const verdict = verdicts[at]!;
    if (verdict.kind === this.told) return;
    this.told = verdict.kind;
    const { host } = this.options.sink.url;
    if (verdict.kind === "taken") return this.options.log.info("lineage reaches {host} again", { host });
    const what = verdict.kind === "failed"
      ? "the lineage sink {host} {said}; what ends meanwhile is sent later"
      : "the lineage sink {host} {said} to {task}, attempt {attempt} of {run_id}; it is tried again each hour";
    const { task_id: task, ...of } = keyOf(taken[at]!);
    this.options.log.warning(what, { host, said: verdict.said, task, ...of });
  }

  /** What was taken comes back by itself. */
  private storeFailed(error: unknown): number {
    this.failures++;
    if (this.told !== "failed") {
      this.options.log.warning("lineage is sent later: {cause}", { cause: causeOf(error) });
    }
    this.told = "failed";
    return this.backoff();
  }

  private sleep(ms: number): Promise<void> {
    if (this.closing) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    this.wake = resolve;
    return promise.finally(() => clearTimeout(timer));
  }
}

function keyOf({ run: { run_id }, attempt: { task_id, attempt } }: UnsentAttempt): AttemptOfRun {
  return { run_id, task_id, attempt };
}
