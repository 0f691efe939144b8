import { backoff } from "../core/backoff.ts";
import type { Clock } from "../core/clock.ts";
import { causeOf } from "../core/errors.ts";
import type { AttemptOfRun, LineageOutbox, UnsentAttempt } from "../stores/runs/port.ts";
import type { Logger } from "../telemetry/log.ts";
import { eventsOf } from "./events.ts";
import { type Delivery, postEvent, type SinkAddress } from "./sink.ts";

/** Attempts that are sent together, and after how long another process may send them if this one dies. */
const BATCH = 20;
const REDELIVERY_MS = 60_000;
/** When a refused attempt is sent again: what would help, such as a newer sink, takes time. */
const REFUSED_RETRY_MS = 3_600_000;
/** Pauses while the sink fails. */
const BACKOFF = { base_ms: 1_000, cap_ms: 60_000 };
const MAX_WAIT_MS = 3_600_000;

export interface SenderOptions {
  readonly outbox: LineageOutbox;
  readonly sink: SinkAddress;
  /** Parley's version. */
  readonly version: string;
  readonly clock: Clock;
  /** 0 ≤ random() < 1. */
  readonly random: () => number;
  readonly log: Pick<Logger, "info" | "warning">;
  /** How often the outbox is read. Default 1 s. */
  readonly poll_ms?: number;
  /** Timeout of one event. Default 10 s. */
  readonly timeout_ms?: number;
  /** How long {@link LineageSender.close} continues to send. Default 2 s. */
  readonly flush_ms?: number;
}

/**
 * Sends ended attempts to a lineage sink in the background, until it is closed. Delivery is at least once: if this process dies
 * or its run store is down before an attempt is marked as sent, it is sent again. No attempt is dropped or blocks others: a
 * failed one is tried after those not tried yet, a refused one after an hour. Failures are logged and affect nothing else.
 */
export class LineageSender {
  private readonly aborted = new AbortController();
  private readonly running: Promise<void>;
  private closing = false;
  private wake = () => {};
  /** Consecutive rounds in which nothing was delivered. */
  private failures = 0;
  /** The outcome that was logged last. */
  private lastLogged: Delivery["kind"] = "taken";

  constructor(private readonly options: SenderOptions) {
    this.running = this.run();
  }

  /** Sends the remaining attempts for a short time, if the sink responds; another process sends the rest. */
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

  /** Sends due attempts, up to the first failure. Returns how long to wait until the next round. */
  private async round(): Promise<number> {
    const { outbox, clock } = this.options;
    const now = clock.now();
    const batch = await outbox.takeUnsent({ now, again_at: now + REDELIVERY_MS, limit: BATCH });
    const deliveries: Delivery[] = [];
    for (const attempt of batch) {
      const delivery = await this.send(attempt);
      deliveries.push(delivery);
      if (delivery.kind === "failed") break;
    }
    const wait_ms = this.waitAfter(deliveries);
    await this.markSent(batch, deliveries, wait_ms);
    this.logOutcome(batch, deliveries);
    return wait_ms;
  }

  private async send(unsent: UnsentAttempt): Promise<Delivery> {
    const { sink, version, timeout_ms = 10_000 } = this.options;
    for (const event of eventsOf(unsent, { namespace: sink.namespace, version })) {
      const delivery = await postEvent(sink, event, { timeout_ms, signal: this.aborted.signal });
      if (delivery.kind !== "taken") return delivery;
    }
    return { kind: "taken" };
  }

  private waitAfter(deliveries: readonly Delivery[]): number {
    const { poll_ms = 1_000 } = this.options;
    const last = deliveries.at(-1);
    if (last?.kind === "failed") {
      this.failures = deliveries.length > 1 ? 1 : this.failures + 1;
      return Math.max(this.backoff(), Math.min(last.retry_after_ms ?? 0, MAX_WAIT_MS));
    }
    if (last !== undefined) this.failures = 0;
    return deliveries.length < BATCH ? poll_ms : 0;
  }

  private backoff(): number {
    return backoff({ tries: this.failures, ...BACKOFF, random: this.options.random });
  }

  /** Stores for each attempt when it is due again; null if it was delivered. */
  private async markSent(batch: readonly UnsentAttempt[], deliveries: readonly Delivery[], wait_ms: number) {
    const now = this.options.clock.now();
    const nextTry = { taken: null, refused: now + REFUSED_RETRY_MS, failed: now + wait_ms };
    const groups = Map.groupBy(
      batch.keys(),
      (i) => i in deliveries ? nextTry[deliveries[i]!.kind] : batch[i]!.due_at,
    );
    for (const [again_at, at] of groups) {
      await this.options.outbox.markSent({ attempts: at.map((i) => keyOf(batch[i]!)), again_at });
    }
  }

  /** Logs the outcome of a round if it differs from the last one. */
  private logOutcome(batch: readonly UnsentAttempt[], deliveries: readonly Delivery[]): void {
    if (deliveries.length === 0 || this.aborted.signal.aborted) return;
    const last = deliveries.length - 1;
    const refused = deliveries.findIndex(({ kind }) => kind === "refused");
    const at = deliveries[last]!.kind === "failed" || refused < 0 ? last : refused;
    const delivery = deliveries[at]!;
    if (delivery.kind === this.lastLogged) return;
    this.lastLogged = delivery.kind;
    const { host } = this.options.sink.url;
    if (delivery.kind === "taken") return this.options.log.info("lineage reaches {host} again", { host });
    const text = delivery.kind === "failed"
      ? "the lineage sink {host} {said}; what ends meanwhile is sent later"
      : "the lineage sink {host} {said} to {task}, attempt {attempt} of {run_id}; it is tried again each hour";
    const { task_id: task, ...attemptKey } = keyOf(batch[at]!);
    this.options.log.warning(text, { host, said: delivery.reason, task, ...attemptKey });
  }

  /** The attempts become due again by themselves. */
  private storeFailed(error: unknown): number {
    this.failures++;
    if (this.lastLogged !== "failed") {
      this.options.log.warning("lineage is sent later: {cause}", { cause: causeOf(error) });
    }
    this.lastLogged = "failed";
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
