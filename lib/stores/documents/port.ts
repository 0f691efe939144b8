import type {
  Abortable,
  DirtyUser,
  Health,
  HealthOptions,
  Message,
  OnOutcome,
  PageOptions,
  QuarantinedRow,
  WriteCounts,
} from "../../core/types.ts";
import type { TombstoneStore } from "../tombstones/port.ts";
import type { BulkWriter } from "../bulk/port.ts";

/** How often one user expressed one intent, and when last (ISO time). */
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

/** Which refused rows to read: those with these values. */
export type QuarantineFilter = Partial<
  Pick<QuarantinedRow, "run_id" | "kind" | "source" | "position" | "reason">
>;

/** Where a refused row was. */
export type QuarantinePosition = Pick<QuarantinedRow, "run_id" | "kind" | "source" | "position">;

/** How many rows were refused for one reason. */
export interface ReasonCount extends Pick<QuarantinedRow, "kind" | "reason"> {
  readonly rows: number;
}

/** The result of a classifier for one message. */
export interface Classification {
  readonly message_id: string;
  /** Null if the message is out of scope. */
  readonly intent: string | null;
  /** How well the message fits any intent at all, 0..1. */
  readonly score: number;
  /** The key of the classifier. */
  readonly classifier: string;
}

/** How many messages have the results of one classifier. */
export interface ClassifierCount {
  readonly classifier: string;
  readonly messages: number;
  readonly out_of_scope: number;
}

/** A fitted classifier, with its parameters as text. */
export interface StoredClassifier {
  readonly key: string;
  readonly body: string;
}

/** A message whose given intent a classifier was trained on. */
export interface LabelledMessage {
  readonly message_id: string;
  readonly intent: string;
}

/** Users with writes that nothing was derived from yet. A write marks its users no later than its rows are visible. */
export interface DirtyUserStore {
  listDirtyUsers(options: PageOptions): Promise<DirtyUser[]>;
  /** Those of these users that are dirty. */
  findDirtyUsers(options: { user_ids: readonly string[] } & Abortable): Promise<DirtyUser[]>;
  /** Marks all users with rows here as dirty, as if they were new. */
  markAllDirty(options?: Abortable): Promise<void>;
  /** Clears those that were not marked again since they were listed, which their tokens tell. */
  clearDirty(options: { users: readonly DirtyUser[] } & Abortable): Promise<void>;
}

export interface MessageStore extends DirtyUserStore {
  /** Marks users as dirty who need not have messages any more. */
  markDirty(options: { user_ids: readonly string[] } & Abortable): Promise<void>;
  /**
   * Inserts or replaces by `message_id`, which may be in one call only once. Marks the users of inserted or changed rows
   * (of the old and of the new row) as dirty. A changed text loses its classification, and is no classifier's example
   * any more; other changes leave both.
   */
  upsert(
    options: { messages: readonly Message[]; onOutcome?: OnOutcome | undefined } & Abortable,
  ): Promise<WriteCounts>;
  /** Messages in ascending `message_id`; with `user_ids`, only those of these users. */
  page(options: PageOptions & { user_ids?: readonly string[] }): Promise<Message[]>;
  /** Recount of intents on messages of role `user`, for these users, in ascending user and intent. */
  intentCounts(options: { user_ids: readonly string[] } & Abortable): Promise<IntentCount[]>;
}

/** The intents of messages. A given intent counts, if a message has one; else the classified one. */
export interface ClassificationStore {
  /**
   * Sets the results of classification; unknown ids are skipped. Returns how many messages have another intent than
   * before, and marks their users as dirty.
   */
  classify(options: { rows: readonly Classification[] } & Abortable): Promise<number>;
  /** Messages of role `user` without a given intent that this classifier has not classified, in ascending id. */
  unclassified(options: PageOptions & { classifier: string }): Promise<Message[]>;
  /** Messages of role `user` with neither a given nor a classified intent, in ascending id. */
  unlabelled(options: PageOptions): Promise<Message[]>;
  /** Results for those of these messages that were classified, in ascending id. */
  classifications(options: { message_ids: readonly string[] } & Abortable): Promise<Classification[]>;
  /** Numbers of messages by classifier, in ascending key. */
  classifierCounts(options?: Abortable): Promise<ClassifierCount[]>;
  /** Ids of messages of role `user` with this given intent, newest first, ties by id. */
  labelled(options: { intent: string; limit: number } & Abortable): Promise<string[]>;
  /** Replaces the stored classifier. `examples` are the labelled messages that it was trained on. */
  saveClassifier(
    options: { classifier: StoredClassifier; examples: readonly string[] } & Abortable,
  ): Promise<void>;
  /** The stored classifier; null before the first is saved. */
  classifier(options?: Abortable): Promise<StoredClassifier | null>;
  /** Examples of a classifier that still exist, with their given intent, in ascending `message_id`. */
  examples(options: { classifier: string } & Abortable): Promise<LabelledMessage[]>;
}

export interface QuarantineStore {
  /** Adds refused rows; one with the run, kind, source and position of an earlier one is not added again. */
  quarantine(options: { rows: readonly QuarantinedRow[] } & Abortable): Promise<void>;
  /** Newest run first, then by kind, source and position. */
  quarantined(
    options: QuarantineFilter & { limit: number; offset: number } & Abortable,
  ): Promise<QuarantinedRow[]>;
  /**
   * All of them page by page, in an order of the store's own, so that reading many takes as long for the last as for the first.
   * `after` is what a page before ended with, null for all.
   */
  quarantinePages(
    options: { after: string | null } & Abortable,
  ): AsyncIterable<{ readonly rows: readonly QuarantinedRow[]; readonly after: string }>;
  /** Why rows were refused, the most frequent reason first, ties by kind and reason. */
  quarantineReasons(options: QuarantineFilter & { limit: number } & Abortable): Promise<ReasonCount[]>;
  /** Removes these rows; returns how many there were. */
  deleteQuarantined(options: { rows: readonly QuarantinePosition[] } & Abortable): Promise<number>;
  /** Removes rows older than this ISO time; returns how many. */
  pruneQuarantine(options: { before: string } & Abortable): Promise<number>;
}

export interface DocumentStore extends MessageStore, ClassificationStore, QuarantineStore, BulkWriter {
  readonly tombstones: TombstoneStore;
  /** Removes all messages of these users, and their marks as dirty; returns how many messages it removed. */
  deleteUsers(options: { user_ids: readonly string[] } & Abortable): Promise<number>;
  /** Takes the bytes of deleted rows out of the files, as far as that is in this side's power. */
  compact(options?: Abortable): Promise<void>;
  counts(options?: Abortable): Promise<DocumentCounts>;
  /** Hash of all messages and their classifications, independent of order and write time. */
  digest(options?: Abortable): Promise<string>;
  health(options?: HealthOptions): Promise<Health>;
  close(): Promise<void>;
}
