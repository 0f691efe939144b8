import { iso } from "../../../core/clock.ts";
import { ParleyError } from "../../../core/errors.ts";
import type { Json } from "../../../core/types.ts";
import { Sqlite, type SqliteOptions } from "../../engines/sqlite/sqlite.ts";
import type {
  Acknowledgement,
  ActiveLimits,
  AttemptKey,
  AttemptOfRun,
  LogLine,
  Progressed,
  RunChanges,
  RunRecord,
  RunSnapshot,
  RunStore,
  TaskRecord,
  UnsentAttempt,
} from "../port.ts";
import { type AttemptRow, type LineageRow, type RunRow, UNSENT, unsentOf } from "../rows.ts";
import { RUN_MIGRATIONS } from "../schema.ts";
import { RunWrites } from "./writes.ts";

const REFILL = "run `deno task pipeline --all`, which makes a new one: only the history of runs is lost";

/** Runs in one SQLite file. Every commit is flushed to disk (`synchronous=FULL`): a finished task stays finished. */
export class SqliteRuns extends RunWrites implements RunStore {
  constructor(options: Pick<SqliteOptions, "path" | "create">) {
    super(new Sqlite({ ...options, migrations: RUN_MIGRATIONS, synchronous: "FULL", refill: REFILL }));
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

  claim(
    options: ActiveLimits & { owner: string; now: number; ttl_ms: number; run_id?: string },
  ): Promise<RunSnapshot | null> {
    return this.sql.write(() => {
      const found = this.claimable(options);
      if (found === null) return null;
      this.sql.run(
        "UPDATE pipeline_runs SET owner = ?, lease_until = ?, state = 'running' WHERE run_id = ?",
        options.owner,
        options.now + options.ttl_ms,
        found,
      );
      return this.read(found);
    });
  }

  commit(
    options: { run_id: string; owner: string; now: number; changes: RunChanges },
  ): Promise<{ admitted: string[] }> {
    return this.sql.write(() => {
      this.checkHold(options);
      return { admitted: this.apply(options, options.changes) };
    });
  }

  revise(
    options: { run_id: string; now: number; plan: (run: RunSnapshot) => RunChanges },
  ): Promise<{ admitted: string[] }> {
    return this.sql.write(() => {
      const run = this.read(options.run_id);
      if (run === null) throw new ParleyError("not_found", `there is no run ${options.run_id}`);
      return { admitted: this.apply(options, options.plan(run)) };
    });
  }

  heartbeat(options: {
    run_id: string;
    owner: string;
    now: number;
    ttl_ms: number;
    progress: readonly Progressed[];
    attempt?: AttemptKey;
  }): Promise<{ cancel_requested: boolean }> {
    return this.sql.write(() => {
      this.checkHold(options);
      this.renew(options, options.now + options.ttl_ms);
      for (const { task_id, attempt, done, total } of options.progress) {
        this.sql.run(
          `UPDATE pipeline_attempts SET progress_done = ?, progress_total = ?
           WHERE run_id = ? AND task_id = ? AND attempt = ? AND state = 'running'`,
          done,
          total,
          options.run_id,
          task_id,
          attempt,
        );
      }
      const sql = "SELECT cancel_requested AS c FROM pipeline_runs WHERE run_id = ?";
      return { cancel_requested: this.sql.get<{ c: number }>(sql, options.run_id)?.c === 1 };
    });
  }

  private renew({ run_id, attempt }: { run_id: string; attempt?: AttemptKey }, until: number): void {
    if (attempt === undefined) {
      this.sql.run("UPDATE pipeline_runs SET lease_until = ? WHERE run_id = ?", until, run_id);
      return;
    }
    this.sql.run(
      "UPDATE pipeline_attempts SET lease_until = ? WHERE run_id = ? AND task_id = ? AND attempt = ?",
      until,
      run_id,
      attempt.task_id,
      attempt.attempt,
    );
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

  async saveCheckpoint(options: AttemptKey & { run_id: string; owner: string; value: Json }): Promise<void> {
    await this.sql.write(() => {
      this.checkHold({ run_id: options.run_id, owner: options.owner, attempt: options });
      const sql = "UPDATE pipeline_tasks SET checkpoint = ?, lost = 0 WHERE run_id = ? AND task_id = ?";
      this.sql.run(sql, JSON.stringify(options.value), options.run_id, options.task_id);
    });
  }

  requestCancel({ run_id }: { run_id: string }): Promise<boolean> {
    return this.sql.write(() => {
      const undriven = this.sql.run(
        `UPDATE pipeline_runs SET cancel_requested = 1, state = 'cancelled', ended_at = ?, owner = NULL, lease_until = 0
         WHERE run_id = ? AND (state = 'queued' OR state = 'running' AND trigger = 'external' AND NOT EXISTS
           (SELECT 1 FROM pipeline_attempts a WHERE a.run_id = pipeline_runs.run_id AND a.state = 'running'))`,
        iso(Date.now()),
        run_id,
      ) === 1;
      const open = "run_id = ? AND state IN ('waiting', 'ready')";
      if (undriven) this.sql.run(`UPDATE pipeline_tasks SET state = 'cancelled' WHERE ${open}`, run_id);
      const ask = "UPDATE pipeline_runs SET cancel_requested = 1 WHERE run_id = ? AND state = 'running'";
      return undriven || this.sql.run(ask, run_id) === 1;
    });
  }

  async appendLogs({ run_id, lines }: { run_id: string; lines: readonly LogLine[] }): Promise<void> {
    const sql = "INSERT INTO pipeline_logs (run_id, task_id, attempt, at, line) VALUES (?,?,?,?,?)";
    await this.sql.writeEach(lines, ({ task_id, attempt, at, line }) => {
      this.sql.run(sql, run_id, task_id, attempt, at, line);
    });
  }

  async setPaused({ dag_id, paused }: { dag_id: string; paused: boolean }): Promise<void> {
    const sql = paused
      ? "INSERT INTO paused_dags VALUES (?) ON CONFLICT DO NOTHING"
      : "DELETE FROM paused_dags WHERE dag_id = ?";
    await this.sql.write(() => this.sql.run(sql, dag_id));
  }

  async endSession(options: { session_id: string; until: number; now: number }): Promise<void> {
    await this.sql.write(() => {
      this.sql.run("DELETE FROM ended_sessions WHERE until < ?", options.now);
      this.sql.run(
        "INSERT INTO ended_sessions VALUES (?, ?) ON CONFLICT DO NOTHING",
        options.session_id,
        options.until,
      );
    });
  }

  async acknowledge({ anomaly_id, since, by, at, until }: Acknowledgement): Promise<void> {
    await this.sql.write(() => {
      this.sql.run("DELETE FROM acknowledgements WHERE until < ? OR anomaly_id = ?", at, anomaly_id);
      this.sql.run("INSERT INTO acknowledgements VALUES (?, ?, ?, ?, ?)", anomaly_id, since, by, at, until);
    });
  }

  async unacknowledge({ anomaly_id }: { anomaly_id: string }): Promise<boolean> {
    const sql = "DELETE FROM acknowledgements WHERE anomaly_id = ?";
    return await this.sql.write(() => this.sql.run(sql, anomaly_id)) === 1;
  }

  firstSeen({ dag_id, now }: { dag_id: string; now: number }): Promise<number> {
    return this.sql.write(() => {
      // The lesser of the two: a first look while the clock was ahead must not hold the schedule back until then.
      const row = this.sql.get<{ since: number }>(
        `INSERT INTO known_dags VALUES (?, ?) ON CONFLICT DO UPDATE SET since = min(since, excluded.since)
         RETURNING since`,
        dag_id,
        now,
      );
      return row?.since ?? now;
    });
  }

  lead(options: { owner: string; now: number; ttl_ms: number; lag_ms: number }): Promise<boolean> {
    return this.sql.write(() =>
      this.sql.run(
        `INSERT INTO scheduler VALUES (1, ?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE
         SET owner = ?1, last_tick = ?2, lag_ms = ?3, lease_until = ?4
         WHERE owner = ?1 OR lease_until <= ?2 OR lease_until > ?2 + 2 * ?5`,
        options.owner,
        options.now,
        Math.round(options.lag_ms),
        options.now + options.ttl_ms,
        options.ttl_ms,
      ) === 1
    );
  }

  async takeUnsent(options: { now: number; again_at: number; limit: number }): Promise<UnsentAttempt[]> {
    const due = `SELECT * FROM pipeline_attempts WHERE send_at <= ? AND ${UNSENT}
      ORDER BY send_at, ended_at LIMIT ?`;
    // Mostly there is nothing, which no lock is taken for.
    if (await this.reading(() => this.sql.get(due, options.now, 1)) === null) return [];
    return await this.sql.write(() => {
      const taken = this.sql.all<AttemptRow>(due, options.now, options.limit);
      for (const attempt of taken) this.setDue(attempt, options.again_at);
      const ids = JSON.stringify(taken.map(({ run_id }) => run_id));
      const run = "SELECT * FROM pipeline_runs WHERE run_id IN (SELECT value FROM json_each(?))";
      const uses = `SELECT * FROM pipeline_lineage WHERE run_id = ? AND task_id = ? AND attempt = ?
        ORDER BY rowid`;
      const lineage = taken.flatMap(({ run_id, task_id, attempt }) =>
        this.sql.all<LineageRow & { run_id: string }>(uses, run_id, task_id, attempt)
      );
      return unsentOf(taken, this.sql.all<RunRow>(run, ids), lineage);
    });
  }

  async markSent(options: { attempts: readonly AttemptOfRun[]; again_at: number | null }): Promise<void> {
    await this.sql.writeEach(options.attempts, (attempt) => this.setDue(attempt, options.again_at));
  }

  private setDue({ run_id, task_id, attempt }: AttemptOfRun, at: number | null): void {
    const sql = "UPDATE pipeline_attempts SET send_at = ? WHERE run_id = ? AND task_id = ? AND attempt = ?";
    this.sql.run(sql, at, run_id, task_id, attempt);
  }

  prune({ before, keep_unsent = false }: { before: string; keep_unsent?: boolean }): Promise<number> {
    return this.sql.writeAll({
      sql:
        `DELETE FROM pipeline_runs WHERE run_id IN (SELECT run_id FROM pipeline_runs r WHERE created_at < ?1
        AND (ended_at IS NOT NULL OR trigger = 'external' AND NOT EXISTS
          (SELECT 1 FROM pipeline_attempts a WHERE a.run_id = r.run_id AND a.state = 'running'))
        AND (trigger != 'schedule' OR logical_date < (SELECT max(logical_date) FROM pipeline_runs n
          WHERE n.dag_id = r.dag_id AND n.trigger = 'schedule'))
        AND (?2 = 0 OR NOT EXISTS (SELECT 1 FROM pipeline_attempts a WHERE a.run_id = r.run_id AND ${UNSENT}))
        LIMIT ?3)`,
      values: [before, Number(keep_unsent)],
      limit: 100,
    });
  }
}
