import { iso } from "../../../core/clock.ts";
import { messageOf, ParleyError } from "../../../core/errors.ts";
import type { Health, HealthOptions, Json } from "../../../core/types.ts";
import { Sqlite, type SqliteOptions } from "../../engines/sqlite/sqlite.ts";
import type {
  Acknowledgement,
  ActiveLimits,
  AttemptKey,
  AttemptOfRun,
  ClaimOptions,
  CommitOptions,
  CreateOptions,
  HeartbeatOptions,
  Leader,
  LeadOptions,
  LineageEntry,
  LogLine,
  LogOptions,
  ReviseOptions,
  RunHistory,
  RunRecord,
  RunSnapshot,
  RunState,
  RunStore,
  TaskOutput,
  UnsentAttempt,
} from "../port.ts";
import {
  ATTEMPT_FACTS,
  attemptOf,
  type AttemptRow,
  dagLimits,
  historyOf,
  type HistoryRow,
  lineageOf,
  type LineageRow,
  outputOf,
  type OutputRow,
  runOf,
  type RunRow,
  TASK_FACTS,
  taskOf,
  type TaskRow,
  UNSENT,
  unsentOf,
} from "../rows.ts";
import { RUN_MIGRATIONS } from "../schema.ts";
import { applyChanges, checkLease, putTask } from "./changes.ts";

const REFILL = "run `deno task pipeline --all`, which makes a new one: only the history of runs is lost";
/** How long a read waits for a lock before the file counts as unavailable. */
const LOCK_TIMEOUT_MS = 10_000;
/** Runs that one transaction removes at most. */
const PRUNE_LIMIT = 100;

/** Runs in one SQLite file. Every commit is flushed to disk (`synchronous=FULL`): a finished task stays finished. */
export class SqliteRuns implements RunStore {
  private readonly db: Sqlite;

  constructor(options: Pick<SqliteOptions, "path" | "create">) {
    this.db = new Sqlite({ ...options, migrations: RUN_MIGRATIONS, synchronous: "FULL", refill: REFILL });
  }

  create({ run, tasks, lease }: CreateOptions): Promise<boolean> {
    return this.db.write(() => {
      const added = this.db.run(
        `INSERT INTO pipeline_runs (run_id, dag_id, dag_version, state, trigger, occurrence, logical_date,
           interval_start, interval_end, params, created_at, owner, lease_until)
         VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING`,
        ...[run.run_id, run.dag_id, run.dag_version, run.state, run.trigger, run.occurrence],
        ...[run.logical_date, run.interval_start, run.interval_end, JSON.stringify(run.params)],
        ...[run.created_at, lease?.owner ?? null, lease?.until ?? 0],
      ) === 1;
      if (added) { for (const task of tasks) putTask(this.db, run.run_id, task); }
      return added;
    });
  }

  revise(options: ReviseOptions): Promise<{ admitted: string[] }> {
    return this.db.write(() => {
      const run = this.readRun(options.run_id);
      if (run === null) throw new ParleyError("not_found", `there is no run ${options.run_id}`);
      return { admitted: applyChanges(this.db, options, options.plan(run)) };
    });
  }

  requestCancel({ run_id }: { run_id: string }): Promise<boolean> {
    return this.db.write(() => {
      const undriven = this.db.run(
        `UPDATE pipeline_runs SET cancel_requested = 1, state = 'cancelled', ended_at = ?, owner = NULL, lease_until = 0
         WHERE run_id = ? AND (state = 'queued' OR state = 'running' AND trigger = 'external' AND NOT EXISTS
           (SELECT 1 FROM pipeline_attempts a WHERE a.run_id = pipeline_runs.run_id AND a.state = 'running'))`,
        iso(Date.now()),
        run_id,
      ) === 1;
      const open = "run_id = ? AND state IN ('waiting', 'ready')";
      if (undriven) this.db.run(`UPDATE pipeline_tasks SET state = 'cancelled' WHERE ${open}`, run_id);
      const request = "UPDATE pipeline_runs SET cancel_requested = 1 WHERE run_id = ? AND state = 'running'";
      return undriven || this.db.run(request, run_id) === 1;
    });
  }

  snapshot({ run_id }: { run_id: string }): Promise<RunSnapshot | null> {
    return this.read(() => this.readRun(run_id));
  }

  runs(options: { dag_id?: string; states?: readonly RunState[]; limit: number }): Promise<RunRecord[]> {
    // Put together, since "?1 IS NULL OR" keeps SQLite from using an index.
    const dag = options.dag_id === undefined ? [] : [options.dag_id];
    const states = options.states === undefined ? [] : [JSON.stringify(options.states)];
    const values = [...dag, ...states, options.limit];
    const sql = `SELECT * FROM pipeline_runs WHERE true ${dag.map(() => "AND dag_id = ?").join("")}
      ${states.map(() => "AND state IN (SELECT value FROM json_each(?))").join("")}
      ORDER BY created_at DESC, run_id DESC LIMIT ?`;
    return this.read(() => this.db.all<RunRow>(sql, ...values).map(runOf));
  }

  history(options: { dag_id: string; since: string; limit: number }): Promise<RunHistory[]> {
    const of = (table: string, facts: string, order: string) =>
      `(SELECT json_group_array(json_array(${facts}) ORDER BY ${order}) FROM ${table} x WHERE x.run_id = r.run_id)`;
    const sql = `SELECT *, ${of("pipeline_tasks", TASK_FACTS, "task_id")} AS tasks,
        ${of("pipeline_attempts", ATTEMPT_FACTS, "task_id, attempt")} AS attempts
      FROM pipeline_runs r WHERE dag_id = ? AND created_at >= ? ORDER BY created_at DESC, run_id DESC LIMIT ?`;
    const values = [options.dag_id, options.since, options.limit];
    return this.read(() => this.db.all<HistoryRow>(sql, ...values).map(historyOf));
  }

  outputs(
    options: { dag_id: string; task_id: string; since: string; limit: number },
  ): Promise<TaskOutput[]> {
    const sql = `SELECT r.run_id, r.created_at, t.state, a.ended_at, t.output
      FROM pipeline_runs r JOIN pipeline_tasks t ON t.run_id = r.run_id AND t.task_id = ?
      LEFT JOIN pipeline_attempts a ON a.run_id = t.run_id AND a.task_id = t.task_id AND a.attempt = t.attempts
      WHERE r.dag_id = ? AND r.created_at >= ? AND t.output != 'null'
      ORDER BY r.created_at DESC, r.run_id DESC LIMIT ?`;
    const values = [options.task_id, options.dag_id, options.since, options.limit];
    return this.read(() => this.db.all<OutputRow>(sql, ...values).map(outputOf));
  }

  lineage({ run_id }: { run_id: string }): Promise<(LineageEntry & AttemptKey)[]> {
    const sql = "SELECT * FROM pipeline_lineage WHERE run_id = ? ORDER BY rowid";
    return this.read(() => this.db.all<LineageRow>(sql, run_id).map(lineageOf));
  }

  prune({ before, keep_unsent = false }: { before: string; keep_unsent?: boolean }): Promise<number> {
    return this.db.writeAll({
      sql:
        `DELETE FROM pipeline_runs WHERE run_id IN (SELECT run_id FROM pipeline_runs r WHERE created_at < ?1
        AND (ended_at IS NOT NULL OR trigger = 'external' AND NOT EXISTS
          (SELECT 1 FROM pipeline_attempts a WHERE a.run_id = r.run_id AND a.state = 'running'))
        AND (trigger != 'schedule' OR logical_date < (SELECT max(logical_date) FROM pipeline_runs n
          WHERE n.dag_id = r.dag_id AND n.trigger = 'schedule'))
        AND (?2 = 0 OR NOT EXISTS (SELECT 1 FROM pipeline_attempts a WHERE a.run_id = r.run_id AND ${UNSENT}))
        LIMIT ?3)`,
      values: [before, Number(keep_unsent)],
      limit: PRUNE_LIMIT,
    });
  }

  claim(options: ClaimOptions): Promise<RunSnapshot | null> {
    return this.db.write(() => {
      const run_id = this.findClaimable(options);
      if (run_id === null) return null;
      const sql = "UPDATE pipeline_runs SET owner = ?, lease_until = ?, state = 'running' WHERE run_id = ?";
      this.db.run(sql, options.owner, options.now + options.ttl_ms, run_id);
      return this.readRun(run_id);
    });
  }

  hasDueRuns(options: ActiveLimits & { now: number; ttl_ms: number }): Promise<boolean> {
    return this.read(() => this.findClaimable(options) !== null);
  }

  /** The run that may be claimed next, within the caller's transaction. */
  private findClaimable(options: Omit<ClaimOptions, "owner"> & { owner?: string }): string | null {
    const free = "(r.lease_until <= ?3 OR r.lease_until > ?3 + 2 * ?5)";
    const found = this.db.get<{ run_id: string }>(
      `SELECT r.run_id FROM pipeline_runs r JOIN json_each(?1) m ON m.value ->> 'dag_id' = r.dag_id
       WHERE r.state IN ('queued', 'running') AND r.trigger != 'external' AND (?2 IS NULL OR r.run_id = ?2) AND (
         (r.state = 'running' AND ${free}) OR
         (r.state = 'queued' AND (${free} OR r.owner = ?4)
           AND (?2 IS NOT NULL OR r.trigger = 'manual' OR r.dag_id NOT IN (SELECT dag_id FROM paused_dags))
           AND m.value ->> 'max_active' > (SELECT count(*) FROM pipeline_runs a WHERE a.state = 'running'
             AND a.dag_id IN (SELECT value FROM json_each(m.value, '$.peers')) AND a.trigger != 'external')))
       ORDER BY r.state = 'queued', r.created_at, r.run_id LIMIT 1`,
      ...[JSON.stringify(dagLimits(options)), options.run_id ?? null, options.now],
      ...[options.owner ?? null, options.ttl_ms],
    );
    return found?.run_id ?? null;
  }

  commit({ changes, ...options }: CommitOptions): Promise<{ admitted: string[] }> {
    return this.db.write(() => {
      checkLease(this.db, options);
      return { admitted: applyChanges(this.db, options, changes) };
    });
  }

  heartbeat(options: HeartbeatOptions): Promise<{ cancel_requested: boolean }> {
    const { run_id } = options;
    return this.db.write(() => {
      checkLease(this.db, options);
      this.renewLease(options);
      for (const { task_id, attempt, done, total } of options.progress) {
        this.db.run(
          `UPDATE pipeline_attempts SET progress_done = ?, progress_total = ?
           WHERE run_id = ? AND task_id = ? AND attempt = ? AND state = 'running'`,
          ...[done, total, run_id, task_id, attempt],
        );
      }
      const sql = "SELECT cancel_requested FROM pipeline_runs WHERE run_id = ?";
      const run = this.db.get<{ cancel_requested: number }>(sql, run_id);
      return { cancel_requested: run?.cancel_requested === 1 };
    });
  }

  private renewLease({ run_id, attempt, now, ttl_ms }: HeartbeatOptions): void {
    if (attempt === undefined) {
      this.db.run("UPDATE pipeline_runs SET lease_until = ? WHERE run_id = ?", now + ttl_ms, run_id);
      return;
    }
    this.db.run(
      "UPDATE pipeline_attempts SET lease_until = ? WHERE run_id = ? AND task_id = ? AND attempt = ?",
      ...[now + ttl_ms, run_id, attempt.task_id, attempt.attempt],
    );
  }

  async release({ run_id, owner }: { run_id: string; owner: string }): Promise<void> {
    const sql = "UPDATE pipeline_runs SET owner = NULL, lease_until = 0 WHERE run_id = ? AND owner = ?";
    await this.db.write(() => this.db.run(sql, run_id, owner));
  }

  async saveCheckpoint(options: AttemptOfRun & { owner: string; value: Json }): Promise<void> {
    const { run_id, owner, task_id, value } = options;
    await this.db.write(() => {
      checkLease(this.db, { run_id, owner, attempt: options });
      const sql = "UPDATE pipeline_tasks SET checkpoint = ?, lost = 0 WHERE run_id = ? AND task_id = ?";
      this.db.run(sql, JSON.stringify(value), run_id, task_id);
    });
  }

  checkpoint({ run_id, task_id }: { run_id: string; task_id: string }): Promise<Json> {
    const sql = "SELECT checkpoint FROM pipeline_tasks WHERE run_id = ? AND task_id = ?";
    return this.read(() => {
      const row = this.db.get<{ checkpoint: string | null }>(sql, run_id, task_id);
      return row?.checkpoint == null ? null : JSON.parse(row.checkpoint);
    });
  }

  async appendLogs({ run_id, lines }: { run_id: string; lines: readonly LogLine[] }): Promise<void> {
    const sql = "INSERT INTO pipeline_logs (run_id, task_id, attempt, at, line) VALUES (?,?,?,?,?)";
    await this.db.writeEach(lines, ({ task_id, attempt, at, line }) => {
      this.db.run(sql, run_id, task_id, attempt, at, line);
    });
  }

  logs({ run_id, task_id, attempt, after, limit }: LogOptions): Promise<(LogLine & { seq: number })[]> {
    const sql = `SELECT seq, task_id, attempt, at, line FROM pipeline_logs WHERE run_id = ?1 AND seq > ?2
      AND (?3 IS NULL OR task_id = ?3) AND (?4 IS NULL OR attempt = ?4) ORDER BY seq LIMIT ?5`;
    const values = [run_id, after, task_id ?? null, attempt ?? null, limit];
    return this.read(() => this.db.all<LogLine & { seq: number }>(sql, ...values));
  }

  lastScheduled({ dag_id, until }: { dag_id: string; until: string }): Promise<string | null> {
    const sql = `SELECT max(logical_date) AS at FROM pipeline_runs
      WHERE dag_id = ? AND trigger = 'schedule' AND logical_date <= ?`;
    return this.read(() => this.db.get<{ at: string | null }>(sql, dag_id, until)?.at ?? null);
  }

  firstSeen({ dag_id, now }: { dag_id: string; now: number }): Promise<number> {
    // The lesser of the two: a scheduler that ran while the clock was ahead must not hold the schedule back until then.
    const sql =
      `INSERT INTO known_dags VALUES (?, ?) ON CONFLICT DO UPDATE SET since = min(since, excluded.since)
      RETURNING since`;
    return this.db.write(() => this.db.get<{ since: number }>(sql, dag_id, now)!.since);
  }

  async setPaused({ dag_id, paused }: { dag_id: string; paused: boolean }): Promise<void> {
    const sql = paused
      ? "INSERT INTO paused_dags VALUES (?) ON CONFLICT DO NOTHING"
      : "DELETE FROM paused_dags WHERE dag_id = ?";
    await this.db.write(() => this.db.run(sql, dag_id));
  }

  paused(): Promise<string[]> {
    const sql = "SELECT dag_id FROM paused_dags ORDER BY dag_id";
    return this.read(() => this.db.all<{ dag_id: string }>(sql).map(({ dag_id }) => dag_id));
  }

  lead({ owner, now, ttl_ms, lag_ms }: LeadOptions): Promise<boolean> {
    return this.db.write(() =>
      this.db.run(
        `INSERT INTO scheduler VALUES (1, ?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE
         SET owner = ?1, last_tick = ?2, lag_ms = ?3, lease_until = ?4
         WHERE owner = ?1 OR lease_until <= ?2 OR lease_until > ?2 + 2 * ?5`,
        ...[owner, now, Math.round(lag_ms), now + ttl_ms, ttl_ms],
      ) === 1
    );
  }

  leader(): Promise<Leader | null> {
    return this.read(() => {
      const row = this.db.get<{ owner: string; last_tick: number; lag_ms: number; lease_until: number }>(
        "SELECT * FROM scheduler",
      );
      if (row === null) return null;
      const { owner, last_tick, lag_ms, lease_until } = row;
      return { owner, last_tick: iso(last_tick), lag_ms, live_until: iso(lease_until) };
    });
  }

  async takeUnsent(options: { now: number; again_at: number; limit: number }): Promise<UnsentAttempt[]> {
    const due = `SELECT * FROM pipeline_attempts WHERE send_at <= ? AND ${UNSENT}
      ORDER BY send_at, ended_at LIMIT ?`;
    // Mostly nothing is due, and then no lock is taken.
    if (await this.read(() => this.db.get(due, options.now, 1)) === null) return [];
    return await this.db.write(() => {
      const attempts = this.db.all<AttemptRow>(due, options.now, options.limit);
      for (const attempt of attempts) this.setDue(attempt, options.again_at);
      const ids = JSON.stringify(attempts.map(({ run_id }) => run_id));
      const runs = "SELECT * FROM pipeline_runs WHERE run_id IN (SELECT value FROM json_each(?))";
      const entries = `SELECT * FROM pipeline_lineage WHERE run_id = ? AND task_id = ? AND attempt = ?
        ORDER BY rowid`;
      const lineage = attempts.flatMap(({ run_id, task_id, attempt }) =>
        this.db.all<LineageRow & { run_id: string }>(entries, run_id, task_id, attempt)
      );
      return unsentOf(attempts, this.db.all<RunRow>(runs, ids), lineage);
    });
  }

  async markSent(options: { attempts: readonly AttemptOfRun[]; again_at: number | null }): Promise<void> {
    await this.db.writeEach(options.attempts, (attempt) => this.setDue(attempt, options.again_at));
  }

  private setDue({ run_id, task_id, attempt }: AttemptOfRun, at: number | null): void {
    const sql = "UPDATE pipeline_attempts SET send_at = ? WHERE run_id = ? AND task_id = ? AND attempt = ?";
    this.db.run(sql, at, run_id, task_id, attempt);
  }

  unsent(): Promise<number> {
    const sql = `SELECT count(*) AS attempts FROM pipeline_attempts WHERE ${UNSENT}`;
    return this.read(() => this.db.get<{ attempts: number }>(sql)!.attempts);
  }

  async acknowledge({ anomaly_id, since, by, at, until }: Acknowledgement): Promise<void> {
    await this.db.write(() => {
      this.db.run("DELETE FROM acknowledgements WHERE until < ? OR anomaly_id = ?", at, anomaly_id);
      this.db.run("INSERT INTO acknowledgements VALUES (?, ?, ?, ?, ?)", anomaly_id, since, by, at, until);
    });
  }

  async unacknowledge({ anomaly_id }: { anomaly_id: string }): Promise<boolean> {
    const sql = "DELETE FROM acknowledgements WHERE anomaly_id = ?";
    return await this.db.write(() => this.db.run(sql, anomaly_id)) === 1;
  }

  acknowledgements(): Promise<Acknowledgement[]> {
    return this.read(() => this.db.all("SELECT * FROM acknowledgements ORDER BY anomaly_id"));
  }

  async endSession(options: { session_id: string; until: number; now: number }): Promise<void> {
    const insert = "INSERT INTO ended_sessions VALUES (?, ?) ON CONFLICT DO NOTHING";
    await this.db.write(() => {
      this.db.run("DELETE FROM ended_sessions WHERE until < ?", options.now);
      this.db.run(insert, options.session_id, options.until);
    });
  }

  isSessionEnded({ session_id }: { session_id: string }): Promise<boolean> {
    const sql = "SELECT session_id FROM ended_sessions WHERE session_id = ?";
    return this.read(() => this.db.get(sql, session_id) !== null);
  }

  health(options: HealthOptions = {}): Promise<Health> {
    return this.read(() => this.db.health(options));
  }

  close(): Promise<void> {
    this.db.close();
    return Promise.resolve();
  }

  /** A run with all of its tasks and attempts, within the caller's transaction. */
  private readRun(run_id: string): RunSnapshot | null {
    const run = this.db.get<RunRow>("SELECT * FROM pipeline_runs WHERE run_id = ?", run_id);
    if (run === null) return null;
    const tasks = "SELECT * FROM pipeline_tasks WHERE run_id = ? ORDER BY task_id";
    const attempts = "SELECT * FROM pipeline_attempts WHERE run_id = ? ORDER BY started_at, task_id, attempt";
    return {
      run: runOf(run),
      tasks: this.db.all<TaskRow>(tasks, run_id).map(taskOf),
      attempts: this.db.all<AttemptRow>(attempts, run_id).map(attemptOf),
    };
  }

  /**
   * Several reads of one state of the file. Another process that recovers or empties its log may lock readers out for a
   * moment; that is waited for without blocking.
   */
  private async read<T>(body: () => T): Promise<T> {
    const deadline = performance.now() + LOCK_TIMEOUT_MS;
    while (true) {
      try {
        return this.readOnce(body);
      } catch (cause) {
        if (!messageOf(cause).includes("database is locked")) throw cause;
        if (performance.now() > deadline) {
          const sentence = "the runs were locked by another process for 10 s; try again";
          throw new ParleyError("unavailable", sentence, { cause });
        }
      }
      await new Promise((resume) => setTimeout(resume, 10));
    }
  }

  private readOnce<T>(body: () => T): T {
    const { db } = this.db;
    db.exec("BEGIN");
    try {
      return body();
    } finally {
      if (db.isTransaction) db.exec("COMMIT");
    }
  }
}
