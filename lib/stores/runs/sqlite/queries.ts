import { iso } from "../../../core/clock.ts";
import { messageOf, ParleyError } from "../../../core/errors.ts";
import type { Health, HealthOptions, Json } from "../../../core/types.ts";
import type { Sqlite } from "../../engines/sqlite/sqlite.ts";
import { dagLimits } from "../limits.ts";
import type {
  Acknowledgement,
  ActiveLimits,
  LineageEntry,
  LogLine,
  RunHistory,
  RunRecord,
  RunSnapshot,
  RunState,
  TaskOutput,
} from "../port.ts";
import {
  ATTEMPT_FACTS,
  attemptOf,
  type AttemptRow,
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
} from "../rows.ts";

/** How long a question waits for a lock before the file counts as unavailable. */
const LOCK_TIMEOUT_MS = 10_000;

/** What can be asked of the runs in a SQLite file. */
export class RunQueries {
  constructor(protected readonly sql: Sqlite) {}

  /**
   * Asks several questions of one state of the file. Another process that recovers or empties its log may lock readers
   * out for a moment; that is waited for without blocking.
   */
  protected async reading<T>(body: () => T): Promise<T> {
    const until = performance.now() + LOCK_TIMEOUT_MS;
    while (true) {
      try {
        return this.inOneState(body);
      } catch (error) {
        if (!messageOf(error).includes("database is locked")) throw error;
        if (performance.now() > until) {
          throw new ParleyError(
            "unavailable",
            "the runs were locked by another process for 10 s; try again",
            {
              cause: error,
            },
          );
        }
      }
      await new Promise((resume) => setTimeout(resume, 10));
    }
  }

  private inOneState<T>(body: () => T): T {
    this.sql.db.exec("BEGIN");
    try {
      return body();
    } finally {
      if (this.sql.db.isTransaction) this.sql.db.exec("COMMIT");
    }
  }

  checkpoint({ run_id, task_id }: { run_id: string; task_id: string }): Promise<Json> {
    const sql = "SELECT checkpoint FROM pipeline_tasks WHERE run_id = ? AND task_id = ?";
    return this.reading(() => {
      const row = this.sql.get<{ checkpoint: string | null }>(sql, run_id, task_id);
      return row?.checkpoint == null ? null : JSON.parse(row.checkpoint);
    });
  }

  snapshot({ run_id }: { run_id: string }): Promise<RunSnapshot | null> {
    return this.reading(() => this.read(run_id));
  }

  /** A run with all of its tasks and attempts, within the caller's transaction. */
  protected read(run_id: string): RunSnapshot | null {
    const run = this.sql.get<RunRow>("SELECT * FROM pipeline_runs WHERE run_id = ?", run_id);
    if (run === null) return null;
    const tasks = this.sql.all<TaskRow>(
      "SELECT * FROM pipeline_tasks WHERE run_id = ? ORDER BY task_id",
      run_id,
    );
    const attempts = this.sql.all<AttemptRow>(
      "SELECT * FROM pipeline_attempts WHERE run_id = ? ORDER BY started_at, task_id, attempt",
      run_id,
    );
    return { run: runOf(run), tasks: tasks.map(taskOf), attempts: attempts.map(attemptOf) };
  }

  /** The run that may be claimed next, within the caller's transaction. */
  protected claimable(
    options: ActiveLimits & { owner?: string; now: number; ttl_ms: number; run_id?: string },
  ): string | null {
    const free = "(r.lease_until <= ?3 OR r.lease_until > ?3 + 2 * ?5)";
    const found = this.sql.get<{ run_id: string }>(
      `SELECT r.run_id FROM pipeline_runs r JOIN json_each(?1) m ON m.value ->> 'dag_id' = r.dag_id
       WHERE r.state IN ('queued', 'running') AND r.trigger != 'external' AND (?2 IS NULL OR r.run_id = ?2) AND (
         (r.state = 'running' AND ${free}) OR
         (r.state = 'queued' AND (${free} OR r.owner = ?4)
           AND (?2 IS NOT NULL OR r.trigger = 'manual' OR r.dag_id NOT IN (SELECT dag_id FROM paused_dags))
           AND m.value ->> 'most' > (SELECT count(*) FROM pipeline_runs a WHERE a.state = 'running'
             AND a.dag_id IN (SELECT value FROM json_each(m.value, '$.peers')) AND a.trigger != 'external')))
       ORDER BY r.state = 'queued', r.created_at, r.run_id LIMIT 1`,
      JSON.stringify(dagLimits(options)),
      options.run_id ?? null,
      options.now,
      options.owner ?? null,
      options.ttl_ms,
    );
    return found?.run_id ?? null;
  }

  hasDueRuns(options: ActiveLimits & { now: number; ttl_ms: number }): Promise<boolean> {
    return this.reading(() => this.claimable(options) !== null);
  }

  runs(options: { dag_id?: string; states?: readonly RunState[]; limit: number }): Promise<RunRecord[]> {
    // Put together, since "?1 IS NULL OR" keeps SQLite from using an index.
    const dag = options.dag_id === undefined ? [] : [options.dag_id];
    const states = options.states === undefined ? [] : [JSON.stringify(options.states)];
    const values = [...dag, ...states, options.limit];
    const sql = `SELECT * FROM pipeline_runs WHERE true ${dag.map(() => "AND dag_id = ?").join("")}
      ${states.map(() => "AND state IN (SELECT value FROM json_each(?))").join("")}
      ORDER BY created_at DESC, run_id DESC LIMIT ?`;
    return this.reading(() => this.sql.all<RunRow>(sql, ...values).map(runOf));
  }

  history(options: { dag_id: string; since: string; limit: number }): Promise<RunHistory[]> {
    const of = (table: string, facts: string, order: string) =>
      `(SELECT json_group_array(json_array(${facts}) ORDER BY ${order}) FROM ${table} x WHERE x.run_id = r.run_id)`;
    const sql = `SELECT *, ${of("pipeline_tasks", TASK_FACTS, "task_id")} AS tasks,
        ${of("pipeline_attempts", ATTEMPT_FACTS, "task_id, attempt")} AS attempts
      FROM pipeline_runs r WHERE dag_id = ? AND created_at >= ? ORDER BY created_at DESC, run_id DESC LIMIT ?`;
    return this.reading(() =>
      this.sql.all<HistoryRow>(sql, options.dag_id, options.since, options.limit).map(historyOf)
    );
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
    return this.reading(() => this.sql.all<OutputRow>(sql, ...values).map(outputOf));
  }

  lastScheduled({ dag_id, until }: { dag_id: string; until: string }): Promise<string | null> {
    const sql = `SELECT max(logical_date) AS at FROM pipeline_runs
      WHERE dag_id = ? AND trigger = 'schedule' AND logical_date <= ?`;
    return this.reading(() => this.sql.get<{ at: string | null }>(sql, dag_id, until)?.at ?? null);
  }

  lineage({ run_id }: { run_id: string }): Promise<(LineageEntry & { task_id: string; attempt: number })[]> {
    const sql = "SELECT * FROM pipeline_lineage WHERE run_id = ? ORDER BY rowid";
    return this.reading(() => this.sql.all<LineageRow>(sql, run_id).map(lineageOf));
  }

  logs(
    options: { run_id: string; task_id?: string; attempt?: number; after: number; limit: number },
  ): Promise<
    (LogLine & { seq: number })[]
  > {
    const sql = `SELECT seq, task_id, attempt, at, line FROM pipeline_logs WHERE run_id = ?1 AND seq > ?2
      AND (?3 IS NULL OR task_id = ?3) AND (?4 IS NULL OR attempt = ?4) ORDER BY seq LIMIT ?5`;
    const values = [
      options.run_id,
      options.after,
      options.task_id ?? null,
      options.attempt ?? null,
      options.limit,
    ];
    return this.reading(() => this.sql.all<LogLine & { seq: number }>(sql, ...values));
  }

  unsent(): Promise<number> {
    const sql = `SELECT count(*) AS n FROM pipeline_attempts WHERE ${UNSENT}`;
    return this.reading(() => this.sql.get<{ n: number }>(sql)?.n ?? 0);
  }

  isSessionEnded({ session_id }: { session_id: string }): Promise<boolean> {
    const sql = "SELECT session_id FROM ended_sessions WHERE session_id = ?";
    return this.reading(() => this.sql.get(sql, session_id) !== null);
  }

  acknowledgements(): Promise<Acknowledgement[]> {
    const sql = "SELECT * FROM acknowledgements ORDER BY anomaly_id";
    return this.reading(() => this.sql.all<Acknowledgement>(sql).map((row) => ({ ...row })));
  }

  paused(): Promise<string[]> {
    const sql = "SELECT dag_id FROM paused_dags ORDER BY dag_id";
    return this.reading(() => this.sql.all<{ dag_id: string }>(sql).map(({ dag_id }) => dag_id));
  }

  leader(): Promise<{ owner: string; last_tick: string; lag_ms: number; live_until: string } | null> {
    return this.reading(() => {
      const row = this.sql.get<{ owner: string; last_tick: number; lag_ms: number; lease_until: number }>(
        "SELECT * FROM scheduler",
      );
      if (row === null) return null;
      const { owner, last_tick, lag_ms, lease_until } = row;
      return { owner, last_tick: iso(last_tick), lag_ms, live_until: iso(lease_until) };
    });
  }

  health(options: HealthOptions = {}): Promise<Health> {
    return this.reading(() => this.sql.health(options));
  }

  close(): Promise<void> {
    this.sql.close();
    return Promise.resolve();
  }
}
