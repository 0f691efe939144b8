import { sleep } from "../core/abort.ts";
import { causeOf, ParleyError } from "../core/errors.ts";

/** Users, or campaigns, that are derived at a time: some tenths of a second, since who writes next waits for them. */
const BATCH = 16;
/** Ids that wait at most: the stores know the others too, and the next run derives them. */
const MAX_WAITING = 20_000;
/** How long to wait after a failure before the next attempt; each is twice as long. */
const FIRST_RETRY_MS = 250;
const MAX_RETRY_MS = 30_000;

interface QueueOptions {
  /** Derives what is stored of these ids. Repeating it changes nothing. */
  readonly derive: (ids: readonly string[], signal: AbortSignal) => Promise<void>;
  /** Gets a line about a failure. It names no id. */
  readonly warn: (line: string) => void;
}

/**
 * Ids that are derived soon after they were written, each once however often it was written meanwhile, those written last first: a
 * client that writes thousands at once does not keep the others waiting, only its own. If that fails because a store is down, it is tried again. What is still waiting when the process ends is derived by the next run.
 */
export class DerivationQueue {
  private readonly waiting = new Set<string>();
  private working: Promise<void> | null = null;
  private readonly closing = new AbortController();

  constructor(private readonly options: QueueOptions) {}

  add(ids: Iterable<string>): void {
    for (const id of ids) {
      this.waiting.delete(id);
      this.waiting.add(id);
    }
    for (const id of this.waiting) {
      if (this.waiting.size <= MAX_WAITING) break;
      this.waiting.delete(id);
    }
    if (this.waiting.size === 0 || this.closing.signal.aborted) return;
    this.working ??= this.work().finally(() => {
      this.working = null;
      this.add([]);
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
    for (let retry_ms = FIRST_RETRY_MS; this.waiting.size > 0 && !signal.aborted;) {
      const ids = [...this.waiting].slice(-BATCH);
      for (const id of ids) this.waiting.delete(id);
      try {
        await this.deriveEach(ids);
        retry_ms = FIRST_RETRY_MS;
      } catch (error) {
        if (signal.aborted) return;
        for (const id of ids) this.waiting.add(id);
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
      await this.options.derive(ids, signal);
    } catch (error) {
      if (signal.aborted || (error instanceof ParleyError && error.code === "unavailable")) throw error;
      if (ids.length > 1) {
        for (const id of ids) await this.deriveEach([id]);
      } else this.options.warn(`a row that was written online cannot be derived: ${causeOf(error)}`);
    }
  }
}
