import { iso } from "../../core/clock.ts";
import type { Health, Json } from "../../core/types.ts";
import type { Sqlite } from "../sqlite.ts";
import type { LineageEntry, LogLine, RunRecord, RunSnapshot, RunState } from "./port.ts";
import {
  attemptOf,
  type AttemptRow,
  lineageOf,
  type LineageRow,
  runOf,
  type RunRow,
  taskOf,
  type TaskRow,
} from "./rows.ts";

/** What can be asked of the runs in a SQLite file. */
export class RunQueries {
  constructor(protected readonly sql: Sqlite) {}

  checkpoint({ run_id, task_id }: { run_id: string; task_id: string }): Promise<Json> {
    const sql = "SELECT checkpoint FROM pipeline_tasks WHERE run_id = ? AND task_id = ?";
    const row = this.sql.get<{ checkpoint: string | null }>(sql, run_id, task_id);
    return Promise.resolve(row?.checkpoint == null ? null : JSON.parse(row.checkpoint));
  }

  snapshot({ run_id }: { run_id: string }): Promise<RunSnapshot | null> {
    return Promise.resolve(this.read(run_id));
  }

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

  runs(o: { dag_id?: string; states?: readonly RunState[]; limit: number }): Promise<RunRecord[]> {
    const rows = this.sql.all<RunRow>(
      `SELECT * FROM pipeline_runs WHERE (?1 IS NULL OR dag_id = ?1)
       AND (?2 IS NULL OR state IN (SELECT value FROM json_each(?2)))
       ORDER BY created_at DESC, run_id DESC LIMIT ?3`,
      o.dag_id ?? null,
      o.states === undefined ? null : JSON.stringify(o.states),
      o.limit,
    );
    return Promise.resolve(rows.map(runOf));
  }

  lastScheduled({ dag_id, until }: { dag_id: string; until: string }): Promise<string | null> {
    const row = this.sql.get<{ at: string | null }>(
      `SELECT max(logical_date) AS at FROM pipeline_runs
       WHERE dag_id = ? AND trigger = 'schedule' AND logical_date <= ?`,
      dag_id,
      until,
    );
    return Promise.resolve(row?.at ?? null);
  }

  lineage({ run_id }: { run_id: string }): Promise<(LineageEntry & { task_id: string; attempt: number })[]> {
    const sql = "SELECT * FROM pipeline_lineage WHERE run_id = ? ORDER BY rowid";
    return Promise.resolve(this.sql.all<LineageRow>(sql, run_id).map(lineageOf));
  }

  logs(o: { run_id: string; task_id?: string; attempt?: number; after: number; limit: number }): Promise<
    (LogLine & { seq: number })[]
  > {
    return Promise.resolve(this.sql.all<LogLine & { seq: number }>(
      `SELECT seq, task_id, attempt, at, line FROM pipeline_logs WHERE run_id = ?1 AND seq > ?2
       AND (?3 IS NULL OR task_id = ?3) AND (?4 IS NULL OR attempt = ?4) ORDER BY seq LIMIT ?5`,
      o.run_id,
      o.after,
      o.task_id ?? null,
      o.attempt ?? null,
      o.limit,
    ));
  }

  paused(): Promise<string[]> {
    const rows = this.sql.all<{ dag_id: string }>("SELECT dag_id FROM paused_dags ORDER BY dag_id");
    return Promise.resolve(rows.map(({ dag_id }) => dag_id));
  }

  leader(): Promise<{ owner: string; last_tick: string; lag_ms: number; live_until: string } | null> {
    const row = this.sql.get<{ owner: string; last_tick: number; lag_ms: number; lease_until: number }>(
      "SELECT * FROM scheduler",
    );
    if (row === null) return Promise.resolve(null);
    const { owner, last_tick, lag_ms, lease_until } = row;
    return Promise.resolve({ owner, last_tick: iso(last_tick), lag_ms, live_until: iso(lease_until) });
  }

  health(): Promise<Health> {
    const from = performance.now();
    const row = this.sql.get<{ version: string }>("SELECT sqlite_version() AS version");
    return Promise.resolve({
      adapter: "sqlite",
      version: row?.version ?? "unknown",
      latency_ms: performance.now() - from,
    });
  }

  close(): Promise<void> {
    this.sql.close();
    return Promise.resolve();
  }
}
