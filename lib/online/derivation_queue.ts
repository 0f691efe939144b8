import { LRUCache } from "../../deps.ts";
import { sleep } from "../core/abort.ts";
import { causeOf, ParleyError } from "../core/errors.ts";
import { counted } from "../core/text.ts";

/** Users, or campaigns, that are derived at a time: some tenths of a second, since who writes next waits for them. */
const BATCH = 16;
/** Ids that wait at most: the stores know the others too, and the next run derives them. */
const MAX_WAITING = 20_000;
/** How long to wait after a failure before the next attempt; each is twice as long. */
const FIRST_RETRY_MS = 250;
const MAX_RETRY_MS = 30_000;

interface QueueOptions {
  /** What the ids are of, as a warning names it, such as `user`. */
  readonly noun: string;
  /** Derives what is stored of these ids, or returns false if only a run can. Repeating it changes nothing. */
  readonly derive: (ids: readonly string[], signal: AbortSignal) => Promise<boolean>;
  /** For how many milliseconds it is remembered of an awaited id that it is left to a run. Default 30 minutes. */
  readonly keep_ms?: number;
  /** Gets a line about a failure. It names no id. */
  readonly warn: (line: string) => void;
}

/**
 * Ids that are derived soon after they were written, each once however often it was written meanwhile. Requests take turns: each round
 * takes one id of every request that waits. So one that writes thousands at once delays the others by one id, and none is passed over,
 * however many are written after it. If a store is down, it is tried again. What is still waiting when the process ends is derived by
 * the next run.
 */
export class DerivationQueue {
  /** The round in which each waiting id has its turn. */
  private readonly roundOf = new Map<string, number>();
  /** The ids of each round that is not over, in the order of their requests. */
  private readonly rounds = new Map<number, Set<string>>();
  private round = 0;
  /** No id waits for a later round. */
  private last = 0;
  private isFull = false;
  /** Of ids that readers may wait for, until they are derived. */
  private readonly awaited = new Map<string, PromiseWithResolvers<boolean>>();
  /** Of the awaited ids those that are left to the next run. */
  private readonly left: LRUCache<string, true>;
  private isFailing = false;
  private working: Promise<void> | null = null;
  private readonly closing = new AbortController();

  constructor(private readonly options: QueueOptions) {
    this.left = new LRUCache({ max: MAX_WAITING, ttl: options.keep_ms ?? 1_800_000, ttlResolution: 0 });
  }

  /** Ids that wait, without those that are being derived. */
  get waiting(): number {
    return this.roundOf.size;
  }

  /**
   * Adds the ids that one request wrote. If too many wait, those whose turn is last are left to the next run. {@link derived} reports
   * those that are `awaited`.
   */
  add(ids: Iterable<string>, { awaited = [] }: { awaited?: Iterable<string> } = {}): void {
    // Not to the round that has begun: it would never end while requests come in.
    let round = this.round + 1;
    for (const id of new Set(ids)) this.put(id, round++);
    for (const id of awaited) if (!this.awaited.has(id)) this.awaited.set(id, Promise.withResolvers());
    for (; this.waiting > MAX_WAITING; this.dropLast()) this.warnOfFull();
    this.start();
  }

  /**
   * Whether what was written of an id is derived, once that is known; at once if stores fail now, or if it is left to a run. Null if it was
   * not awaited, or is derived.
   */
  derived(id: string): Promise<boolean> | null {
    const awaited = this.awaited.get(id);
    if (awaited === undefined) return this.left.has(id) ? Promise.resolve(false) : null;
    return this.isFailing ? Promise.resolve(false) : awaited.promise;
  }

  /** Ends the wait for an id, unless it was written again meanwhile. */
  private settle(id: string, isDerived: boolean): void {
    if (this.roundOf.has(id)) return;
    if (isDerived) this.left.delete(id);
    else if (this.awaited.has(id)) this.left.set(id, true);
    this.awaited.get(id)?.resolve(isDerived);
    this.awaited.delete(id);
  }

  /** Gives an id its turn in this round, unless it has an earlier one. */
  private put(id: string, round: number): void {
    const before = this.roundOf.get(id);
    if (before !== undefined) {
      if (before <= round) return;
      this.rounds.get(before)!.delete(id);
    }
    this.roundOf.set(id, round);
    this.last = Math.max(this.last, round);
    const ids = this.rounds.get(round);
    if (ids === undefined) this.rounds.set(round, new Set([id]));
    else ids.add(id);
  }

  private dropLast(): void {
    let ids = this.rounds.get(this.last);
    for (; ids === undefined || ids.size === 0; ids = this.rounds.get(this.last)) {
      this.rounds.delete(this.last--);
    }
    const [id] = ids;
    ids.delete(id!);
    this.roundOf.delete(id!);
    this.settle(id!, false);
  }

  /** Once, until the half of them is derived. */
  private warnOfFull(): void {
    if (this.isFull) return;
    this.isFull = true;
    const most = counted(MAX_WAITING, this.options.noun);
    this.options.warn(
      `${most} wait to be derived, which is the most: the next run derives what is written online beyond them`,
    );
  }

  /** Takes those whose turn is next. */
  private take(): string[] {
    const batch: string[] = [];
    for (; this.waiting > 0; this.rounds.delete(this.round++)) {
      const ids = this.rounds.get(this.round) ?? new Set();
      for (const id of ids) {
        if (batch.length === BATCH) return batch;
        batch.push(id);
        ids.delete(id);
        this.roundOf.delete(id);
      }
    }
    return batch;
  }

  private start(): void {
    if (this.waiting === 0 || this.closing.signal.aborted) return;
    this.working ??= this.work().finally(() => {
      this.working = null;
      this.start();
    });
  }

  /** Resolves when nothing waits, or when the queue is closed. */
  async idle(): Promise<void> {
    while (this.working !== null) await this.working;
  }

  /** Derives what waits for up to `ms` milliseconds, then stops. */
  async close(ms: number): Promise<void> {
    const timer = setTimeout(() => this.closing.abort(), ms);
    await this.idle();
    clearTimeout(timer);
    this.closing.abort();
  }

  private async work(): Promise<void> {
    const { signal } = this.closing;
    for (let retry_ms = FIRST_RETRY_MS; this.waiting > 0 && !signal.aborted;) {
      const ids = this.take();
      try {
        await this.deriveEach(ids);
        retry_ms = FIRST_RETRY_MS;
        this.isFailing = false;
        if (this.waiting < MAX_WAITING / 2) this.isFull = false;
      } catch (error) {
        if (signal.aborted) return;
        for (const id of ids) this.put(id, this.round);
        this.isFailing = true;
        if (retry_ms === FIRST_RETRY_MS) {
          this.options.warn(
            `what was written online is not derived yet, which is tried again: ${causeOf(error)}`,
          );
        }
        await sleep(retry_ms, signal);
        retry_ms = Math.min(2 * retry_ms, MAX_RETRY_MS);
      }
    }
  }

  /** One id that cannot be derived, whatever the stores' state, is left to the next run, and costs the others nothing. */
  private async deriveEach(ids: readonly string[]): Promise<void> {
    const { signal } = this.closing;
    try {
      const isDerived = await this.options.derive(ids, signal);
      for (const id of ids) this.settle(id, isDerived);
    } catch (error) {
      if (signal.aborted || (error instanceof ParleyError && error.code === "unavailable")) throw error;
      if (ids.length > 1) {
        for (const id of ids) await this.deriveEach([id]);
      } else {
        this.options.warn(`a row that was written online cannot be derived: ${causeOf(error)}`);
        this.settle(ids[0]!, false);
      }
    }
  }
}
