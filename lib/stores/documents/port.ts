import type { Health, Message, QuarantinedRow, Touched, WriteCounts } from "../../core/types.ts";

/** How often one user expressed one intent, and when last. */
export interface IntentCount {
  readonly user_id: string;
  readonly intent: string;
  readonly count: number;
  readonly last: string;
}

export interface DocumentCounts {
  readonly messages: number;
  readonly users: number;
  readonly quarantined: number;
}

/** Which refused rows are asked for; what is not given may be anything. */
export type QuarantineFilter = Partial<Pick<QuarantinedRow, "run_id" | "kind" | "source" | "position">>;

/** Raw messages as they were said, and the input rows that were refused. */
export interface DocumentStore {
  /**
   * Inserts or replaces by `message_id`. Within one call an id stands at most once. Users of inserted or changed
   * rows (of the old and of the new row) become touched no later than the row is visible.
   */
  upsert(o: { messages: readonly Message[] }): Promise<WriteCounts>;
  /** Touched users in ascending id, after `after`. */
  touched(o: { after: string | null; limit: number }): Promise<Touched[]>;
  /** Forgets touches whose token is still the newest. */
  settle(o: { touched: readonly Touched[] }): Promise<void>;
  /** Messages in ascending `message_id`, after `after`; of these users only, where given. */
  page(o: { after: string | null; limit: number; user_ids?: readonly string[] }): Promise<Message[]>;
  /** Recount of given intents on messages of role `user`, for these users, in ascending user and intent. */
  intentCounts(o: { user_ids: readonly string[] }): Promise<IntentCount[]>;
  /** Keeps refused rows; the same run, kind, source and position is kept once. */
  quarantine(o: { rows: readonly QuarantinedRow[] }): Promise<void>;
  /** Refused rows, newest run first, then by kind, source and position; those that have what is given. */
  quarantined(o: QuarantineFilter & { limit: number; offset: number }): Promise<QuarantinedRow[]>;
  /** Drops refused rows older than this ISO time; returns how many. */
  pruneQuarantine(o: { before: string }): Promise<number>;
  /** Removes every message of these users, and their touches; returns how many messages went. */
  deleteUsers(o: { user_ids: readonly string[] }): Promise<number>;
  counts(): Promise<DocumentCounts>;
  /** Hash of all messages, independent of order and write time. */
  digest(): Promise<string>;
  health(): Promise<Health>;
  close(): Promise<void>;
}
