import { sha256 } from "../../core/hash.ts";
import type { Abortable, Health, HealthOptions, Json, JsonObject } from "../../core/types.ts";

/** A run that is `running` without a live lease was interrupted: the next process that claims it continues it. */
export const RUN_STATES = ["queued", "running", "success", "failed", "cancelled"] as const;
export type RunState = typeof RUN_STATES[number];

export const RUN_TRIGGERS = ["manual", "schedule", "dataset", "backfill", "external"] as const;

/** `ready` may start once `ready_at` has come: a task that waits for a retry is ready with a later time. */
export const TASK_STATES = [
  "waiting",
  "ready",
  "running",
  "success",
  "failed",
  "skipped",
  "upstream_failed",
  "cancelled",
  "removed",
] as const;
export type TaskState = typeof TASK_STATES[number];

/** `lost`: its process died. `interrupted`: its process was stopped. Neither uses up a retry. */
export type AttemptState =
  | "running"
  | "success"
  | "failed"
  | "skipped"
  | "timed_out"
  | "cancelled"
  | "interrupted"
  | "lost";

/** One execution of a dag for one logical date. Times are ISO 8601 in UTC. */
export interface RunRecord {
  readonly run_id: string;
  readonly dag_id: string;
  /** Hash of the dag's structure when the run was created. */
  readonly dag_version: string;
  readonly state: RunState;
  /** `dataset`: datasets were written. `external`: another engine decides what runs when; no Parley process claims the run. */
  readonly trigger: typeof RUN_TRIGGERS[number];
  /**
   * `dag|local date-time|zone` of a scheduled run, `dag|datasets|…` of one that datasets started. It is unique, so that an occurrence
   * does not fire twice.
   */
  readonly occurrence: string | null;
  readonly logical_date: string;
  readonly interval_start: string;
  readonly interval_end: string;
  readonly params: JsonObject;
  readonly created_at: string;
  readonly started_at: string | null;
  readonly ended_at: string | null;
  /** Why it failed, or why every task of a successful run was skipped; see {@link statusOf}. */
  readonly error: string | null;
  readonly cancel_requested: boolean;
  /** The backfill that it is part of; null if it is of none. */
  readonly backfill_id: string | null;
  /** When the lease of its process ends, in epoch milliseconds; 0 if no process has it, or another engine drives it. */
  readonly lease_until: number;
}

export interface TaskRecord {
  /** Of an instance of a mapped task, as {@link instanceId} makes it: attempts, logs and lineage have that id too. */
  readonly task_id: string;
  readonly state: TaskState;
  /** Attempts so far, of any outcome: the number of the newest one. */
  readonly attempts: number;
  /** Attempts that count against the retries. */
  readonly tries: number;
  /** Attempts that were lost with their process since the last checkpoint. */
  readonly lost: number;
  /** Epoch milliseconds before which a ready task does not start. */
  readonly ready_at: number;
  readonly first_started_at: string | null;
  readonly output: Json;
  /** The dependents that a branching task chose; null if it did not choose. */
  readonly branch: readonly string[] | null;
  readonly error: string | null;
}

export interface LineageEntry {
  readonly direction: "input" | "output";
  readonly namespace: string;
  readonly name: string;
  readonly rows: number | null;
  readonly bytes: number | null;
  readonly version: string | null;
  readonly fields: readonly string[];
  readonly quality: Readonly<Record<string, number>>;
}

export interface AttemptRecord {
  readonly task_id: string;
  readonly attempt: number;
  readonly state: AttemptState;
  readonly owner: string;
  readonly pool: string;
  readonly weight: number;
  readonly started_at: string;
  readonly ended_at: string | null;
  readonly error: string | null;
  readonly rows_in: number;
  readonly rows_out: number;
  readonly quarantined: number;
  readonly progress_done: number;
  readonly progress_total: number | null;
  /** What the result depends on: `code`, `model`, `schema`. */
  readonly versions: Readonly<Record<string, string>>;
  /** When an attempt's own lease ends, in epoch milliseconds, if its run is external; null under its run's lease. */
  readonly lease_until: number | null;
  /** The run of an outside engine that it is part of, as OpenLineage's `namespace/job/run`; null without one. */
  readonly parent: string | null;
}

/** An attempt that has ended, with the lineage that is recorded in the same transaction. */
export interface EndedAttempt extends AttemptRecord {
  readonly lineage: readonly LineageEntry[];
}

export interface RunSnapshot {
  readonly run: RunRecord;
  readonly tasks: readonly TaskRecord[];
  readonly attempts: readonly AttemptRecord[];
}

/** The outcome of one task of a run. Times and rows are its newest attempt's; of a mapped task, those of all its instances. */
export interface TaskHistory {
  readonly task_id: string;
  readonly state: TaskState;
  /** Attempts of any outcome; of a mapped task, 1 and the repeated ones. */
  readonly attempts: number;
  /** How many of them were lost with their process. */
  readonly lost: number;
  /** Null if there was no attempt. */
  readonly started_at: string | null;
  readonly ended_at: string | null;
  readonly rows_in: number;
  readonly rows_out: number;
  readonly quarantined: number;
  /** As {@link AttemptRecord.lease_until}; null if there was no attempt. */
  readonly lease_until: number | null;
}

/** A run with the outcomes of its tasks, in ascending id: all that statistics need, without output, errors and logs. */
export interface RunHistory {
  readonly run: RunRecord;
  readonly tasks: readonly TaskHistory[];
}

/** The output of one task in one run. */
export interface TaskOutput {
  readonly run_id: string;
  readonly created_at: string;
  readonly state: TaskState;
  /** Of the newest attempt; null before the first. */
  readonly ended_at: string | null;
  readonly output: Json;
}

export interface LogLine {
  readonly task_id: string;
  readonly attempt: number;
  readonly at: string;
  readonly line: string;
}

/** An attempt to start, with its task's record from then on. */
export interface Start {
  readonly attempt: AttemptRecord;
  readonly task: TaskRecord;
}

/** Changes to one run that become visible together. */
export interface RunChanges {
  /** Without `backfill_id` that stays. */
  readonly run?:
    & Pick<RunRecord, "state" | "started_at" | "ended_at" | "error">
    & Partial<Pick<RunRecord, "backfill_id">>;
  readonly tasks?: readonly TaskRecord[];
  readonly ended?: readonly EndedAttempt[];
  /**
   * Attempts to start, best first. One is admitted only if its pool has room for its weight and for all before it:
   * nothing overtakes within a pool, so that a heavy task gets its turn.
   */
  readonly starts?: readonly Start[];
  /** How many of `starts` are admitted at most. Default: all. */
  readonly limit?: number;
  /** Slots by pool. A pool that is not named here has no limit. */
  readonly pools?: Readonly<Record<string, number>>;
  /** Tasks whose checkpoints are dropped. */
  readonly discard?: readonly string[];
  /** What an operator did to the run. */
  readonly notes?: readonly RunNote[];
}

/** What an operator did to an ended run, or to one of its tasks. */
export interface RunNote {
  /** Null if it is about the run. */
  readonly task_id: string | null;
  /** `success` or `failed`: it was marked as that. `cleared`: it runs again. */
  readonly action: "success" | "failed" | "cleared";
  /** The name of who did it, if known. Never a key. */
  readonly by: string;
  /** Why; "" if that was not said. */
  readonly note: string;
  /** ISO 8601. */
  readonly at: string;
}

/** Names one attempt of a run. */
export interface AttemptKey {
  readonly task_id: string;
  readonly attempt: number;
}

/** Names one attempt of all runs. */
export interface AttemptOfRun extends AttemptKey {
  readonly run_id: string;
}

export interface AttemptProgress extends AttemptKey {
  readonly done: number;
  readonly total: number | null;
}

/** How many runs may be in progress at one time, over all processes with the same limits. */
export interface ActiveLimits {
  /** By dag. Runs of dags that are not named are not given. */
  readonly max_active: Readonly<Record<string, number>>;
  /** The groups of dags. A limit counts the running runs of all dags of its group. */
  readonly groups?: Readonly<Record<string, string>>;
}

export interface CreateOptions {
  readonly run: RunRecord;
  readonly tasks: readonly TaskRecord[];
  /** Until then, only its owner can claim the run. */
  readonly lease?: { readonly owner: string; readonly until: number };
}

export interface ReviseOptions {
  readonly run_id: string;
  readonly now: number;
  /** Pure, since it may be called again. If it throws, nothing is written. */
  readonly plan: (run: RunSnapshot) => RunChanges;
}

/** Which runs to list. Default all. */
export interface RunFilter {
  readonly dag_id?: string;
  readonly states?: readonly RunState[];
  readonly trigger?: RunRecord["trigger"];
  /** Only runs that succeeded because every task was skipped, or, if false, only others. */
  readonly skipped?: boolean;
  /** Only runs of this backfill. */
  readonly backfill_id?: string;
  /** Only runs whose logical date (ISO 8601) is not before this one. */
  readonly from?: string;
  /** Only runs whose logical date is before this one. */
  readonly to?: string;
  /** Only runs that come after this one in the list: those that were created earlier. */
  readonly after?: Pick<RunRecord, "created_at" | "run_id">;
}

/** A text of a run's records: `json` for params, outputs, checkpoints and what else has structure, else an error, a name or a log line. */
export interface RecordedText {
  /** Empty for a text of the audit log. */
  readonly run_id: string;
  readonly table: string;
  readonly column: string;
  readonly json: boolean;
  readonly text: string;
}

/**
 * What own dags and outside engines put into the records of runs, and callers into the ids of their requests; Parley's own
 * dags put no ids of users there.
 */
interface RecordedTextStore {
  /** Texts that contain one of these. */
  findTexts(options: { contain: readonly string[] } & Abortable): AsyncIterable<RecordedText>;
  /** Replaces such texts by what `replace` gives; JSON stays JSON. Returns how many it changed. */
  replaceTexts(
    options: { contain: readonly string[]; replace: (found: RecordedText) => string } & Abortable,
  ): Promise<number>;
}

/** Runs with their tasks, attempts and lineage. */
export interface RunRecordStore {
  /** Adds a queued run with its tasks; false if the run id or the occurrence exists already. */
  create(options: CreateOptions): Promise<boolean>;
  /**
   * Reads a run and changes it in one transaction, without its lease: for what no driver does. A run that `plan` sets
   * to `queued` can be claimed and is no longer cancelled. Throws `not_found` if there is no such run.
   */
  revise(options: ReviseOptions): Promise<{ admitted: string[] }>;
  /** Asks the process that drives a run to cancel it; ends a run that no process drives. False if the run has ended. */
  requestCancel(options: { run_id: string }): Promise<boolean>;
  snapshot(options: { run_id: string }): Promise<RunSnapshot | null>;
  /** What operators did to a run, oldest first. */
  runNotes(options: { run_id: string }): Promise<RunNote[]>;
  /** Newest first. */
  runs(options: RunFilter & { readonly limit: number }): Promise<RunRecord[]>;
  /** A dag's runs that were created at `since` (ISO) or later, newest first, at most `limit`, with their tasks. */
  history(options: { dag_id: string; since: string; limit: number }): Promise<RunHistory[]>;
  /** The outputs of one task in those runs, newest first, without those that are null. */
  outputs(options: { dag_id: string; task_id: string; since: string; limit: number }): Promise<TaskOutput[]>;
  lineage(options: { run_id: string }): Promise<(LineageEntry & AttemptKey)[]>;
  /**
   * Removes ended runs that were created before this ISO time; returns how many. Keeps each dag's newest run by its schedule and
   * by datasets, which say up to when that is done, and with `keep_unsent` the runs with attempts that were not sent to a
   * lineage sink yet. Removes notifications from before that time too, but those that one of these `sinks` has yet to get.
   */
  prune(options: { before: string; keep_unsent?: boolean; sinks?: readonly string[] }): Promise<number>;
}

/** What a backfill does with an occurrence that has a run which ended: leaves it, or runs it again if it failed, or in any case. */
export const REPROCESS = ["none", "failed", "completed"] as const;
export type Reprocess = typeof REPROCESS[number];

/** Runs of a dag's past occurrences, from the start of one day to the end of another. */
export interface Backfill {
  readonly backfill_id: string;
  readonly dag_id: string;
  /** The days, as `2026-05-01`, in the schedule's zone. */
  readonly from_day: string;
  readonly to_day: string;
  readonly reprocess: Reprocess;
  /** How many of its runs may be in progress at one time. */
  readonly max_active: number;
  /** Whether the newest occurrence comes first. */
  readonly backwards: boolean;
  /** ISO 8601. */
  readonly created_at: string;
  /** ISO 8601; null unless it was cancelled. */
  readonly cancelled_at: string | null;
}

/** A backfill with its runs, counted by state. */
export interface BackfillProgress extends Backfill {
  readonly runs: Readonly<Record<RunState, number>>;
}

/**
 * Backfills. Their runs are claimed after all others that are queued; they count for the limit of a group of dags, but not for that
 * of a dag alone, which its other runs have.
 */
interface BackfillStore {
  addBackfill(backfill: Backfill): Promise<void>;
  /** Newest first. One whose runs were all pruned is gone. */
  backfills(options: { dag_id?: string; backfill_id?: string; limit: number }): Promise<BackfillProgress[]>;
  /** Marks it as cancelled, and leaves its runs. False if there is no such backfill, or it was cancelled before. */
  cancelBackfill(options: { backfill_id: string; at: string }): Promise<boolean>;
}

export interface ClaimOptions extends ActiveLimits {
  readonly owner: string;
  readonly now: number;
  readonly ttl_ms: number;
  readonly run_id?: string;
}

export interface CommitOptions {
  readonly run_id: string;
  readonly owner: string;
  readonly now: number;
  readonly changes: RunChanges;
}

export interface HeartbeatOptions {
  readonly run_id: string;
  readonly owner: string;
  readonly now: number;
  readonly ttl_ms: number;
  readonly progress: readonly AttemptProgress[];
  readonly attempt?: AttemptKey;
}

/** What the process that drives a run does under the run's lease. */
export interface LeaseStore {
  /**
   * Takes the lease of a run of these dags: the one named by `run_id`, else an interrupted one, else the oldest queued
   * one, those of backfills last. A queued run is given only if its dag, or all dags of its group, have fewer running runs
   * than its limit; a scheduled one of a paused dag only by its id. A lease that ends later than two `ttl_ms` from now was taken before
   * the clock was put back, and counts as ended. Null if there is no such run.
   */
  claim(options: ClaimOptions): Promise<RunSnapshot | null>;
  /** Whether `claim` would give a run to another process. */
  hasDueRuns(options: ActiveLimits & { now: number; ttl_ms: number }): Promise<boolean>;
  /**
   * Applies changes under the owner's lease and returns the task ids of the admitted starts. Throws `conflict`, and
   * writes nothing, if the lease is no longer the owner's. An attempt ends once: repeating a commit whose answer was
   * lost changes nothing.
   */
  commit(options: CommitOptions): Promise<{ admitted: string[] }>;
  /**
   * Renews the run's lease, or with `attempt` that attempt's own, and records progress; says whether cancel was
   * requested. Throws `conflict` as above.
   */
  heartbeat(options: HeartbeatOptions): Promise<{ cancel_requested: boolean }>;
  /** Gives the lease back; the run stays as it is. */
  release(options: { run_id: string; owner: string }): Promise<void>;
  /**
   * Stores what a later attempt can continue from, and resets the count of lost attempts. Throws `conflict` if the
   * attempt is not running, or no longer the owner's.
   */
  saveCheckpoint(options: AttemptOfRun & { owner: string; value: Json }): Promise<void>;
  checkpoint(options: { run_id: string; task_id: string }): Promise<Json>;
}

export interface LogOptions {
  readonly run_id: string;
  readonly task_id?: string;
  readonly attempt?: number;
  readonly after: number;
  readonly limit: number;
}

/** What tasks print. */
export interface LogStore {
  appendLogs(options: { run_id: string; lines: readonly LogLine[] }): Promise<void>;
  /** In ascending `seq`, after `after`. */
  logs(options: LogOptions): Promise<(LogLine & { seq: number })[]>;
}

export interface LeadOptions {
  readonly owner: string;
  readonly now: number;
  readonly ttl_ms: number;
  readonly lag_ms: number;
}

/** The scheduler's newest heartbeat. Times are ISO 8601. */
export interface Leader {
  readonly owner: string;
  readonly last_tick: string;
  readonly lag_ms: number;
  readonly live_until: string;
}

/** A dataset that outlives its run: a number that grows whenever a task writes it, and when one last did, in ISO 8601. */
export interface DatasetWrites {
  /** As {@link datasetKey} makes it. */
  readonly dataset: string;
  readonly writes: number;
  readonly written_at: string;
}

/** What the scheduler reads and writes, and which dags are paused. */
export interface ScheduleStore {
  /** Those of these datasets that a task has written, in no order. */
  datasetWrites(options: { datasets: readonly string[] }): Promise<DatasetWrites[]>;
  /** The newest logical date of a dag's scheduled runs, no later than `until`. */
  lastScheduled(options: { dag_id: string; until: string }): Promise<string | null>;
  /** When a scheduler first saw a dag, in epoch milliseconds: `now` if none has. Never later than `now`. */
  firstSeen(options: { dag_id: string; now: number }): Promise<number>;
  setPaused(options: { dag_id: string; paused: boolean }): Promise<void>;
  paused(): Promise<string[]>;
  /** Takes or renews the one scheduler lease; false while another process has it, by the rules of `claim`. */
  lead(options: LeadOptions): Promise<boolean>;
  /** Null if there never was a scheduler. */
  leader(): Promise<Leader | null>;
}

/** An attempt whose start or end was not sent to the lineage sink yet, with its run and what it read and wrote. */
export interface UnsentAttempt {
  readonly run: RunRecord;
  readonly attempt: AttemptRecord;
  readonly lineage: readonly LineageEntry[];
  /** Whether the sink has its start already. */
  readonly start_sent: boolean;
  /** Since when it is due, in epoch milliseconds; 0 for one that was never put off. */
  readonly due_at: number;
}

/**
 * The attempts that are still to be sent to a lineage sink. An attempt is due from its start until that was sent, and again from
 * its end, so that its end, its lineage and its being due are one write.
 */
export interface LineageOutbox {
  /**
   * Takes attempts that are due at `now`, at most `limit`: first those that were never put off, then those that started or
   * ended first. They are due again at `again_at` unless they are marked as sent, since the process that took them may have
   * died. Both are epoch milliseconds.
   */
  takeUnsent(options: { now: number; again_at: number; limit: number }): Promise<UnsentAttempt[]>;
  /**
   * Marks attempts as sent (null), or sets when they are due again. One that was `running` when it was taken, and has ended
   * since, stays due.
   */
  markSent(
    options: { attempts: readonly (AttemptOfRun & { running?: boolean })[]; again_at: number | null },
  ): Promise<void>;
  /** How many ended attempts were not sent yet, due or not. */
  unsent(): Promise<number>;
}

/** What notifications are about. Each `ended` or `recovered` follows the one before it of the same subject. */
export type NotificationType =
  | "run.failed"
  | "run.recovered"
  | "deadline.missed"
  | "anomaly.opened"
  | "anomaly.ended";

/** What sinks get. It has no error and no param, since these may quote data. */
export interface NewNotification {
  readonly type: NotificationType;
  /** What it is about, such as `dag nightly`: of its newest notification follows what is news of it. */
  readonly subject: string;
  /** ISO 8601. */
  readonly at: string;
  readonly dag_id: string | null;
  readonly run_id: string | null;
  /** Ids, times and what else its type says. */
  readonly facts: JsonObject;
}

export interface Notification extends NewNotification {
  /** Its place in the order in which every sink gets notifications. */
  readonly seq: number;
}

/** How far a sink is behind. */
export interface SinkBacklog {
  readonly sink: string;
  readonly pending: number;
  /** When the oldest of these was added; null without any. */
  readonly since: string | null;
}

/**
 * What sinks get, in one order for all of them. The failure of a run, and the next success of its dag, are added by the write
 * that ends the run.
 */
interface NotificationOutbox {
  /**
   * Adds a notification; false if it is no news: a deadline or an anomaly that the newest one of its subject is about already, or
   * the end of what was not open.
   */
  addNotification(notification: NewNotification): Promise<boolean>;
  /** The subjects whose newest notification has this type. */
  subjectsWith(options: { type: NotificationType }): Promise<string[]>;
  /**
   * The next notifications of a sink, in order. None if another process has taken some less than `again_at - now` ago, or while the
   * sink is put off. A sink that is new gets those that are added from now on.
   */
  takeNotifications(
    options: { sink: string; now: number; again_at: number; limit: number },
  ): Promise<Notification[]>;
  /** Marks all up to `seq` as sent, and sets when the sink is due next (epoch milliseconds). */
  markNotified(options: { sink: string; seq: number; due_at: number }): Promise<void>;
  /** Newest first. */
  notifications(options: { limit: number }): Promise<Notification[]>;
  /** Of every sink that ever took notifications. */
  sinkBacklogs(): Promise<SinkBacklog[]>;
}

/**
 * Says that an anomaly is known. Until it ends, the anomaly counts neither for the overview nor for the exit code,
 * unless it begins again.
 */
export interface Acknowledgement {
  /** The anomaly's id, such as `run_failed:nightly/embed`. */
  readonly anomaly_id: string;
  /** ISO time at which the acknowledged incident began: a later one is another incident. */
  readonly since: string;
  /** The name of the user who acknowledged it, if known. Never a key. */
  readonly by: string;
  /** ISO times: when it was acknowledged, and until when that holds. */
  readonly at: string;
  readonly until: string;
}

export interface AcknowledgementStore {
  /** Acknowledges an anomaly, replacing an earlier acknowledgement; removes those whose `until` is before `at`. */
  acknowledge(options: Acknowledgement): Promise<void>;
  /** Takes an acknowledgement back; false if there was none. */
  unacknowledge(options: { anomaly_id: string }): Promise<boolean>;
  /** All stored acknowledgements, also those that are over, by anomaly id. */
  acknowledgements(): Promise<Acknowledgement[]>;
}

/** Sessions of the pages that were ended before their cookies expire. */
export interface SessionStore {
  /**
   * Ends a session for every process on this store, until its cookie expires at `until` (epoch milliseconds); removes
   * those that have expired by `now`.
   */
  endSession(options: { session_id: string; until: number; now: number }): Promise<void>;
  isSessionEnded(options: { session_id: string }): Promise<boolean>;
}

/** What an audited request was about: ids of campaigns, runs, dags and anomalies, and numbers. Never ids of users. */
export interface AuditFacts {
  readonly [name: string]: string | number | boolean | null | readonly string[];
}

/** A write, or another request that needs the scope `write` or `admin`, as it was answered. */
export interface AuditEntry {
  /** ISO time of the answer. */
  readonly at: string;
  readonly request_id: string;
  /** `key` or `session` with the short fingerprint of the key, or `open` on a service without keys. */
  readonly by: string;
  readonly method: string;
  /** The route's pattern, such as `/users/:user_id`. */
  readonly route: string;
  /** The HTTP status of the answer. */
  readonly status: number;
  /** The keyed hash of the user in the path, as tombstones have it; null without one. */
  readonly user_hash: string | null;
  readonly facts: AuditFacts;
}

export interface AuditStore {
  /** Adds an entry, which is on disk when this resolves. */
  addAuditEntry(entry: AuditEntry): Promise<void>;
  /** Newest first; with `before`, only those with a lower number. */
  auditEntries(options: { before?: number; limit: number }): Promise<(AuditEntry & { seq: number })[]>;
  /** Removes the entries from before this ISO time; returns how many. */
  pruneAuditEntries(options: { before: string } & Abortable): Promise<number>;
}

/** A row of a table, by its columns. */
type TableRow = Readonly<Record<string, string | number | null | Uint8Array>>;

/** The rows of a store as they are, to be copied into another store of its kind. */
export interface StoredTables {
  /** Of the tables; one that others refer to comes before them. */
  readonly names: readonly string[];
  /** All rows in the order of the table's key, page by page. `after` is what a page before ended with, null for all. */
  read(
    options: { table: string; after: string | null } & Abortable,
  ): AsyncIterable<{ readonly rows: readonly TableRow[]; readonly after: string }>;
  /** Replaces the rows of these keys. */
  restore(options: { table: string; rows: readonly TableRow[] } & Abortable): Promise<void>;
  /** Hash of all rows of all tables, independent of their order. */
  digest(options?: Abortable): Promise<string>;
}

/** The memory of the dag engine, and what operators did. */
export interface RunStore
  extends
    RunRecordStore,
    BackfillStore,
    LeaseStore,
    LogStore,
    ScheduleStore,
    LineageOutbox,
    NotificationOutbox,
    AcknowledgementStore,
    SessionStore,
    AuditStore,
    RecordedTextStore {
  /** All rows but the scheduler's lease, to be copied to another store. */
  readonly tables: StoredTables;
  /** Takes the bytes of deleted rows out of the files, as far as that is in this side's power. */
  compact(options?: Abortable): Promise<void>;
  health(options?: HealthOptions): Promise<Health>;
  close(): Promise<void>;
}

/** The key of a dataset for counting its writes: a hash, since a name can have the id of a user by mistake. */
export function datasetKey({ namespace, name }: Pick<LineageEntry, "namespace" | "name">): string {
  return sha256(JSON.stringify([namespace, name])).slice(0, 32);
}

/** The id of a mapped task's instance for the item at `map_index`: `embed[3]`. No task's own id has a bracket. */
export function instanceId(task_id: string, map_index: number): string {
  return `${task_id}[${map_index}]`;
}

/** The task's own id, and the index of its item if this is the id of an instance of a mapped task; else null. */
export function taskInstance(id: string): { readonly task_id: string; readonly map_index: number | null } {
  const bracket = id.indexOf("[");
  if (bracket === -1) return { task_id: id, map_index: null };
  return { task_id: id.slice(0, bracket), map_index: Number(id.slice(bracket + 1, -1)) };
}

type LeasedRun = Pick<RunRecord, "state" | "trigger" | "lease_until">;

/** Whether a run is in progress and no process works on it: its process died, and no other has claimed it yet. */
export function isInterrupted({ state, trigger, lease_until }: LeasedRun, now: number): boolean {
  return state === "running" && trigger !== "external" && lease_until < now;
}

/** Whether a run succeeded because every task was skipped; its `error` says why. */
export function isSkipped({ state, error }: Pick<RunRecord, "state" | "error">): boolean {
  return state === "success" && error !== null;
}

/** A run's status at `now` (epoch milliseconds). A success in which every task was skipped has one of its own. */
export function statusOf(
  run: LeasedRun & Pick<RunRecord, "error">,
  now: number,
): RunState | "skipped" | "interrupted" {
  if (isInterrupted(run, now)) return "interrupted";
  return isSkipped(run) ? "skipped" : run.state;
}
