import type { Health, HealthOptions, Json, JsonObject } from "../../core/types.ts";
import type { AcknowledgementStore } from "./acknowledgements.ts";
import type { LineageOutbox } from "./outbox.ts";

export type { Acknowledgement, AcknowledgementStore } from "./acknowledgements.ts";
export { isInterrupted, isSkipped, statusOf } from "./status.ts";
export type { AttemptOfRun, LineageOutbox, UnsentAttempt } from "./outbox.ts";

/** `running` with no live lease is an interrupted run: the next process that claims it goes on. */
export const RUN_STATES = ["queued", "running", "success", "failed", "cancelled"] as const;
export type RunState = typeof RUN_STATES[number];

/** `ready` may start once `ready_at` has come: a task that waits for a retry is ready with a later time. */
export type TaskState =
  | "waiting"
  | "ready"
  | "running"
  | "success"
  | "failed"
  | "skipped"
  | "upstream_failed"
  | "cancelled"
  | "removed";

/** `lost`: its process died. `interrupted`: its process was told to stop. Neither uses up a retry. */
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
  /** Hash of the dag's structure when the run was made. */
  readonly dag_version: string;
  readonly state: RunState;
  /** `external`: an engine outside decides what runs when; no process of ours claims the run. */
  readonly trigger: "manual" | "schedule" | "external";
  /** `dag|local date-time|zone` of a scheduled run: what keeps an occurrence from firing twice. */
  readonly occurrence: string | null;
  readonly logical_date: string;
  readonly interval_start: string;
  readonly interval_end: string;
  readonly params: JsonObject;
  readonly created_at: string;
  readonly started_at: string | null;
  readonly ended_at: string | null;
  /** Why it failed; of a success in which every task was skipped, why: see {@link statusOf}. */
  readonly error: string | null;
  readonly cancel_requested: boolean;
  /** Until when a process holds it, in epoch milliseconds; 0 if none does, or an engine outside drives it. */
  readonly lease_until: number;
}

export interface TaskRecord {
  readonly task_id: string;
  readonly state: TaskState;
  /** Attempts made so far, of any outcome: the number of the newest one. */
  readonly attempts: number;
  /** Attempts that count against the retries. */
  readonly tries: number;
  /** Attempts that were lost with their process since one last saved a checkpoint. */
  readonly lost: number;
  /** Epoch milliseconds before which a ready task does not start. */
  readonly ready_at: number;
  readonly first_started_at: string | null;
  readonly output: Json;
  /** The dependents that a branching task chose; null where it did not choose. */
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
  /** Epoch milliseconds until which an attempt of an external run holds on its own; null under its run's lease. */
  readonly lease_until: number | null;
}

/** An attempt as it ended, with the lineage that is recorded in the same transaction. */
export interface EndedAttempt extends AttemptRecord {
  readonly lineage: readonly LineageEntry[];
}

export interface RunSnapshot {
  readonly run: RunRecord;
  readonly tasks: readonly TaskRecord[];
  readonly attempts: readonly AttemptRecord[];
}

/** What one task of a run came to. Times and rows are its newest attempt's. */
export interface TaskHistory {
  readonly task_id: string;
  readonly state: TaskState;
  /** Attempts of any outcome. */
  readonly attempts: number;
  /** Those of them that were lost with their process. */
  readonly lost: number;
  /** Null where there was no attempt. */
  readonly started_at: string | null;
  readonly ended_at: string | null;
  readonly rows_in: number;
  readonly rows_out: number;
  readonly quarantined: number;
  /** As {@link AttemptRecord.lease_until}; null where there was no attempt. */
  readonly lease_until: number | null;
}

/** A run with what its tasks came to, in ascending id: all that statistics need, and no output, error or log. */
export interface RunHistory {
  readonly run: RunRecord;
  readonly tasks: readonly TaskHistory[];
}

/** What one task left in one run. */
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

/** An attempt about to start, with its task as it will then stand. */
export interface Start {
  readonly attempt: AttemptRecord;
  readonly task: TaskRecord;
}

/** Changes to one run that become visible together. */
export interface RunChanges {
  readonly run?: Pick<RunRecord, "state" | "started_at" | "ended_at" | "error">;
  readonly tasks?: readonly TaskRecord[];
  readonly ended?: readonly EndedAttempt[];
  /**
   * Attempts to start, best first. One is admitted only while its pool has room for its weight and for all before it:
   * nothing overtakes within a pool, so that a heavy task gets its turn.
   */
  readonly starts?: readonly Start[];
  /** How many of `starts` are admitted at most. Default all. */
  readonly limit?: number;
  /** Slots by pool. A pool that is not named here has no limit. */
  readonly pools?: Readonly<Record<string, number>>;
  /** Tasks whose checkpoints are dropped. */
  readonly discard?: readonly string[];
}

/** Which attempt a call speaks for. */
export interface AttemptKey {
  readonly task_id: string;
  readonly attempt: number;
}

export interface Progressed extends AttemptKey {
  readonly done: number;
  readonly total: number | null;
}

/** How many runs may go on at one time, over all processes that say the same. */
export interface ActiveLimits {
  /** By dag; runs of dags that are not named are not given. */
  readonly max_active: Readonly<Record<string, number>>;
  /** The groups of the dags that have one: a limit counts the running runs of all dags of its group. */
  readonly groups?: Readonly<Record<string, string>>;
}

/** Runs, tasks, attempts, lineage and logs: the memory of the dag engine, and what operators did. */
export interface RunStore extends LineageOutbox, AcknowledgementStore {
  /**
   * Adds a queued run with its tasks; false where the run id or the occurrence exists already. With a lease, only its
   * owner can claim the run until then.
   */
  create(options: {
    run: RunRecord;
    tasks: readonly TaskRecord[];
    lease?: { readonly owner: string; readonly until: number };
  }): Promise<boolean>;
  /**
   * Takes the lease of a run of these dags: one given by `run_id`, else an interrupted one, else the oldest queued one.
   * A queued run is given only while its dag, or all dags of its group, have fewer running runs than its limit; a
   * scheduled one of a paused dag only by its id. A lease that ends later than two `ttl_ms` from now was taken before the clock was put back, and
   * counts as ended. Null when there is none.
   */
  claim(
    options: ActiveLimits & { owner: string; now: number; ttl_ms: number; run_id?: string },
  ): Promise<RunSnapshot | null>;
  /** Whether `claim` would give a run to somebody new. */
  hasDueRuns(options: ActiveLimits & { now: number; ttl_ms: number }): Promise<boolean>;
  /**
   * Applies changes under the owner's lease and returns the task ids of the admitted starts. `conflict` where the
   * lease is no longer the owner's; nothing is written then. An attempt ends once: repeating a commit whose answer was
   * lost changes nothing.
   */
  commit(
    options: { run_id: string; owner: string; now: number; changes: RunChanges },
  ): Promise<{ admitted: string[] }>;
  /**
   * Reads a run and changes it in one transaction, without its lease: for what no driver does. A run that `plan` sets
   * to `queued` is free to be claimed and no longer cancelled. `plan` is pure, since it may be called again; where it
   * throws, nothing is written. `not_found` where there is no such run.
   */
  revise(
    options: { run_id: string; now: number; plan: (run: RunSnapshot) => RunChanges },
  ): Promise<{ admitted: string[] }>;
  /**
   * Renews the run's lease, or with `attempt` that attempt's own, and records progress; says whether cancel was asked
   * for. `conflict` as above.
   */
  heartbeat(options: {
    run_id: string;
    owner: string;
    now: number;
    ttl_ms: number;
    progress: readonly Progressed[];
    attempt?: AttemptKey;
  }): Promise<{ cancel_requested: boolean }>;
  /** Gives the lease back; the run stays as it is. */
  release(options: { run_id: string; owner: string }): Promise<void>;
  /**
   * Keeps what a later attempt can go on from, and forgets what was lost before. `conflict` where the attempt is not
   * running, or no longer the owner's.
   */
  saveCheckpoint(options: AttemptKey & { run_id: string; owner: string; value: Json }): Promise<void>;
  checkpoint(options: { run_id: string; task_id: string }): Promise<Json>;
  /** Asks whoever drives a run to cancel it; ends one that nobody drives. False where the run has ended. */
  requestCancel(options: { run_id: string }): Promise<boolean>;
  snapshot(options: { run_id: string }): Promise<RunSnapshot | null>;
  /** Newest first. */
  runs(options: { dag_id?: string; states?: readonly RunState[]; limit: number }): Promise<RunRecord[]>;
  /** A dag's runs that were created at `since` (ISO) or later, newest first, at most `limit`, with their tasks. */
  history(options: { dag_id: string; since: string; limit: number }): Promise<RunHistory[]>;
  /** What one task left in those runs, newest first; runs in which it left null are passed over. */
  outputs(options: { dag_id: string; task_id: string; since: string; limit: number }): Promise<TaskOutput[]>;
  /** The newest logical date of a dag's scheduled runs, no later than `until`. */
  lastScheduled(options: { dag_id: string; until: string }): Promise<string | null>;
  /** When a scheduler first saw a dag, in epoch milliseconds: `now`, where none has. Never later than `now`. */
  firstSeen(options: { dag_id: string; now: number }): Promise<number>;
  lineage(options: { run_id: string }): Promise<(LineageEntry & { task_id: string; attempt: number })[]>;
  appendLogs(options: { run_id: string; lines: readonly LogLine[] }): Promise<void>;
  logs(
    options: { run_id: string; task_id?: string; attempt?: number; after: number; limit: number },
  ): Promise<
    (LogLine & { seq: number })[]
  >;
  setPaused(options: { dag_id: string; paused: boolean }): Promise<void>;
  paused(): Promise<string[]>;
  /**
   * Ends a session of the pages for every process on this store, until its cookie has run out at `until` (epoch milliseconds);
   * forgets those that have by `now`.
   */
  endSession(options: { session_id: string; until: number; now: number }): Promise<void>;
  isSessionEnded(options: { session_id: string }): Promise<boolean>;
  /** Takes or renews the one scheduler lease; false while another process holds it, by the rules of `claim`. */
  lead(options: { owner: string; now: number; ttl_ms: number; lag_ms: number }): Promise<boolean>;
  /** The newest scheduler heartbeat; null if there never was one. */
  leader(): Promise<{ owner: string; last_tick: string; lag_ms: number; live_until: string } | null>;
  /**
   * Removes runs that were created before this ISO time and in which nothing goes on; returns how many. Keeps each
   * dag's newest scheduled run, which says up to when its schedule is done, and with `keep_unsent` the runs of which a
   * lineage sink has not heard all.
   */
  prune(options: { before: string; keep_unsent?: boolean }): Promise<number>;
  health(options?: HealthOptions): Promise<Health>;
  close(): Promise<void>;
}
