import { iso } from "../../../core/clock.ts";
import type { Health, Json } from "../../../core/types.ts";
import { Postgres } from "../../engines/postgres/postgres.ts";
import { postgresDialect } from "../../engines/postgres/schema.ts";
import { type Queryable, unnestOf } from "../../engines/postgres/session.ts";
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
import { RUN_MIGRATIONS } from "../schema.ts";

/** What comes from clocks and tasks need not be whole: SQLite keeps such numbers as they are, and so does this. */
const FRACTIONAL =
  /\b(ready_at|lease_until|since|last_tick|rows|bytes|rows_in|rows_out|quarantined|progress_\w+) BIGINT/g;

/**
 * The tables of SQLite; lineage keeps its order by a number of its own, as there are no row ids. A row of
 * `pipeline_locks` is held by whoever counts what it names: a dag's running runs, or a pool's slots.
 */
export const MIGRATIONS = RUN_MIGRATIONS.map((sql, version) => {
  const same = postgresDialect(sql).replaceAll(FRACTIONAL, "$1 DOUBLE PRECISION");
  return version === 0
    ? `${same}; ALTER TABLE pipeline_lineage ADD COLUMN seq BIGINT GENERATED ALWAYS AS IDENTITY;
       CREATE TABLE pipeline_locks (name TEXT COLLATE "C" PRIMARY KEY)`
    : same;
});

export const LINEAGE = "task_id, attempt, direction, namespace, name, rows, bytes, version, fields, quality";

/** What can be asked of the runs in a PostgreSQL schema. */
export class PostgresRunQueries {
  protected readonly db: Postgres;

  /** Connects at the first question. `url` is as {@link Postgres} takes it. */
  constructor({ url }: { url: URL }) {
    this.db = new Postgres({ url, store: "runs", migrations: MIGRATIONS });
  }

  async checkpoint({ run_id, task_id }: { run_id: string; task_id: string }): Promise<Json> {
    const sql = "SELECT checkpoint FROM pipeline_tasks WHERE run_id = $1 AND task_id = $2";
    const row = await this.db.get<{ checkpoint: string | null }>(sql, [run_id, task_id]);
    return row?.checkpoint == null ? null : JSON.parse(row.checkpoint);
  }

  snapshot({ run_id }: { run_id: string }): Promise<RunSnapshot | null> {
    return this.db.read((session) => readRun(session, run_id));
  }

  async hasDueRuns(options: ActiveLimits & { now: number; ttl_ms: number }): Promise<boolean> {
    return await claimable(this.db, options) !== null;
  }

  async runs(
    options: { dag_id?: string; states?: readonly RunState[]; limit: number },
  ): Promise<RunRecord[]> {
    const rows = await this.db.all<RunRow>(
      `SELECT * FROM pipeline_runs
       WHERE ($1::text IS NULL OR dag_id = $1) AND ($2::text[] IS NULL OR state = ANY($2))
       ORDER BY created_at DESC, run_id DESC LIMIT $3`,
      [options.dag_id ?? null, options.states ?? null, options.limit],
    );
    return rows.map(runOf);
  }

  async history(options: { dag_id: string; since: string; limit: number }): Promise<RunHistory[]> {
    const of = (table: string, facts: string, order: string) =>
      `(SELECT coalesce(json_agg(json_build_array(${facts}) ORDER BY ${order}), '[]')::text
        FROM ${table} x WHERE x.run_id = r.run_id)`;
    const rows = await this.db.all<HistoryRow>(
      `SELECT *, ${of("pipeline_tasks", TASK_FACTS, "task_id")} AS tasks,
         ${of("pipeline_attempts", ATTEMPT_FACTS, "task_id, attempt")} AS attempts
       FROM pipeline_runs r WHERE dag_id = $1 AND created_at >= $2
       ORDER BY created_at DESC, run_id DESC LIMIT $3`,
      [options.dag_id, options.since, options.limit],
    );
    return rows.map(historyOf);
  }

  async outputs(
    options: { dag_id: string; task_id: string; since: string; limit: number },
  ): Promise<TaskOutput[]> {
    const rows = await this.db.all<OutputRow>(
      `SELECT r.run_id, r.created_at, t.state, a.ended_at, t.output
       FROM pipeline_runs r JOIN pipeline_tasks t ON t.run_id = r.run_id AND t.task_id = $1
       LEFT JOIN pipeline_attempts a ON a.run_id = t.run_id AND a.task_id = t.task_id AND a.attempt = t.attempts
       WHERE r.dag_id = $2 AND r.created_at >= $3 AND t.output != 'null'
       ORDER BY r.created_at DESC, r.run_id DESC LIMIT $4`,
      [options.task_id, options.dag_id, options.since, options.limit],
    );
    return rows.map(outputOf);
  }

  async lastScheduled({ dag_id, until }: { dag_id: string; until: string }): Promise<string | null> {
    const sql = `SELECT max(logical_date) AS at FROM pipeline_runs
      WHERE dag_id = $1 AND trigger = 'schedule' AND logical_date <= $2`;
    return (await this.db.get<{ at: string | null }>(sql, [dag_id, until]))?.at ?? null;
  }

  async lineage(
    { run_id }: { run_id: string },
  ): Promise<(LineageEntry & { task_id: string; attempt: number })[]> {
    const sql = `SELECT ${LINEAGE} FROM pipeline_lineage WHERE run_id = $1 ORDER BY seq`;
    return (await this.db.all<LineageRow>(sql, [run_id])).map(lineageOf);
  }

  logs(
    options: { run_id: string; task_id?: string; attempt?: number; after: number; limit: number },
  ): Promise<
    (LogLine & { seq: number })[]
  > {
    return this.db.all<LogLine & { seq: number }>(
      `SELECT seq, task_id, attempt, at, line FROM pipeline_logs WHERE run_id = $1 AND seq > $2
         AND ($3::text IS NULL OR task_id = $3) AND ($4::bigint IS NULL OR attempt = $4) ORDER BY seq LIMIT $5`,
      [options.run_id, options.after, options.task_id ?? null, options.attempt ?? null, options.limit],
    );
  }

  async unsent(): Promise<number> {
    const sql = `SELECT count(*) AS n FROM pipeline_attempts WHERE ${UNSENT}`;
    return (await this.db.get<{ n: number }>(sql))?.n ?? 0;
  }

  async isSessionEnded({ session_id }: { session_id: string }): Promise<boolean> {
    const sql = "SELECT session_id FROM ended_sessions WHERE session_id = $1";
    return await this.db.get(sql, [session_id]) != null;
  }

  acknowledgements(): Promise<Acknowledgement[]> {
    return this.db.all<Acknowledgement>("SELECT * FROM acknowledgements ORDER BY anomaly_id");
  }

  async paused(): Promise<string[]> {
    const rows = await this.db.all<{ dag_id: string }>("SELECT dag_id FROM paused_dags ORDER BY dag_id");
    return rows.map(({ dag_id }) => dag_id);
  }

  async leader(): Promise<{ owner: string; last_tick: string; lag_ms: number; live_until: string } | null> {
    const row = await this.db.get<{ owner: string; last_tick: number; lag_ms: number; lease_until: number }>(
      "SELECT owner, last_tick, lag_ms, lease_until FROM scheduler",
    );
    if (row === null) return null;
    const { owner, last_tick, lag_ms, lease_until } = row;
    return { owner, last_tick: iso(last_tick), lag_ms, live_until: iso(lease_until) };
  }

  health(): Promise<Health> {
    return this.db.health();
  }

  close(): Promise<void> {
    return this.db.close();
  }
}

/** A run with all of its tasks and attempts, within the caller's transaction. */
export async function readRun(session: Queryable, run_id: string): Promise<RunSnapshot | null> {
  const run = await session.get<RunRow>("SELECT * FROM pipeline_runs WHERE run_id = $1", [run_id]);
  if (run === null) return null;
  const tasks = await session.all<TaskRow>(
    "SELECT * FROM pipeline_tasks WHERE run_id = $1 ORDER BY task_id",
    [run_id],
  );
  const attempts = await session.all<AttemptRow>(
    "SELECT * FROM pipeline_attempts WHERE run_id = $1 ORDER BY started_at, task_id, attempt",
    [run_id],
  );
  return { run: runOf(run), tasks: tasks.map(taskOf), attempts: attempts.map(attemptOf) };
}

/** The run that may be claimed next; with `lock`, whatever locks its row. */
export async function claimable(
  session: Queryable,
  options: ActiveLimits & {
    owner?: string;
    now: number;
    ttl_ms: number;
    run_id?: string;
    lock?: "FOR UPDATE OF r" | "FOR UPDATE OF r SKIP LOCKED";
  },
): Promise<string | null> {
  const free = "(r.lease_until <= $6 OR r.lease_until > $6 + 2 * $8::float8)";
  const limits = dagLimits(options);
  const found = await session.get<{ run_id: string }>(
    `SELECT r.run_id FROM pipeline_runs r JOIN ${
      unnestOf({ dag_id: "text", most: "bigint", peers: "text" })
    } USING (dag_id)
     WHERE r.state IN ('queued', 'running') AND r.trigger != 'external'
       AND ($4::text IS NULL OR r.run_id = $4) AND (
       (r.state = 'running' AND ${free}) OR
       (r.state = 'queued' AND (${free} OR r.owner = $5)
         AND ($7::boolean OR r.trigger = 'manual' OR r.dag_id NOT IN (SELECT dag_id FROM paused_dags))
         AND given.most > (SELECT count(*) FROM pipeline_runs a WHERE a.state = 'running'
           AND a.dag_id IN (SELECT jsonb_array_elements_text(given.peers::jsonb)) AND a.trigger != 'external')))
     ORDER BY r.state = 'queued', r.created_at, r.run_id LIMIT 1 ${options.lock ?? ""}`,
    [
      limits.map(({ dag_id }) => dag_id),
      limits.map(({ most }) => most),
      limits.map(({ peers }) => JSON.stringify(peers)),
      options.run_id ?? null,
      options.owner ?? null,
      options.now,
      String(options.run_id !== undefined),
      options.ttl_ms,
    ],
  );
  return found?.run_id ?? null;
}
