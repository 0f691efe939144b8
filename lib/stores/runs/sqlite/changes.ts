import type { Sqlite } from "../../engines/sqlite/sqlite.ts";
import type { AttemptKey, AttemptRecord, EndedAttempt, RunChanges, TaskRecord } from "../port.ts";
import { endValues, leaseLost, lineageValues, TASK_COLUMNS, taskValues } from "../rows.ts";

const PUT_TASK = `INSERT INTO pipeline_tasks (run_id, ${TASK_COLUMNS.join(", ")})
  VALUES (?, ${TASK_COLUMNS.map(() => "?").join(", ")}) ON CONFLICT (run_id, task_id) DO UPDATE SET
  ${TASK_COLUMNS.slice(1).map((column) => `${column} = excluded.${column}`).join(", ")}`;

/** Applies changes to a run within the caller's transaction. Returns the task ids of the admitted starts. */
export function applyChanges(
  db: Sqlite,
  { run_id, now }: { run_id: string; now: number },
  changes: RunChanges,
): string[] {
  const { run, tasks = [], ended = [], discard = [] } = changes;
  for (const task of tasks) putTask(db, run_id, task);
  for (const attempt of ended) endAttempt(db, run_id, attempt);
  for (const task_id of discard) {
    db.run("UPDATE pipeline_tasks SET checkpoint = NULL WHERE run_id = ? AND task_id = ?", run_id, task_id);
  }
  const admitted = admit(db, { run_id, now }, changes);
  if (run !== undefined) setRun(db, run_id, run);
  return admitted;
}

export function putTask(db: Sqlite, run_id: string, task: TaskRecord): void {
  db.run(PUT_TASK, run_id, ...taskValues(task));
}

function endAttempt(db: Sqlite, run_id: string, row: EndedAttempt): void {
  const changed = db.run(
    `UPDATE pipeline_attempts SET state = ?, ended_at = ?, error = ?, rows_in = ?, rows_out = ?, quarantined = ?,
       progress_done = ?, progress_total = ?, versions = ?
     WHERE run_id = ? AND task_id = ? AND attempt = ? AND state = 'running'`,
    ...[...endValues(row), run_id, row.task_id, row.attempt],
  );
  if (changed === 0) return;
  const insert = "INSERT INTO pipeline_lineage VALUES (?,?,?,?,?,?,?,?,?,?,?)";
  for (const entry of row.lineage) db.run(insert, run_id, row.task_id, row.attempt, ...lineageValues(entry));
}

/** Starts what the pools have room for. Slots are counted from attempts under a live lease: none can leak. */
function admit(
  db: Sqlite,
  { run_id, now }: { run_id: string; now: number },
  { starts = [], pools = {}, limit = Infinity }: RunChanges,
): string[] {
  const free = new Map<string, number>();
  const admitted: string[] = [];
  for (const { attempt, task } of starts) {
    if (admitted.length === limit) break;
    const { pool, weight } = attempt;
    if (!isStarted(db, run_id, attempt)) {
      const room = free.get(pool) ?? (pools[pool] ?? Infinity) - takenSlots(db, pool, now);
      free.set(pool, room < weight ? 0 : room - weight);
      if (room < weight) continue;
      insertAttempt(db, run_id, attempt);
      putTask(db, run_id, task);
    }
    admitted.push(task.task_id);
  }
  return admitted;
}

function isStarted(db: Sqlite, run_id: string, { task_id, attempt, owner }: AttemptRecord): boolean {
  const sql =
    "SELECT 1 FROM pipeline_attempts WHERE run_id = ? AND task_id = ? AND attempt = ? AND owner = ?";
  return db.get(sql, run_id, task_id, attempt, owner) !== null;
}

function insertAttempt(db: Sqlite, run_id: string, row: AttemptRecord): void {
  db.run(
    `INSERT INTO pipeline_attempts (run_id, task_id, attempt, state, owner, pool, weight, started_at, rows_in,
       rows_out, quarantined, progress_done, versions, lease_until) VALUES (?,?,?,'running',?,?,?,?,0,0,0,0,?,?)`,
    ...[run_id, row.task_id, row.attempt, row.owner, row.pool, row.weight, row.started_at],
    ...[JSON.stringify(row.versions), row.lease_until],
  );
}

function takenSlots(db: Sqlite, pool: string, now: number): number {
  const sql = `SELECT coalesce(sum(a.weight), 0) AS slots
    FROM pipeline_attempts a JOIN pipeline_runs r USING (run_id)
    WHERE a.state = 'running' AND a.pool = ? AND coalesce(a.lease_until, r.lease_until) > ?`;
  return db.get<{ slots: number }>(sql, pool, now)!.slots;
}

function setRun(db: Sqlite, run_id: string, run: NonNullable<RunChanges["run"]>): void {
  db.run(
    `UPDATE pipeline_runs SET state = ?1, started_at = ?2, ended_at = ?3, error = ?4,
       cancel_requested = iif(?1 = 'queued', 0, cancel_requested),
       owner = iif(?1 = 'running', owner, NULL), lease_until = iif(?1 = 'running', lease_until, 0)
     WHERE run_id = ?5`,
    ...[run.state, run.started_at, run.ended_at, run.error, run_id],
  );
}

/** Throws `conflict` if the lease of the run, or the running attempt, is not the owner's. */
export function checkLease(
  db: Sqlite,
  { run_id, owner, attempt }: { run_id: string; owner: string; attempt?: AttemptKey },
): void {
  const isOwner = attempt === undefined
    ? db.get("SELECT 1 FROM pipeline_runs WHERE run_id = ? AND owner = ?", run_id, owner)
    : db.get(
      `SELECT 1 FROM pipeline_attempts a JOIN pipeline_runs r USING (run_id)
       WHERE a.run_id = ? AND a.task_id = ? AND a.attempt = ? AND a.state = 'running' AND a.owner = ?
         AND (a.lease_until IS NOT NULL OR r.owner = a.owner)`,
      ...[run_id, attempt.task_id, attempt.attempt, owner],
    );
  if (isOwner === null) throw leaseLost(run_id, attempt);
}
