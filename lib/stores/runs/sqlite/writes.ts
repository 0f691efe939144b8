import { ParleyError } from "../../../core/errors.ts";
import type { AttemptKey, EndedAttempt, RunChanges, Start, TaskRecord } from "../port.ts";
import { RunQueries } from "./queries.ts";
import { endValues, lineageValues, TASK_COLUMNS, taskValues } from "../rows.ts";

const PUT_TASK = `INSERT INTO pipeline_tasks (run_id, ${TASK_COLUMNS.join(", ")})
  VALUES (?, ${TASK_COLUMNS.map(() => "?").join(", ")}) ON CONFLICT (run_id, task_id) DO UPDATE SET
  ${TASK_COLUMNS.slice(1).map((column) => `${column} = excluded.${column}`).join(", ")}`;

/** What is done to the rows of one run, each within the caller's transaction. */
export class RunWrites extends RunQueries {
  protected apply({ run_id, now }: { run_id: string; now: number }, changes: RunChanges): string[] {
    const { run, tasks = [], ended = [], discard = [] } = changes;
    for (const task of tasks) this.putTask(run_id, task);
    for (const attempt of ended) this.endAttempt(run_id, attempt);
    for (const task_id of discard) {
      this.sql.run(
        "UPDATE pipeline_tasks SET checkpoint = NULL WHERE run_id = ? AND task_id = ?",
        run_id,
        task_id,
      );
    }
    const admitted = this.admit({ run_id, now }, changes);
    if (run !== undefined) this.setRun(run_id, run);
    return admitted;
  }

  protected putTask(run_id: string, task: TaskRecord): void {
    this.sql.run(PUT_TASK, run_id, ...taskValues(task));
  }

  private endAttempt(run_id: string, a: EndedAttempt): void {
    const ended = this.sql.run(
      `UPDATE pipeline_attempts SET state = ?, ended_at = ?, error = ?, rows_in = ?, rows_out = ?, quarantined = ?,
         progress_done = ?, progress_total = ?, versions = ?
       WHERE run_id = ? AND task_id = ? AND attempt = ? AND state = 'running'`,
      ...endValues(a),
      run_id,
      a.task_id,
      a.attempt,
    );
    if (ended === 0) return;
    const insert = "INSERT INTO pipeline_lineage VALUES (?,?,?,?,?,?,?,?,?,?,?)";
    for (const use of a.lineage) this.sql.run(insert, run_id, a.task_id, a.attempt, ...lineageValues(use));
  }

  /** Starts what the pools have room for. Slots are counted off attempts under a live lease: none can leak. */
  private admit(
    { run_id, now }: { run_id: string; now: number },
    { starts = [], pools = {}, limit = Infinity }: RunChanges,
  ): string[] {
    const free = new Map<string, number>();
    const admitted: string[] = [];
    for (const { attempt: { pool, weight, ...key }, task } of starts) {
      if (admitted.length === limit) break;
      if (this.isStarted(run_id, key)) {
        admitted.push(task.task_id);
        continue;
      }
      const room = free.get(pool) ?? (pools[pool] ?? Infinity) - this.taken(pool, now);
      free.set(pool, room < weight ? 0 : room - weight);
      if (room < weight) continue;
      this.insertAttempt(run_id, { pool, weight, ...key });
      this.putTask(run_id, task);
      admitted.push(task.task_id);
    }
    return admitted;
  }

  private isStarted(run_id: string, { task_id, attempt, owner }: AttemptKey & { owner: string }): boolean {
    return this.sql.get(
      "SELECT 1 FROM pipeline_attempts WHERE run_id = ? AND task_id = ? AND attempt = ? AND owner = ?",
      run_id,
      task_id,
      attempt,
      owner,
    ) !== null;
  }

  private insertAttempt(run_id: string, a: Start["attempt"]): void {
    this.sql.run(
      `INSERT INTO pipeline_attempts (run_id, task_id, attempt, state, owner, pool, weight, started_at, rows_in,
         rows_out, quarantined, progress_done, versions, lease_until) VALUES (?,?,?,'running',?,?,?,?,0,0,0,0,?,?)`,
      run_id,
      a.task_id,
      a.attempt,
      a.owner,
      a.pool,
      a.weight,
      a.started_at,
      JSON.stringify(a.versions),
      a.lease_until,
    );
  }

  private taken(pool: string, now: number): number {
    return this.sql.get<{ n: number }>(
      `SELECT coalesce(sum(a.weight), 0) AS n FROM pipeline_attempts a JOIN pipeline_runs r USING (run_id)
       WHERE a.state = 'running' AND a.pool = ? AND coalesce(a.lease_until, r.lease_until) > ?`,
      pool,
      now,
    )?.n ?? 0;
  }

  private setRun(run_id: string, run: NonNullable<RunChanges["run"]>): void {
    this.sql.run(
      `UPDATE pipeline_runs SET state = ?1, started_at = ?2, ended_at = ?3, error = ?4,
         cancel_requested = iif(?1 = 'queued', 0, cancel_requested),
         owner = iif(?1 = 'running', owner, NULL), lease_until = iif(?1 = 'running', lease_until, 0)
       WHERE run_id = ?5`,
      run.state,
      run.started_at,
      run.ended_at,
      run.error,
      run_id,
    );
  }

  /** Throws `conflict` where the run's lease is not the owner's, or the attempt no running one of the owner's. */
  protected checkHold(options: { run_id: string; owner: string; attempt?: AttemptKey }): void {
    const held = options.attempt === undefined
      ? this.holdsRun(options)
      : this.holdsAttempt({ ...options, ...options.attempt });
    if (held) return;
    const what = options.attempt === undefined
      ? `the run ${options.run_id}`
      : `attempt ${options.attempt.attempt} of task ${options.attempt.task_id} in run ${options.run_id}`;
    throw new ParleyError("conflict", `${what} has ended or was taken over by another process`);
  }

  private holdsRun({ run_id, owner }: { run_id: string; owner: string }): boolean {
    return this.sql.get("SELECT 1 FROM pipeline_runs WHERE run_id = ? AND owner = ?", run_id, owner) !== null;
  }

  private holdsAttempt(options: AttemptKey & { run_id: string; owner: string }): boolean {
    return this.sql.get(
      `SELECT 1 FROM pipeline_attempts a JOIN pipeline_runs r USING (run_id)
       WHERE a.run_id = ? AND a.task_id = ? AND a.attempt = ? AND a.state = 'running' AND a.owner = ?
         AND (a.lease_until IS NOT NULL OR r.owner = a.owner)`,
      options.run_id,
      options.task_id,
      options.attempt,
      options.owner,
    ) !== null;
  }
}
