import type {
  Abortable,
  DirtyUser,
  Health,
  HealthOptions,
  Message,
  QuarantinedRow,
  WriteCounts,
} from "../../core/types.ts";

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
export type QuarantineFilter = Partial<
  Pick<QuarantinedRow, "run_id" | "kind" | "source" | "position" | "reason">
>;

/** How many rows were refused for one reason. */
export interface ReasonCount extends Pick<QuarantinedRow, "kind" | "reason"> {
  readonly rows: number;
}

/** What a classifier made of one message. */
export interface Classification {
  readonly message_id: string;
  /** Null where the message is out of scope. */
  readonly intent: string | null;
  /** How well the message fits any intent at all, 0..1. */
  readonly score: number;
  /** The key of the classifier. */
  readonly classifier: string;
}

/** How many messages stand as one classifier found them. */
export interface ClassifierCount {
  readonly classifier: string;
  readonly messages: number;
  readonly out_of_scope: number;
}

/** A fitted classifier: its key, and what it consists of as text. */
export interface StoredClassifier {
  readonly key: string;
  readonly body: string;
}

/** A message whose given intent a classifier has learnt. */
export interface LabelledMessage {
  readonly message_id: string;
  readonly intent: string;
}

/**
 * Messages as they were said, what they were classified as, and the input rows that were refused. Where a message
 * has a given intent, that one counts; else the classified one.
 */
export interface DocumentStore {
  /**
   * Inserts or replaces by `message_id`. Within one call an id stands at most once. Users of inserted or changed
   * rows (of the old and of the new row) become touched no later than the row is visible. A changed text loses its
   * classification, and is no classifier's example any more; other changes leave both.
   */
  upsert(options: { messages: readonly Message[] } & Abortable): Promise<WriteCounts>;
  /** Touched users in ascending id, after `after`. */
  listDirtyUsers(options: { after: string | null; limit: number } & Abortable): Promise<DirtyUser[]>;
  /** Marks all users with rows here as dirty, as if they were new. */
  markAllDirty(options?: Abortable): Promise<void>;
  /** Forgets touches whose token is still the newest. */
  clearDirty(options: { touched: readonly DirtyUser[] } & Abortable): Promise<void>;
  /** Messages in ascending `message_id`, after `after`; of these users only, where given. */
  page(
    options: { after: string | null; limit: number; user_ids?: readonly string[] } & Abortable,
  ): Promise<Message[]>;
  /** Recount of intents on messages of role `user`, for these users, in ascending user and intent. */
  intentCounts(options: { user_ids: readonly string[] } & Abortable): Promise<IntentCount[]>;
  /**
   * Sets what messages were classified as; ids that are not there are passed over. Returns how many differ in their
   * intent from before. Users of those become touched no later than the change is visible.
   */
  classify(options: { rows: readonly Classification[] } & Abortable): Promise<number>;
  /**
   * Messages of role `user` without a given intent that this classifier has not classified, in ascending
   * `message_id`, after `after`.
   */
  unclassified(
    options: { classifier: string; after: string | null; limit: number } & Abortable,
  ): Promise<Message[]>;
  /** Messages of role `user` with neither a given nor a classified intent, in ascending `message_id`, after `after`. */
  unlabelled(options: { after: string | null; limit: number } & Abortable): Promise<Message[]>;
  /** What these messages were classified as, whichever were, in ascending `message_id`. */
  classifications(options: { message_ids: readonly string[] } & Abortable): Promise<Classification[]>;
  /** Messages by the classifier that they were classified by, in ascending key. */
  classifierCounts(options?: Abortable): Promise<ClassifierCount[]>;
  /** Ids of messages of role `user` with this given intent, newest first, ties by id. */
  labelled(options: { intent: string; limit: number } & Abortable): Promise<string[]>;
  /** Makes this the one classifier that is kept. `examples` are the labelled messages that it has learnt. */
  saveClassifier(
    options: { classifier: StoredClassifier; examples: readonly string[] } & Abortable,
  ): Promise<void>;
  /** The classifier that is kept; null while there is none. */
  classifier(options?: Abortable): Promise<StoredClassifier | null>;
  /** Examples of a classifier as far as they are still there, with their given intent, in ascending `message_id`. */
  examples(options: { classifier: string } & Abortable): Promise<LabelledMessage[]>;
  /** Keeps refused rows; the same run, kind, source and position is kept once. */
  quarantine(options: { rows: readonly QuarantinedRow[] } & Abortable): Promise<void>;
  /** Refused rows, newest run first, then by kind, source and position; those that have what is given. */
  quarantined(
    options: QuarantineFilter & { limit: number; offset: number } & Abortable,
  ): Promise<QuarantinedRow[]>;
  /** Why rows that have what is given were refused, the most frequent reason first, ties by kind and reason. */
  quarantineReasons(options: QuarantineFilter & { limit: number } & Abortable): Promise<ReasonCount[]>;
  /** Drops refused rows older than this ISO time; returns how many. */
  pruneQuarantine(options: { before: string } & Abortable): Promise<number>;
  /** Removes every message of these users, and their touches; returns how many messages went. */
  deleteUsers(options: { user_ids: readonly string[] } & Abortable): Promise<number>;
  counts(options?: Abortable): Promise<DocumentCounts>;
  /** Hash of all messages and their classifications, independent of order and write time. */
  digest(options?: Abortable): Promise<string>;
  health(options?: HealthOptions): Promise<Health>;
  close(): Promise<void>;
}
