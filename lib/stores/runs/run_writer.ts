import {
  all,
  allRows,
  type Columns,
  type Dialect,
  get,
  replacing,
  run,
  runRows,
  type Steps,
} from "../engines/sql.ts";
import {
  type AttemptKey,
  type AttemptOfRun,
  datasetKey,
  type EndedAttempt,
  type NewNotification,
  type NotificationType,
  type RunChanges,
  type Start,
  type TaskRecord,
} from "./port.ts";
import { attemptRow, endRow, leaseLost, lineageRow, taskRow } from "./rows.ts";

const TASK: Columns = {
  run_id: "text",
  task_id: "text",
  state: "text",
  attempts: "bigint",
  tries: "bigint",
  lost: "bigint",
  ready_at: "double precision",
  first_started_at: "text",
  output: "text",
  branch: "text",
  error: "text",
};
const BEGUN: Columns = { run_id: "text", task_id: "text", attempt: "bigint", owner: "text" };
const ATTEMPT: Columns = {
  run_id: "text",
  task_id: "text",
  attempt: "bigint",
  state: "text",
  owner: "text",
  pool: "text",
  weight: "bigint",
  started_at: "text",
  rows_in: "double precision",
  rows_out: "double precision",
  quarantined: "double precision",
  progress_done: "double precision",
  versions: "text",
  lease_until: "double precision",
  parent: "text",
};
const END: Columns = {
  run_id: "text",
  task_id: "text",
  attempt: "bigint",
  state: "text",
  ended_at: "text",
  error: "text",
  rows_in: "double precision",
  rows_out: "double precision",
  quarantined: "double precision",
  progress_done: "double precision",
  progress_total: "double precision",
  versions: "text",
  send_at: "bigint",
};
const LINEAGE: Columns = {
  task_id: "text",
  attempt: "bigint",
  direction: "text",
  namespace: "text",
  name: "text",
  rows: "double precision",
  bytes: "double precision",
  version: "text",
  fields: "text",
  quality: "text",
};
const WRITE: Columns = {
  task_id: "text",
  attempt: "bigint",
  dataset: "text",
  written_at: "text",
};
const ATTEMPT_KEY = ["run_id", "task_id", "attempt"];
const PROGRESS: Columns = {
  run_id: "text",
  task_id: "text",
  attempt: "bigint",
  progress_done: "double precision",
  progress_total: "double precision",
};

/** Slots of a pool that attempts under a live lease take. */
const TAKEN_SLOTS = `SELECT CAST(coalesce(sum(a.weight), 0) AS BIGINT) AS n
  FROM pipeline_attempts a JOIN pipeline_runs r ON r.run_id = a.run_id
  WHERE a.state = 'running' AND a.pool = $1 AND coalesce(a.lease_until, r.lease_until) > $2`;

/** The statements that differ by dialect, put together once: a new text would be hashed at each use. */
function statements({ input, insertRows, update, isIn, lockRow }: Dialect) {
  const lineage = Object.keys(LINEAGE).join(", ");
  const isRunning = `EXISTS (SELECT 1 FROM pipeline_attempts a
    WHERE a.run_id = $1 AND a.task_id = input.task_id AND a.attempt = input.attempt AND a.state = 'running')`;
  return {
    putTasks: `${insertRows("pipeline_tasks", Object.keys(TASK))}
      ${replacing(TASK, ["run_id", "task_id"])}`,
    dropCheckpoints: `UPDATE pipeline_tasks SET checkpoint = NULL
      WHERE run_id = $1 AND ${isIn("task_id", "$2")}`,
    endAttempts: `${update("pipeline_attempts", END, ATTEMPT_KEY)} AND pipeline_attempts.state = 'running'`,
    addLineage: `INSERT INTO pipeline_lineage (run_id, ${lineage})
      SELECT $1, ${lineage} FROM ${input(LINEAGE, 1)} WHERE ${isRunning}`,
    // In order, so that two transactions lock the datasets in the same one.
    countWrites: `INSERT INTO dataset_writes (dataset, writes, written_at)
      SELECT dataset, 1, max(written_at) FROM ${input(WRITE, 1)} WHERE ${isRunning}
      GROUP BY dataset ORDER BY dataset
      ON CONFLICT (dataset) DO UPDATE
        SET writes = dataset_writes.writes + 1, written_at = excluded.written_at`,
    begun: `SELECT a.task_id FROM ${input(BEGUN, 0)} JOIN pipeline_attempts a
      ON a.run_id = input.run_id AND a.task_id = input.task_id AND a.attempt = input.attempt
        AND a.owner = input.owner`,
    addAttempts: insertRows("pipeline_attempts", Object.keys(ATTEMPT)),
    setProgress: `${
      update("pipeline_attempts", PROGRESS, ATTEMPT_KEY)
    } AND pipeline_attempts.state = 'running'`,
    lockRun: `SELECT owner, cancel_requested FROM pipeline_runs WHERE run_id = $1 ${lockRow}`,
  };
}

/** Makes the caller's transaction wait until no other one uses these names; only an engine with several writers needs it. */
export type LockNames = (names: readonly string[]) => Steps<void>;

/**
 * What a transaction does to the rows of runs. Rows that a table is joined with bring their `run_id`: without it SQLite would go
 * through all rows of the run. A change to a run first locks that run's row: nothing else
 * changes it meanwhile.
 */
export class RunWriter {
  private readonly sql: ReturnType<typeof statements>;

  constructor(dialect: Dialect, private readonly lockNames: LockNames) {
    this.sql = statements(dialect);
  }

  /** Returns the task ids of the admitted starts. */
  *apply({ run_id, now }: { run_id: string; now: number }, changes: RunChanges): Steps<string[]> {
    const { run: state, tasks = [], ended = [], discard = [], notes = [] } = changes;
    yield* this.putTasks(run_id, tasks);
    if (ended.length > 0) yield* this.endAttempts(run_id, ended);
    if (discard.length > 0) yield* run(this.sql.dropCheckpoints, run_id, JSON.stringify(discard));
    const admitted = yield* this.admit({ run_id, now }, changes);
    if (state !== undefined) yield* this.setRun(run_id, state);
    for (const { task_id, action, by, note, at } of notes) {
      const sql =
        `INSERT INTO run_notes (run_id, task_id, action, "by", note, at) VALUES ($1, $2, $3, $4, $5, $6)`;
      yield* run(sql, run_id, task_id, action, by, note, at);
    }
    return admitted;
  }

  *putTasks(run_id: string, tasks: readonly TaskRecord[]): Steps<void> {
    if (tasks.length === 0) return;
    // One statement cannot set a row twice: of a task that is given twice, the last counts.
    const last = new Map(tasks.map((task) => [task.task_id, taskRow(run_id, task)]));
    yield* runRows(this.sql.putTasks, [], TASK, [...last.values()]);
  }

  /** An attempt ends once, and has its lineage from then: repeating a commit whose answer was lost adds none. */
  private *endAttempts(run_id: string, ended: readonly EndedAttempt[]): Steps<void> {
    const lineage = ended.flatMap((attempt) =>
      attempt.lineage.map((entry) => ({ ...lineageRow(entry), ...keyOf(attempt) }))
    );
    if (lineage.length > 0) yield* runRows(this.sql.addLineage, [run_id], LINEAGE, lineage);
    const writes = ended.flatMap((attempt) => writesOf(run_id, attempt));
    if (writes.length > 0) yield* runRows(this.sql.countWrites, [run_id], WRITE, writes);
    const rows = ended.map((attempt) => endRow(run_id, attempt));
    yield* runRows(this.sql.endAttempts, [], END, rows);
  }

  /** Starts what the pools have room for. Slots are counted off attempts under a live lease: none can leak. */
  private *admit(
    { run_id, now }: { run_id: string; now: number },
    { starts = [], pools = {}, limit = Infinity }: RunChanges,
  ): Steps<string[]> {
    if (starts.length === 0) return [];
    const begun = yield* this.begunOf(run_id, starts);
    const free = yield* this.freeSlots(now, limited(starts, pools));
    const [admitted, fresh]: [string[], Start[]] = [[], []];
    for (const start of starts) {
      if (admitted.length === limit) break;
      const { pool, weight } = start.attempt;
      if (!begun.has(start.task.task_id)) {
        const room = free.get(pool) ?? Infinity;
        free.set(pool, room < weight ? 0 : room - weight);
        if (room < weight) continue;
        fresh.push(start);
      }
      admitted.push(start.task.task_id);
    }
    if (fresh.length > 0) yield* this.insertAttempts(run_id, fresh);
    return admitted;
  }

  /** The tasks whose starts are recorded already: the answer to an earlier commit was lost. */
  private *begunOf(run_id: string, starts: readonly Start[]): Steps<Set<string>> {
    const rows = yield* allRows<{ task_id: string }>(
      this.sql.begun,
      [],
      BEGUN,
      starts.map(({ attempt }) => ({ run_id, ...keyOf(attempt), owner: attempt.owner })),
    );
    return new Set(rows.map(({ task_id }) => task_id));
  }

  private *freeSlots(now: number, sizes: ReadonlyMap<string, number>): Steps<Map<string, number>> {
    const free = new Map(sizes);
    if (sizes.size === 0) return free;
    yield* this.lockNames([...sizes.keys()].map((pool) => `pool ${pool}`));
    for (const [pool, size] of sizes) {
      const taken = yield* get<{ n: number }>(TAKEN_SLOTS, pool, now);
      free.set(pool, size - taken!.n);
    }
    return free;
  }

  private *insertAttempts(run_id: string, starts: readonly Start[]): Steps<void> {
    const rows = starts.map(({ attempt }) => attemptRow(run_id, attempt));
    yield* runRows(this.sql.addAttempts, [], ATTEMPT, rows);
    yield* this.putTasks(run_id, starts.map(({ task }) => task));
  }

  private *setRun(run_id: string, state: NonNullable<RunChanges["run"]>): Steps<void> {
    yield* run(
      `UPDATE pipeline_runs SET state = $2, started_at = $3, ended_at = $4, error = $5,
         cancel_requested = CASE $2 WHEN 'queued' THEN 0 ELSE cancel_requested END,
         owner = CASE $2 WHEN 'running' THEN owner END,
         lease_until = CASE $2 WHEN 'running' THEN lease_until ELSE 0 END
         ${state.backfill_id === undefined ? "" : ", backfill_id = $6"}
       WHERE run_id = $1`,
      run_id,
      state.state,
      state.started_at,
      state.ended_at,
      state.error,
      ...state.backfill_id === undefined ? [] : [state.backfill_id],
    );
    if (state.state === "failed") yield* this.notifyEnd(run_id, state.ended_at, "run.failed");
    if (state.state === "success") yield* this.notifyEnd(run_id, state.ended_at, "run.recovered");
  }

  private *notifyEnd(run_id: string, at: string | null, type: NotificationType): Steps<void> {
    const about = yield* get<{ dag_id: string; logical_date: string }>(
      "SELECT dag_id, logical_date FROM pipeline_runs WHERE run_id = $1",
      run_id,
    );
    if (about === null || at === null) return;
    const { dag_id, logical_date } = about;
    const failed = yield* all<{ task_id: string }>(
      // Without instances of mapped tasks: there may be thousands.
      `SELECT task_id FROM pipeline_tasks WHERE run_id = $1 AND state = 'failed' AND task_id NOT LIKE '%[%'
       ORDER BY task_id`,
      run_id,
    );
    const facts = {
      logical_date,
      ...type === "run.failed" && { tasks: failed.map(({ task_id }) => task_id) },
    };
    yield* this.notify({ type, subject: `dag ${dag_id}`, at, dag_id, run_id, facts });
  }

  /**
   * Adds a notification, if it is news. Until the transaction ends no other one adds any, so that they become visible in the order of
   * their numbers: a sink that has got one does not get those before it.
   */
  *notify(notification: NewNotification): Steps<boolean> {
    if (!(yield* isNews(notification))) return false;
    yield* this.lockNames(["notifications"]);
    if (!(yield* isNews(notification))) return false;
    const { type, subject, at, dag_id, run_id, facts } = notification;
    yield* run(
      "INSERT INTO notifications (type, subject, at, dag_id, run_id, facts) VALUES ($1, $2, $3, $4, $5, $6)",
      ...[type, subject, at, dag_id, run_id, JSON.stringify(facts)],
    );
    return true;
  }

  *setProgress(run_id: string, progress: readonly (AttemptKey & { done: number; total: number | null })[]) {
    if (progress.length === 0) return;
    const rows = progress.map(({ task_id, attempt, done, total }) => (
      { run_id, task_id, attempt, progress_done: done, progress_total: total }
    ));
    yield* runRows(this.sql.setProgress, [], PROGRESS, rows);
  }

  /** Locks the row of a run until the transaction ends. Null if there is no such run. */
  *lockRun(run_id: string): Steps<{ owner: string | null; cancel_requested: number } | null> {
    return yield* get(this.sql.lockRun, run_id);
  }

  /** Locks the row of a run. Throws `conflict` unless its lease, or with `attempt` that running attempt, is the owner's. */
  *checkLease(
    { run_id, owner, attempt }: { run_id: string; owner: string; attempt?: AttemptKey | undefined },
  ): Steps<{ cancel_requested: number }> {
    const locked = yield* this.lockRun(run_id);
    const isRuns = locked?.owner === owner;
    const isHeld = attempt === undefined
      ? isRuns
      : yield* this.isAttemptHeld({ run_id, owner, ...attempt }, isRuns);
    if (locked === null || !isHeld) throw leaseLost(run_id, attempt);
    return locked;
  }

  /** An attempt is held by a lease of its own, or by that of its run. */
  private *isAttemptHeld(key: AttemptOfRun & { owner: string }, isRuns: boolean): Steps<boolean> {
    const row = yield* get<{ lease_until: number | null }>(
      `SELECT lease_until FROM pipeline_attempts
       WHERE run_id = $1 AND task_id = $2 AND attempt = $3 AND state = 'running' AND owner = $4`,
      key.run_id,
      key.task_id,
      key.attempt,
      key.owner,
    );
    return row !== null && (row.lease_until !== null || isRuns);
  }
}

/** What a notification needs to be the newest one of its subject, to be news: undefined for anything. */
const FOLLOWS: Readonly<Partial<Record<NotificationType, NotificationType>>> = {
  "run.recovered": "run.failed",
  "anomaly.ended": "anomaly.opened",
};

/** A failure always is, since each is of another run, or of another try. */
function* isNews({ type, subject }: NewNotification): Steps<boolean> {
  if (type === "run.failed") return true;
  const sql = "SELECT type FROM notifications WHERE subject = $1 ORDER BY seq DESC LIMIT 1";
  const newest = (yield* get<{ type: NotificationType }>(sql, subject))?.type;
  return FOLLOWS[type] === undefined ? newest !== type : newest === FOLLOWS[type];
}

function keyOf({ task_id, attempt }: AttemptKey): AttemptKey {
  return { task_id, attempt };
}

/** The datasets that an attempt wrote, without what tasks of one run leave for each other, which has its id in the name. */
function writesOf(run_id: string, attempt: EndedAttempt) {
  if (attempt.state !== "success") return [];
  const written_at = attempt.ended_at ?? attempt.started_at;
  const outputs = attempt.lineage.filter(({ direction, name }) =>
    direction === "output" && !name.includes(run_id)
  );
  const datasets = new Set(outputs.map(datasetKey));
  return [...datasets].map((dataset) => ({ ...keyOf(attempt), dataset, written_at }));
}

/** The pools of these starts that have a limit, with it. */
function limited(starts: readonly Start[], pools: Readonly<Record<string, number>>): Map<string, number> {
  const sizes = starts.map(({ attempt: { pool } }) => [pool, pools[pool] ?? Infinity] as const);
  return new Map(sizes.filter(([, size]) => size < Infinity));
}
