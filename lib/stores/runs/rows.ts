import { ParleyError } from "../../core/errors.ts";
import type {
  ActiveLimits,
  AttemptKey,
  AttemptOfRun,
  AttemptRecord,
  AttemptState,
  AuditEntry,
  Backfill,
  BackfillProgress,
  LineageEntry,
  Notification,
  RunHistory,
  RunRecord,
  RunState,
  TaskHistory,
  TaskOutput,
  TaskRecord,
  TaskState,
  UnsentAttempt,
} from "./port.ts";

/** A row of `pipeline_runs`: structures as JSON text, booleans as 0 or 1. */
export type RunRow = Omit<RunRecord, "params" | "cancel_requested"> & {
  readonly params: string;
  readonly cancel_requested: number;
  readonly owner: string | null;
};
export type TaskRow = Omit<TaskRecord, "output" | "branch"> & {
  readonly output: string;
  readonly branch: string | null;
};
export type AttemptRow = Omit<AttemptRecord, "versions"> & {
  readonly run_id: string;
  readonly versions: string;
  readonly send_at: number | null;
  readonly start_sent: number;
};
export type LineageRow = Omit<LineageEntry, "fields" | "quality"> & {
  readonly task_id: string;
  readonly attempt: number;
  readonly fields: string;
  readonly quality: string;
};

export function runOf({ owner: _owner, ...row }: RunRow): RunRecord {
  return { ...row, params: JSON.parse(row.params), cancel_requested: row.cancel_requested === 1 };
}

export function taskOf(row: TaskRow): TaskRecord {
  const { task_id, state, attempts, tries, lost, ready_at, first_started_at, error } = row;
  return {
    task_id,
    state,
    attempts,
    tries,
    lost,
    ready_at,
    first_started_at,
    error,
    output: JSON.parse(row.output),
    branch: row.branch === null ? null : JSON.parse(row.branch),
  };
}

/** A task's record as its columns. */
export function taskRow(run_id: string, task: TaskRecord): TaskRow & { run_id: string } {
  const branch = task.branch === null ? null : JSON.stringify(task.branch);
  return { ...task, run_id, output: JSON.stringify(task.output), branch };
}

export function attemptOf(
  { run_id: _run, send_at: _due, start_sent: _sent, ...rest }: AttemptRow,
): AttemptRecord {
  return { ...rest, versions: JSON.parse(rest.versions) };
}

export function lineageOf(
  { run_id: _run, ...row }: LineageRow & { run_id?: string },
): LineageEntry & AttemptKey {
  return { ...row, fields: JSON.parse(row.fields), quality: JSON.parse(row.quality) };
}

/** Of an attempt that begins. */
const NOTHING_DONE = { rows_in: 0, rows_out: 0, quarantined: 0, progress_done: 0 };

/** An attempt that begins, as its columns. */
export function attemptRow(run_id: string, attempt: AttemptRecord) {
  const { task_id, attempt: number, owner, pool, weight, started_at, lease_until, parent } = attempt;
  const versions = JSON.stringify(attempt.versions);
  const key = { run_id, task_id, attempt: number };
  return {
    ...key,
    state: "running",
    owner,
    pool,
    weight,
    started_at,
    ...NOTHING_DONE,
    versions,
    lease_until,
    parent,
  };
}

/** What an attempt's end sets, as its columns. */
export function endRow(run_id: string, attempt: AttemptRecord) {
  const { task_id, attempt: number, state, ended_at, error, rows_in, rows_out, quarantined } = attempt;
  const { progress_done, progress_total } = attempt;
  const counts = { rows_in, rows_out, quarantined, progress_done, progress_total };
  const versions = JSON.stringify(attempt.versions);
  return { run_id, task_id, attempt: number, state, ended_at, error, ...counts, versions, send_at: 0 };
}

export const LINEAGE_COLUMNS =
  "task_id, attempt, direction, namespace, name, rows, bytes, version, fields, quality";

export function lineageRow({ fields, quality, ...entry }: LineageEntry) {
  return { ...entry, fields: JSON.stringify(fields), quality: JSON.stringify(quality) };
}

/** A run with its tasks and attempts as JSON arrays, each in ascending task and attempt: one row instead of hundreds. */
export type HistoryRow = RunRow & { readonly tasks: string; readonly attempts: string };
type TaskFact = readonly [task_id: string, state: TaskState];
type AttemptFact = readonly [
  task_id: string,
  state: AttemptState,
  started_at: string,
  ended_at: string | null,
  rows_in: number,
  rows_out: number,
  quarantined: number,
  lease_until: number | null,
  attempts: number,
  lost: number,
];
export const TASK_FACTS = "task_id, state";
export const ATTEMPT_FACTS =
  "task_id, state, started_at, ended_at, rows_in, rows_out, quarantined, lease_until, attempts, lost";

/** The condition of ids of instances of mapped tasks, and the id of their task. SQLite has no function that finds a bracket. */
const IS_INSTANCE = "task_id LIKE '%]'";
const MAPPED_ID = "rtrim(rtrim(rtrim(task_id, ']'), '0123456789'), '[')";

/** The tasks of the run \`r\` without instances of mapped tasks. */
export const HISTORY_TASKS = `(SELECT * FROM pipeline_tasks WHERE run_id = r.run_id AND NOT ${IS_INSTANCE})`;
/** The attempts of the run \`r\`. Those of a mapped task's instances are one, with the rows of those that succeeded. */
export const HISTORY_ATTEMPTS = `(
  SELECT task_id, attempt, state, started_at, ended_at, rows_in, rows_out, quarantined, lease_until, 1 AS attempts,
    CASE state WHEN 'lost' THEN 1 ELSE 0 END AS lost
  FROM pipeline_attempts WHERE run_id = r.run_id AND NOT ${IS_INSTANCE}
  UNION ALL
  SELECT ${MAPPED_ID}, 1, 'success', min(started_at), max(ended_at), ${
  ["rows_in", "rows_out", "quarantined"].map((rows) =>
    `sum(CASE state WHEN 'success' THEN ${rows} ELSE 0 END)`
  )
}, max(lease_until), count(*) - count(DISTINCT task_id) + 1, sum(CASE state WHEN 'lost' THEN 1 ELSE 0 END)
  FROM pipeline_attempts WHERE run_id = r.run_id AND ${IS_INSTANCE} GROUP BY ${MAPPED_ID})`;

export function historyOf({ tasks, attempts, ...run }: HistoryRow): RunHistory {
  const byTask = Map.groupBy(JSON.parse(attempts) as AttemptFact[], ([task_id]) => task_id);
  const facts = JSON.parse(tasks) as TaskFact[];
  return { run: runOf(run), tasks: facts.map((task) => taskHistory(task, byTask.get(task[0]) ?? [])) };
}

function taskHistory([task_id, state]: TaskFact, attempts: readonly AttemptFact[]): TaskHistory {
  const [
    ,
    ,
    started_at = null,
    ended_at = null,
    rows_in = 0,
    rows_out = 0,
    quarantined = 0,
    lease_until = null,
  ] = attempts.at(-1) ?? [];
  const total = (counts: readonly number[]) => counts.reduce((sum, n) => sum + n, 0);
  return {
    task_id,
    state,
    attempts: total(attempts.map((attempt) => attempt[8])),
    lost: total(attempts.map((attempt) => attempt[9])),
    started_at,
    ended_at,
    rows_in,
    rows_out,
    quarantined,
    lease_until,
  };
}

/** The condition of ended attempts that were not sent to a lineage sink yet. */
export const UNSENT = "send_at IS NOT NULL AND ended_at IS NOT NULL";

/** Attempts with their runs and lineage. */
export function unsentOf(
  attempts: readonly AttemptRow[],
  runs: readonly RunRow[],
  lineage: readonly (LineageRow & { readonly run_id: string })[],
): UnsentAttempt[] {
  const byId = new Map(runs.map((row) => [row.run_id, runOf(row)]));
  const byAttempt = Map.groupBy(lineage, keyOf);
  return attempts.map((row) => ({
    run: byId.get(row.run_id)!,
    attempt: attemptOf(row),
    lineage: (byAttempt.get(keyOf(row)) ?? []).map(entryOf),
    start_sent: row.start_sent === 1,
    due_at: row.send_at ?? 0,
  }));
}

function keyOf({ run_id, task_id, attempt }: AttemptOfRun): string {
  return JSON.stringify([run_id, task_id, attempt]);
}

function entryOf(row: LineageRow & { readonly run_id: string }): LineageEntry {
  const { task_id: _task, attempt: _attempt, ...entry } = lineageOf(row);
  return entry;
}

export type OutputRow = Omit<TaskOutput, "output"> & { readonly output: string };

export function outputOf(row: OutputRow): TaskOutput {
  return { ...row, output: JSON.parse(row.output) };
}

export type AuditRow = Omit<AuditEntry, "facts"> & { readonly seq: number; readonly facts: string };

export function auditEntryOf(row: AuditRow): AuditEntry & { seq: number } {
  return { ...row, facts: JSON.parse(row.facts) };
}

export type NotificationRow = Omit<Notification, "facts"> & { readonly facts: string };

export function notificationOf(row: NotificationRow): Notification {
  return { ...row, facts: JSON.parse(row.facts) };
}

export type BackfillRow =
  & Omit<Backfill, "backwards">
  & { readonly backwards: number }
  & Record<RunState, number>;

export function backfillOf(
  { queued, running, success, failed, cancelled, backwards, ...row }: BackfillRow,
): BackfillProgress {
  return { ...row, backwards: backwards === 1, runs: { queued, running, success, failed, cancelled } };
}

/** A dag's limit, with the dags whose running runs count: itself, and the dags of its group. */
interface DagLimit {
  readonly dag_id: string;
  readonly max_active: number;
  readonly peers: readonly string[];
  /** 1 if it is of a group, whose limit holds for the runs of backfills too; else 0. */
  readonly grouped: number;
}

export function dagLimits({ max_active, groups = {} }: ActiveLimits): DagLimit[] {
  return Object.entries(max_active).map(([dag_id, max_active]) => {
    const group = groups[dag_id];
    const others = Object.keys(groups).filter((id) => group !== undefined && groups[id] === group);
    return {
      dag_id,
      max_active,
      peers: [...new Set([dag_id, ...others])],
      grouped: group === undefined ? 0 : 1,
    };
  });
}

export function leaseLost(run_id: string, attempt: AttemptKey | undefined): ParleyError {
  const what = attempt === undefined
    ? `the run ${run_id}`
    : `attempt ${attempt.attempt} of task ${attempt.task_id} in run ${run_id}`;
  return new ParleyError("conflict", `${what} has ended or was taken over by another process`);
}
