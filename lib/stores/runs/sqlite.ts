import { iso } from "../../core/clock.ts";
import { ParleyError } from "../../core/errors.ts";
import type { Json } from "../../core/types.ts";
import { Sqlite } from "../sqlite.ts";
import type {
  EndedAttempt,
  LogLine,
  Progressed,
  RunChanges,
  RunRecord,
  RunSnapshot,
  RunStore,
  Start,
  TaskRecord,
} from "./port.ts";
import { RUN_MIGRATIONS } from "./schema.ts";
import { RunQueries } from "./queries.ts";
import { endValues, lineageValues, taskValues } from "./rows.ts";

/** Runs in one SQLite file. Every commit is flushed to disk (`synchronous=FULL`): a finished task stays finished. */
export class SqliteRuns extends RunQueries implements RunStore {
  constructor(o: { path: string; patience_ms?: number }) {
    super(new Sqlite({ ...o, migrations: RUN_MIGRATIONS, synchronous: "FULL" }));
  }

  create({ run, tasks, lease }: {
    run: RunRecord;
    tasks: readonly TaskRecord[];
    lease?: { readonly owner: string; readonly until: number };
  }): Promise<boolean> {
    return this.sql.write(() => {
      const added = this.sql.run(
        `INSERT INTO pipeline_runs (run_id, dag_id, dag_version, state, trigger, occurrence, logical_date,
           interval_start, interval_end, params, created_at, owner, lease_until)
         VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING`,
        run.run_id,
        run.dag_id,
        run.dag_version,
        run.state,
        run.trigger,
        run.occurrence,
        run.logical_date,
        run.interval_start,
        run.interval_end,
        JSON.stringify(run.params),
        run.created_at,
        lease?.owner ?? null,
        lease?.until ?? 0,
      ) === 1;
      if (added) { for (const task of tasks) this.putTask(run.run_id, task); }
      return added;
    });
  }

  claim(o: {
    owner: string;
    now: number;
    ttl_ms: number;
    max_active: Readonly<Record<string, number>>;
    run_id?: string;
  }): Promise<RunSnapshot | null> {
    return this.sql.write(() => {
      const found = this.claimable(o);
      if (found === null) return null;
      this.sql.run(
        "UPDATE pipeline_runs SET owner = ?, lease_until = ?, state = 'running' WHERE run_id = ?",
        o.owner,
        o.now + o.ttl_ms,
        found,
      );
      return this.read(found);
    });
  }

  private claimable(
    o: { owner: string; now: number; max_active: Readonly<Record<string, number>>; run_id?: string },
  ): string | null {
    const found = this.sql.get<{ run_id: string }>(
      `SELECT r.run_id FROM pipeline_runs r JOIN json_each(?) m ON m.key = r.dag_id
       WHERE (?2 IS NULL OR r.run_id = ?2) AND (
         (r.state = 'running' AND r.lease_until <= ?3) OR
         (r.state = 'queued' AND (r.lease_until <= ?3 OR r.owner = ?4) AND m.value >
           (SELECT count(*) FROM pipeline_runs a WHERE a.state = 'running' AND a.dag_id = r.dag_id)))
       ORDER BY r.state = 'queued', r.created_at, r.run_id LIMIT 1`,
      JSON.stringify(o.max_active),
      o.run_id ?? null,
      o.now,
      o.owner,
    );
    return found?.run_id ?? null;
  }

  commit(
    o: { run_id: string; owner: string; now: number; changes: RunChanges },
  ): Promise<{ admitted: string[] }> {
    const { run, tasks = [], ended = [], starts = [], pools = {} } = o.changes;
    return this.sql.write(() => {
      this.checkLease(o);
      for (const task of tasks) this.putTask(o.run_id, task);
      for (const attempt of ended) this.endAttempt(o.run_id, attempt);
      const admitted = this.admit(o, starts, pools);
      if (run !== undefined) this.setRun(o.run_id, run);
      return { admitted };
    });
  }

  private checkLease({ run_id, owner }: { run_id: string; owner: string }): void {
    const run = this.sql.get<{ owner: string | null }>(
      "SELECT owner FROM pipeline_runs WHERE run_id = ?",
      run_id,
    );
    if (run?.owner !== owner) {
      throw new ParleyError("conflict", `the run ${run_id} was taken over by another process`);
    }
  }

  private putTask(run_id: string, task: TaskRecord): void {
    this.sql.run(
      `INSERT INTO pipeline_tasks (run_id, task_id, state, attempts, tries, lost, ready_at, first_started_at, output,
         error) VALUES (?,?,?,?,?,?,?,?,?,?)
       ON CONFLICT (run_id, task_id) DO UPDATE SET state = excluded.state, attempts = excluded.attempts,
         tries = excluded.tries, lost = excluded.lost, ready_at = excluded.ready_at,
         first_started_at = excluded.first_started_at, output = excluded.output, error = excluded.error`,
      run_id,
      ...taskValues(task),
    );
  }

  private endAttempt(run_id: string, a: EndedAttempt): void {
    this.sql.run(
      `UPDATE pipeline_attempts SET state = ?, ended_at = ?, error = ?, rows_in = ?, rows_out = ?, quarantined = ?,
         progress_done = ?, progress_total = ?, versions = ? WHERE run_id = ? AND task_id = ? AND attempt = ?`,
      ...endValues(a),
      run_id,
      a.task_id,
      a.attempt,
    );
    const insert = "INSERT INTO pipeline_lineage VALUES (?,?,?,?,?,?,?,?,?,?,?)";
    for (const use of a.lineage) this.sql.run(insert, run_id, a.task_id, a.attempt, ...lineageValues(use));
  }

  /** Starts what the pools have room for. Slots are counted off attempts that run under a live lease: none can leak. */
  private admit(
    { run_id, now }: { run_id: string; now: number },
    starts: readonly Start[],
    pools: Readonly<Record<string, number>>,
  ): string[] {
    const free = new Map<string, number>();
    const admitted: string[] = [];
    for (const { attempt, task } of starts) {
      const room = free.get(attempt.pool) ??
        (pools[attempt.pool] ?? Infinity) - this.taken(attempt.pool, now);
      if (room < attempt.weight) continue;
      free.set(attempt.pool, room - attempt.weight);
      this.sql.run(
        `INSERT INTO pipeline_attempts (run_id, task_id, attempt, state, owner, pool, weight, started_at, rows_in,
           rows_out, quarantined, progress_done, versions) VALUES (?,?,?,'running',?,?,?,?,0,0,0,0,?)`,
        run_id,
        attempt.task_id,
        attempt.attempt,
        attempt.owner,
        attempt.pool,
        attempt.weight,
        attempt.started_at,
        JSON.stringify(attempt.versions),
      );
      this.putTask(run_id, task);
      admitted.push(task.task_id);
    }
    return admitted;
  }

  private taken(pool: string, now: number): number {
    return this.sql.get<{ n: number }>(
      `SELECT coalesce(sum(a.weight), 0) AS n FROM pipeline_attempts a JOIN pipeline_runs r USING (run_id)
       WHERE a.state = 'running' AND a.pool = ? AND r.lease_until > ?`,
      pool,
      now,
    )?.n ?? 0;
  }

  private setRun(run_id: string, run: NonNullable<RunChanges["run"]>): void {
    const ended = run.ended_at !== null;
    this.sql.run(
      `UPDATE pipeline_runs SET state = ?, started_at = ?, ended_at = ?, error = ?,
         owner = iif(?, NULL, owner), lease_until = iif(?, 0, lease_until) WHERE run_id = ?`,
      run.state,
      run.started_at,
      run.ended_at,
      run.error,
      Number(ended),
      Number(ended),
      run_id,
    );
  }

  heartbeat(o: {
    run_id: string;
    owner: string;
    now: number;
    ttl_ms: number;
    progress: readonly Progressed[];
  }): Promise<{ cancel_requested: boolean }> {
    return this.sql.write(() => {
      this.checkLease(o);
      this.sql.run("UPDATE pipeline_runs SET lease_until = ? WHERE run_id = ?", o.now + o.ttl_ms, o.run_id);
      for (const { task_id, attempt, done, total } of o.progress) {
        this.sql.run(
          `UPDATE pipeline_attempts SET progress_done = ?, progress_total = ?
           WHERE run_id = ? AND task_id = ? AND attempt = ? AND state = 'running'`,
          done,
          total,
          o.run_id,
          task_id,
          attempt,
        );
      }
      const sql = "SELECT cancel_requested AS c FROM pipeline_runs WHERE run_id = ?";
      return { cancel_requested: this.sql.get<{ c: number }>(sql, o.run_id)?.c === 1 };
    });
  }

  async release({ run_id, owner }: { run_id: string; owner: string }): Promise<void> {
    await this.sql.write(() =>
      this.sql.run(
        "UPDATE pipeline_runs SET owner = NULL, lease_until = 0 WHERE run_id = ? AND owner = ?",
        run_id,
        owner,
      )
    );
  }

  async saveCheckpoint(o: { run_id: string; owner: string; task_id: string; value: Json }): Promise<void> {
    await this.sql.write(() => {
      this.checkLease(o);
      const sql = "UPDATE pipeline_tasks SET checkpoint = ? WHERE run_id = ? AND task_id = ?";
      this.sql.run(sql, JSON.stringify(o.value), o.run_id, o.task_id);
    });
  }

  requestCancel({ run_id }: { run_id: string }): Promise<boolean> {
    return this.sql.write(() => {
      this.sql.run(
        `UPDATE pipeline_tasks SET state = 'cancelled' WHERE run_id = ?1
         AND EXISTS (SELECT 1 FROM pipeline_runs WHERE run_id = ?1 AND state = 'queued')`,
        run_id,
      );
      return this.sql.run(
        `UPDATE pipeline_runs SET cancel_requested = 1, ended_at = iif(state = 'queued', ?1, NULL),
           state = iif(state = 'queued', 'cancelled', state) WHERE run_id = ?2 AND state IN ('queued', 'running')`,
        iso(Date.now()),
        run_id,
      ) === 1;
    });
  }

  async appendLogs({ run_id, lines }: { run_id: string; lines: readonly LogLine[] }): Promise<void> {
    await this.sql.write(() => {
      const sql = "INSERT INTO pipeline_logs (run_id, task_id, attempt, at, line) VALUES (?,?,?,?,?)";
      for (const { task_id, attempt, at, line } of lines) {
        this.sql.run(sql, run_id, task_id, attempt, at, line);
      }
    });
  }

  async setPaused({ dag_id, paused }: { dag_id: string; paused: boolean }): Promise<void> {
    const sql = paused
      ? "INSERT INTO paused_dags VALUES (?) ON CONFLICT DO NOTHING"
      : "DELETE FROM paused_dags WHERE dag_id = ?";
    await this.sql.write(() => this.sql.run(sql, dag_id));
  }

  lead(o: { owner: string; now: number; ttl_ms: number; lag_ms: number }): Promise<boolean> {
    return this.sql.write(() =>
      this.sql.run(
        `INSERT INTO scheduler VALUES (1, ?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE
         SET owner = ?1, last_tick = ?2, lag_ms = ?3, lease_until = ?4 WHERE owner = ?1 OR lease_until <= ?2`,
        o.owner,
        o.now,
        Math.round(o.lag_ms),
        o.now + o.ttl_ms,
      ) === 1
    );
  }

  prune({ before }: { before: string }): Promise<number> {
    return this.sql.write(() =>
      this.sql.run("DELETE FROM pipeline_runs WHERE ended_at IS NOT NULL AND created_at < ?", before)
    );
  }
}
