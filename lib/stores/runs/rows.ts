import type { SQLInputValue } from "../../../deps.ts";
import type {
  AttemptOfRun,
  AttemptRecord,
  AttemptState,
  LineageEntry,
  RunHistory,
  RunRecord,
  TaskHistory,
  TaskOutput,
  TaskRecord,
  TaskState,
  UnsentAttempt,
} from "./port.ts";

/** A row of `pipeline_runs`: structure as JSON text, truth as 0 or 1. */
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

/** The columns of `pipeline_tasks` that are a task's record, in the order of {@link taskValues}. */
export const TASK_COLUMNS = [
  "task_id",
  "state",
  "attempts",
  "tries",
  "lost",
  "ready_at",
  "first_started_at",
  "output",
  "branch",
  "error",
] as const;

export function taskValues(task: TaskRecord): SQLInputValue[] {
  const branch = task.branch === null ? null : JSON.stringify(task.branch);
  const row: TaskRow = { ...task, output: JSON.stringify(task.output), branch };
  return TASK_COLUMNS.map((column) => row[column]);
}

export function attemptOf({ run_id: _run, send_at: _due, ...rest }: AttemptRow): AttemptRecord {
  return { ...rest, versions: JSON.parse(rest.versions) };
}

export function lineageOf(
  { run_id: _run, ...row }: LineageRow & { run_id?: string },
): LineageEntry & { task_id: string; attempt: number } {
  return { ...row, fields: JSON.parse(row.fields), quality: JSON.parse(row.quality) };
}

/** What an attempt's end sets, in the order of the columns. */
export function endValues(a: AttemptRecord): SQLInputValue[] {
  const { state, ended_at, error, rows_in, rows_out, quarantined, progress_done, progress_total } = a;
  const versions = JSON.stringify(a.versions);
  return [state, ended_at, error, rows_in, rows_out, quarantined, progress_done, progress_total, versions];
}

/** In the order of the table's columns after `attempt`. */
export function lineageValues(use: LineageEntry): SQLInputValue[] {
  const { direction, namespace, name, rows, bytes, version } = use;
  return [
    direction,
    namespace,
    name,
    rows,
    bytes,
    version,
    JSON.stringify(use.fields),
    JSON.stringify(use.quality),
  ];
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
];
export const TASK_FACTS = "task_id, state";
export const ATTEMPT_FACTS =
  "task_id, state, started_at, ended_at, rows_in, rows_out, quarantined, lease_until";

export function historyOf({ tasks, attempts, ...run }: HistoryRow): RunHistory {
  const made = new Map<string, AttemptFact[]>();
  for (const fact of JSON.parse(attempts) as AttemptFact[]) {
    const own = made.get(fact[0]);
    if (own === undefined) made.set(fact[0], [fact]);
    else own.push(fact);
  }
  const facts = JSON.parse(tasks) as TaskFact[];
  return { run: runOf(run), tasks: facts.map((fact) => taskHistory(fact, made.get(fact[0]) ?? [])) };
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
  const lost = attempts.filter(([, state]) => state === "lost").length;
  const made = { attempts: attempts.length, lost, started_at, ended_at };
  return { task_id, state, ...made, rows_in, rows_out, quarantined, lease_until };
}

/** Of attempts that a lineage sink has not heard of; as the index has it. */
export const UNSENT = "send_at IS NOT NULL AND ended_at IS NOT NULL";

/** Attempts with their runs and lineage. */
export function unsentOf(
  attempts: readonly AttemptRow[],
  runs: readonly RunRow[],
  lineage: readonly (LineageRow & { readonly run_id: string })[],
): UnsentAttempt[] {
  const run = new Map(runs.map((row) => [row.run_id, runOf(row)]));
  const uses = Map.groupBy(lineage, keyOf);
  return attempts.map((row) => ({
    run: run.get(row.run_id)!,
    attempt: attemptOf(row),
    lineage: (uses.get(keyOf(row)) ?? []).map(useOf),
    due_at: row.send_at ?? 0,
  }));
}

function keyOf({ run_id, task_id, attempt }: AttemptOfRun): string {
  return JSON.stringify([run_id, task_id, attempt]);
}

function useOf(row: LineageRow & { readonly run_id: string }): LineageEntry {
  const { task_id: _task, attempt: _attempt, ...use } = lineageOf(row);
  return use;
}

export type OutputRow = Omit<TaskOutput, "output"> & { readonly output: string };

export function outputOf(row: OutputRow): TaskOutput {
  return { ...row, output: JSON.parse(row.output) };
}
