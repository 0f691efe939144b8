import type { Health, Json, JsonObject } from "../../core/types.ts";

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
  readonly trigger: "manual" | "schedule";
  /** `dag|local date-time|zone` of a scheduled run: what keeps an occurrence from firing twice. */
  readonly occurrence: string | null;
  readonly logical_date: string;
  readonly interval_start: string;
  readonly interval_end: string;
  readonly params: JsonObject;
  readonly created_at: string;
  readonly started_at: string | null;
  readonly ended_at: string | null;
  readonly error: string | null;
  readonly cancel_requested: boolean;
}

export interface TaskRecord {
  readonly task_id: string;
  readonly state: TaskState;
  /** Attempts made so far, of any outcome: the number of the newest one. */
  readonly attempts: number;
  /** Attempts that count against the retries. */
  readonly tries: number;
  /** Attempts that were lost with their process. */
  readonly lost: number;
  /** Epoch milliseconds before which a ready task does not start. */
  readonly ready_at: number;
  readonly first_started_at: string | null;
  readonly output: Json;
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
  /** Attempts to start, best first; one is admitted only while its pool has room for its weight. */
  readonly starts?: readonly Start[];
  /** Slots by pool. A pool that is not named here has no limit. */
  readonly pools?: Readonly<Record<string, number>>;
}

export interface Progressed {
  readonly task_id: string;
  readonly attempt: number;
  readonly done: number;
  readonly total: number | null;
}

/** Runs, tasks, attempts, lineage and logs: the memory of the dag engine. */
export interface RunStore {
  /**
   * Adds a queued run with its tasks; false where the run id or the occurrence exists already. With a lease, only its
   * owner can claim the run until then.
   */
  create(o: {
    run: RunRecord;
    tasks: readonly TaskRecord[];
    lease?: { readonly owner: string; readonly until: number };
  }): Promise<boolean>;
  /**
   * Takes the lease of a run of these dags: one given by `run_id`, else an interrupted one, else the oldest queued one.
   * A queued run is given only while its dag has fewer running runs than its limit. Null when there is none.
   */
  claim(o: {
    owner: string;
    now: number;
    ttl_ms: number;
    max_active: Readonly<Record<string, number>>;
    run_id?: string;
  }): Promise<RunSnapshot | null>;
  /**
   * Applies changes under the owner's lease and returns the task ids of the admitted starts. `conflict` where the
   * lease is no longer the owner's; nothing is written then.
   */
  commit(
    o: { run_id: string; owner: string; now: number; changes: RunChanges },
  ): Promise<{ admitted: string[] }>;
  /** Renews the lease and records progress; says whether cancel was asked for. `conflict` as above. */
  heartbeat(o: {
    run_id: string;
    owner: string;
    now: number;
    ttl_ms: number;
    progress: readonly Progressed[];
  }): Promise<{ cancel_requested: boolean }>;
  /** Gives the lease back; the run stays as it is. */
  release(o: { run_id: string; owner: string }): Promise<void>;
  saveCheckpoint(o: { run_id: string; owner: string; task_id: string; value: Json }): Promise<void>;
  checkpoint(o: { run_id: string; task_id: string }): Promise<Json>;
  requestCancel(o: { run_id: string }): Promise<boolean>;
  snapshot(o: { run_id: string }): Promise<RunSnapshot | null>;
  /** Newest first. */
  runs(o: { dag_id?: string; states?: readonly RunState[]; limit: number }): Promise<RunRecord[]>;
  /** The newest logical date of a dag's scheduled runs, no later than `until`. */
  lastScheduled(o: { dag_id: string; until: string }): Promise<string | null>;
  lineage(o: { run_id: string }): Promise<(LineageEntry & { task_id: string; attempt: number })[]>;
  appendLogs(o: { run_id: string; lines: readonly LogLine[] }): Promise<void>;
  logs(o: { run_id: string; task_id?: string; attempt?: number; after: number; limit: number }): Promise<
    (LogLine & { seq: number })[]
  >;
  setPaused(o: { dag_id: string; paused: boolean }): Promise<void>;
  paused(): Promise<string[]>;
  /** Takes or renews the one scheduler lease; false while another process holds it. */
  lead(o: { owner: string; now: number; ttl_ms: number; lag_ms: number }): Promise<boolean>;
  /** The newest scheduler heartbeat; null if there never was one. */
  leader(): Promise<{ owner: string; last_tick: string; lag_ms: number; live_until: string } | null>;
  /** Removes ended runs that were created before this ISO time; returns how many. */
  prune(o: { before: string }): Promise<number>;
  health(): Promise<Health>;
  close(): Promise<void>;
}
