import type { AttemptKey, AttemptRecord, LineageEntry, RunRecord } from "./port.ts";

/** An ended attempt of which the lineage sink has not heard, with its run and what it read and wrote. */
export interface UnsentAttempt {
  readonly run: RunRecord;
  readonly attempt: AttemptRecord;
  readonly lineage: readonly LineageEntry[];
  /** Since when it is due, in epoch milliseconds; 0 for one that was never put off. */
  readonly due_at: number;
}

/** Names one attempt of all runs. */
export interface AttemptOfRun extends AttemptKey {
  readonly run_id: string;
}

/**
 * What is still to be told to a lineage sink: the ended attempts themselves, of which each is due until it was sent. An
 * attempt's end, its lineage and its being due are therefore one write.
 */
export interface LineageOutbox {
  /**
   * Takes attempts that are due at `now`, at most `limit`: those that were never put off before others, then what ended
   * first. What is taken is due again at `again_at` unless it is settled: whoever took it may have died. Both are epoch
   * milliseconds.
   */
  takeUnsent(options: { now: number; again_at: number; limit: number }): Promise<UnsentAttempt[]>;
  /** Says that attempts were sent (null), or from when on they are due again. */
  markSent(options: { attempts: readonly AttemptOfRun[]; again_at: number | null }): Promise<void>;
  /** How many ended attempts were not sent yet, due or not. */
  unsent(): Promise<number>;
}
