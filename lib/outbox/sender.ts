import { backoff } from "../core/backoff.ts";
import type { Clock } from "../core/clock.ts";
import { causeOf } from "../core/errors.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Delivery, DeliveryLimits } from "./delivery.ts";

/** After how long another process may send what this one took, if it dies. */
const REDELIVERY_MS = 60_000;
/** When a refused entry is sent again: what would help, such as a newer sink, takes time. */
const REFUSED_RETRY_MS = 3_600_000;
/** Pauses while the sink fails. */
const BACKOFF = { base_ms: 1_000, cap_ms: 60_000 };
const MAX_WAIT_MS = 3_600_000;

/** A place that entries of an outbox are sent to. Every entry is a new one or one that was put off until `due_at`. */
export interface OutboxSink<Entry extends { readonly due_at?: number }> {
  /** For the log, such as `lineage sink`. */
  readonly name: string;
  readonly host: string;
  /** Entries that are taken together. */
  readonly batch: number;
  /** Takes entries that are due at `now`, and hides them from others until `again_at`; both in epoch milliseconds. */
  take(options: { now: number; again_at: number; limit: number }): Promise<Entry[]>;
  /** Marks entries as sent (null), or sets when they are due again. */
  markSent(options: { entries: readonly Entry[]; again_at: number | null }): Promise<void>;
  send(entry: Entry, limits: DeliveryLimits): Promise<Delivery>;
  /** For the log: names no user and quotes nothing. */
  nameOf(entry: Entry): string;
}

export interface SenderOptions {
  readonly clock: Clock;
  /** 0 ≤ random() < 1. */
  readonly random: () => number;
  readonly log: Pick<Logger, "info" | "warning">;
  /** How often the outbox is read. Default 1 s. */
  readonly poll_ms?: number;
  /** Timeout of one request. Default 10 s. */
  readonly timeout_ms?: number;
  /** How long {@link OutboxSender.close} continues to send. Default 2 s. */
  readonly flush_ms?: number;
}

/**
 * Sends the entries of an outbox to a sink in the background, until it is closed. Delivery is at least once: if this process dies
 * or its run store is down before an entry is marked as sent, it is sent again. No entry is dropped. A round ends with the first
 * failure; a refused entry is put off for an hour. Failures are logged and affect nothing else.
 */
export class OutboxSender<Entry extends { readonly due_at?: number }> {
  private readonly aborted = new AbortController();
  private readonly running: Promise<void>;
  private closing = false;
  private wake = () => {};
  /** Consecutive rounds in which nothing was delivered. */
  private failures = 0;
  /** The outcome that was logged last. */
  private lastLogged: Delivery["kind"] = "taken";

  constructor(private readonly sink: OutboxSink<Entry>, private readonly options: SenderOptions) {
    this.running = this.run();
  }

  /** Sends the remaining entries for a short time, if the sink responds; another process sends the rest. */
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

  /** Sends due entries, up to the first failure. Returns how long to wait until the next round. */
  private async round(): Promise<number> {
    const now = this.options.clock.now();
    const { timeout_ms = 10_000 } = this.options;
    const limit = this.sink.batch;
    const batch = await this.sink.take({ now, again_at: now + REDELIVERY_MS, limit });
    const deliveries: Delivery[] = [];
    for (const entry of batch) {
      const delivery = await this.sink.send(entry, { timeout_ms, signal: this.aborted.signal });
      deliveries.push(delivery);
      if (delivery.kind === "failed") break;
    }
    const wait_ms = this.waitAfter(deliveries);
    await this.markSent(batch, deliveries, wait_ms);
    this.logOutcome(batch, deliveries);
    return wait_ms;
  }

  private waitAfter(deliveries: readonly Delivery[]): number {
    const { poll_ms = 1_000 } = this.options;
    const last = deliveries.at(-1);
    if (last?.kind === "failed") {
      this.failures = deliveries.length > 1 ? 1 : this.failures + 1;
      return Math.max(this.backoff(), Math.min(last.retry_after_ms ?? 0, MAX_WAIT_MS));
    }
    if (last !== undefined) this.failures = 0;
    return deliveries.length < this.sink.batch ? poll_ms : 0;
  }

  private backoff(): number {
    return backoff({ tries: this.failures, ...BACKOFF, random: this.options.random });
  }

  /** Stores for each entry when it is due again; null if it was delivered. One that was not tried is due as before. */
  private async markSent(batch: readonly Entry[], deliveries: readonly Delivery[], wait_ms: number) {
    const now = this.options.clock.now();
    const nextTry = { taken: null, refused: now + REFUSED_RETRY_MS, failed: now + wait_ms };
    const groups = Map.groupBy(
      batch.keys(),
      (i) => i in deliveries ? nextTry[deliveries[i]!.kind] : batch[i]!.due_at,
    );
    for (const [again_at, at] of groups) {
      if (again_at !== undefined) await this.sink.markSent({ entries: at.map((i) => batch[i]!), again_at });
    }
  }

  /** Logs the outcome of a round if it differs from the last one. */
  private logOutcome(batch: readonly Entry[], deliveries: readonly Delivery[]): void {
    if (deliveries.length === 0 || this.aborted.signal.aborted) return;
    const last = deliveries.length - 1;
    const refused = deliveries.findIndex(({ kind }) => kind === "refused");
    const at = deliveries[last]!.kind === "failed" || refused < 0 ? last : refused;
    const delivery = deliveries[at]!;
    if (delivery.kind === this.lastLogged) return;
    this.lastLogged = delivery.kind;
    const { name, host } = this.sink;
    if (delivery.kind === "taken") {
      return this.options.log.info("the {name} {host} works again", { name, host });
    }
    const text = delivery.kind === "failed"
      ? "the {name} {host} {said}; what comes meanwhile is sent later"
      : "the {name} {host} {said} to {entry}; it is tried again each hour";
    this.options.log.warning(text, {
      name,
      host,
      said: delivery.reason,
      entry: this.sink.nameOf(batch[at]!),
    });
  }

  /** The entries become due again by themselves. */
  private storeFailed(error: unknown): number {
    this.failures++;
    if (this.lastLogged !== "failed") {
      const { name } = this.sink;
      this.options.log.warning("what the {name} gets is sent later: {cause}", {
        name,
        cause: causeOf(error),
      });
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
