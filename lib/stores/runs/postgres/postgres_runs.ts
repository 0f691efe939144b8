import { iso } from "../../../core/clock.ts";
import { ParleyError } from "../../../core/errors.ts";
import type { Health, Json } from "../../../core/types.ts";
import { Postgres } from "../../engines/postgres/postgres.ts";
import { postgresDialect } from "../../engines/postgres/schema.ts";
import { type Queryable, type Scalar, transposed, unnestOf } from "../../engines/postgres/session.ts";
import type {
  Acknowledgement,
  ActiveLimits,
  AttemptKey,
  AttemptOfRun,
  AttemptProgress,
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
import { applyChanges, checkLease, lock, lockRun, putTasks } from "./changes.ts";

/** Numbers from clocks and tasks need not be whole: SQLite stores such numbers as they are, and so does this. */
const FRACTIONAL =
  /\b(ready_at|lease_until|since|last_tick|rows|bytes|rows_in|rows_out|quarantined|progress_\w+) BIGINT/g;

/**
 * The tables of SQLite. Lineage is ordered by a column of its own, as there are no row ids. A transaction locks a row of
 * `pipeline_locks` before it counts what that row names: a dag's running runs, or a pool's slots.
 */
export const MIGRATIONS = RUN_MIGRATIONS.map((sql, version) => {
  const tables = postgresDialect(sql).replaceAll(FRACTIONAL, "$1 DOUBLE PRECISION");
  return version === 0
    ? `${tables}; ALTER TABLE pipeline_lineage ADD COLUMN seq BIGINT GENERATED ALWAYS AS IDENTITY;
       CREATE TABLE pipeline_locks (name TEXT COLLATE "C" PRIMARY KEY)`
    : tables;
});

/** Runs that one statement removes at most. */
const PRUNE_LIMIT = 100;

const LINEAGE = "task_id, attempt, direction, namespace, name, rows, bytes, version, fields, quality";
const ATTEMPT_KEY = { run_id: "text", task_id: "text", attempt: "bigint" } as const;

/**
 * Runs in PostgreSQL, for any number of processes on any number of machines. A commit is on the server's disk when it
 * is answered (`synchronous_commit`): a finished task stays finished. Every change to a run first locks that run's row;
 * locks are taken in the order dag, run, pool.
 */
export class PostgresRuns implements RunStore {
  private readonly db: Postgres;

  /** Connects at the first call. `url` is as {@link Postgres} takes it. */
  constructor({ url }: { url: URL }) {
    this.db = new Postgres({ url, store: "runs", migrations: MIGRATIONS });
  }

  create({ run, tasks, lease }: CreateOptions): Promise<boolean> {
    return this.db.write(async (session) => {
      const added = await session.run(
        `INSERT INTO pipeline_runs (run_id, dag_id, dag_version, state, trigger, occurrence, logical_date,
           interval_start, interval_end, params, created_at, owner, lease_until)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT DO NOTHING`,
        [
          ...[run.run_id, run.dag_id, run.dag_version, run.state, run.trigger, run.occurrence],
          ...[run.logical_date, run.interval_start, run.interval_end, JSON.stringify(run.params)],
          ...[run.created_at, lease?.owner ?? null, lease?.until ?? 0],
        ],
      ) === 1;
      if (added) await putTasks(session, run.run_id, tasks);
      return added;
    });
  }

  revise(options: ReviseOptions): Promise<{ admitted: string[] }> {
    return this.db.write(async (session) => {
      const run = await lockRun(session, options.run_id) && await readRun(session, options.run_id);
      if (run === null) throw new ParleyError("not_found", `there is no run ${options.run_id}`);
      return { admitted: await applyChanges(session, options, options.plan(run)) };
    });
  }

  requestCancel({ run_id }: { run_id: string }): Promise<boolean> {
    return this.db.write(async (session) => {
      await lockRun(session, run_id);
      const undriven = await session.run(
        `UPDATE pipeline_runs r SET cancel_requested = 1, state = 'cancelled', ended_at = $2, owner = NULL,
           lease_until = 0
         WHERE run_id = $1 AND (state = 'queued' OR state = 'running' AND trigger = 'external' AND NOT EXISTS
           (SELECT 1 FROM pipeline_attempts a WHERE a.run_id = r.run_id AND a.state = 'running'))`,
        [run_id, iso(Date.now())],
      ) === 1;
      const close = `UPDATE pipeline_tasks SET state = 'cancelled'
        WHERE run_id = $1 AND state IN ('waiting', 'ready')`;
      if (undriven) await session.run(close, [run_id]);
      const request = "UPDATE pipeline_runs SET cancel_requested = 1 WHERE run_id = $1 AND state = 'running'";
      return undriven || await session.run(request, [run_id]) === 1;
    });
  }

  snapshot({ run_id }: { run_id: string }): Promise<RunSnapshot | null> {
    return this.db.read((session) => readRun(session, run_id));
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

  async lineage({ run_id }: { run_id: string }): Promise<(LineageEntry & AttemptKey)[]> {
    const sql = `SELECT ${LINEAGE} FROM pipeline_lineage WHERE run_id = $1 ORDER BY seq`;
    return (await this.db.all<LineageRow>(sql, [run_id])).map(lineageOf);
  }

  async prune(
    { before, keep_unsent = false }: { before: string; keep_unsent?: boolean },
  ): Promise<number> {
    let total = 0;
    while (true) {
      const pruned = await this.pruneSome(before, keep_unsent);
      total += pruned;
      if (pruned < PRUNE_LIMIT) return total;
    }
  }

  /** Leaves out runs that another transaction has locked: they are in use. */
  private pruneSome(before: string, keep_unsent: boolean): Promise<number> {
    return this.db.run(
      `WITH old AS MATERIALIZED (
         SELECT run_id FROM pipeline_runs r WHERE created_at < $1
           AND (ended_at IS NOT NULL OR trigger = 'external' AND NOT EXISTS
             (SELECT 1 FROM pipeline_attempts a WHERE a.run_id = r.run_id AND a.state = 'running'))
           AND (trigger != 'schedule' OR logical_date < (SELECT max(logical_date) FROM pipeline_runs n
             WHERE n.dag_id = r.dag_id AND n.trigger = 'schedule'))
           AND (NOT $3::boolean OR NOT EXISTS
             (SELECT 1 FROM pipeline_attempts a WHERE a.run_id = r.run_id AND ${UNSENT}))
         LIMIT $2 FOR UPDATE OF r SKIP LOCKED)
       DELETE FROM pipeline_runs USING old WHERE pipeline_runs.run_id = old.run_id`,
      [before, PRUNE_LIMIT, String(keep_unsent)],
    );
  }

  /** Most calls find nothing, and lock nothing. A call that finds a run then waits for the lock of its dag. */
  async claim(options: ClaimOptions): Promise<RunSnapshot | null> {
    if (await findClaimable(this.db, options) === null) return null;
    return await this.db.write(async (session) => {
      const counted = new Set(dagLimits(options).flatMap(({ peers }) => peers));
      await lock(session, [...counted].map((dag_id) => `dag ${dag_id}`));
      // A row that is locked is another process's now; only a claim of that very run waits for it.
      const how = options.run_id === undefined ? "FOR UPDATE OF r SKIP LOCKED" : "FOR UPDATE OF r";
      const run_id = await findClaimable(session, options, how);
      if (run_id === null) return null;
      await session.run(
        "UPDATE pipeline_runs SET owner = $2, lease_until = $3, state = 'running' WHERE run_id = $1",
        [run_id, options.owner, options.now + options.ttl_ms],
      );
      return await readRun(session, run_id);
    });
  }

  async hasDueRuns(options: ActiveLimits & { now: number; ttl_ms: number }): Promise<boolean> {
    return await findClaimable(this.db, options) !== null;
  }

  commit({ changes, ...options }: CommitOptions): Promise<{ admitted: string[] }> {
    return this.db.write(async (session) => {
      await checkLease(session, options);
      return { admitted: await applyChanges(session, options, changes) };
    });
  }

  heartbeat(options: HeartbeatOptions): Promise<{ cancel_requested: boolean }> {
    return this.db.write(async (session) => {
      const { cancel_requested } = await checkLease(session, options);
      await renewLease(session, options);
      if (options.progress.length > 0) await saveProgress(session, options.run_id, options.progress);
      return { cancel_requested: cancel_requested === 1 };
    });
  }

  async release({ run_id, owner }: { run_id: string; owner: string }): Promise<void> {
    const sql = "UPDATE pipeline_runs SET owner = NULL, lease_until = 0 WHERE run_id = $1 AND owner = $2";
    await this.db.run(sql, [run_id, owner]);
  }

  async saveCheckpoint(options: AttemptOfRun & { owner: string; value: Json }): Promise<void> {
    const { run_id, owner, task_id, value } = options;
    await this.db.write(async (session) => {
      await checkLease(session, { run_id, owner, attempt: options });
      const sql = "UPDATE pipeline_tasks SET checkpoint = $3, lost = 0 WHERE run_id = $1 AND task_id = $2";
      await session.run(sql, [run_id, task_id, JSON.stringify(value)]);
    });
  }

  async checkpoint({ run_id, task_id }: { run_id: string; task_id: string }): Promise<Json> {
    const sql = "SELECT checkpoint FROM pipeline_tasks WHERE run_id = $1 AND task_id = $2";
    const row = await this.db.get<{ checkpoint: string | null }>(sql, [run_id, task_id]);
    return row?.checkpoint == null ? null : JSON.parse(row.checkpoint);
  }

  /** Under the run's lock, so that lines become visible in the order of their numbers, and a reader misses none. */
  async appendLogs({ run_id, lines }: { run_id: string; lines: readonly LogLine[] }): Promise<void> {
    if (lines.length === 0) return;
    const columns = { task_id: "text", attempt: "bigint", at: "text", line: "text" } as const;
    const rows = lines.map(({ task_id, attempt, at, line }) => [task_id, attempt, at, line]);
    await this.db.write(async (session) => {
      await lockRun(session, run_id);
      await session.run(
        `INSERT INTO pipeline_logs (run_id, task_id, attempt, at, line)
         SELECT $1, task_id, attempt, at, line FROM ${unnestOf(columns, 2)}`,
        [run_id, ...transposed(rows, 4)],
      );
    });
  }

  logs({ run_id, task_id, attempt, after, limit }: LogOptions): Promise<(LogLine & { seq: number })[]> {
    return this.db.all<LogLine & { seq: number }>(
      `SELECT seq, task_id, attempt, at, line FROM pipeline_logs WHERE run_id = $1 AND seq > $2
         AND ($3::text IS NULL OR task_id = $3) AND ($4::bigint IS NULL OR attempt = $4) ORDER BY seq LIMIT $5`,
      [run_id, after, task_id ?? null, attempt ?? null, limit],
    );
  }

  async lastScheduled({ dag_id, until }: { dag_id: string; until: string }): Promise<string | null> {
    const sql = `SELECT max(logical_date) AS at FROM pipeline_runs
      WHERE dag_id = $1 AND trigger = 'schedule' AND logical_date <= $2`;
    return (await this.db.get<{ at: string | null }>(sql, [dag_id, until]))?.at ?? null;
  }

  async firstSeen({ dag_id, now }: { dag_id: string; now: number }): Promise<number> {
    // The lesser of the two: a scheduler that ran while the clock was ahead must not hold the schedule back until then.
    const sql = `INSERT INTO known_dags VALUES ($1, $2)
      ON CONFLICT (dag_id) DO UPDATE SET since = least(known_dags.since, excluded.since) RETURNING since`;
    return (await this.db.write((session) => session.get<{ since: number }>(sql, [dag_id, now])))!.since;
  }

  async setPaused({ dag_id, paused }: { dag_id: string; paused: boolean }): Promise<void> {
    const sql = paused
      ? "INSERT INTO paused_dags VALUES ($1) ON CONFLICT DO NOTHING"
      : "DELETE FROM paused_dags WHERE dag_id = $1";
    await this.db.run(sql, [dag_id]);
  }

  async paused(): Promise<string[]> {
    const rows = await this.db.all<{ dag_id: string }>("SELECT dag_id FROM paused_dags ORDER BY dag_id");
    return rows.map(({ dag_id }) => dag_id);
  }

  async lead({ owner, now, ttl_ms, lag_ms }: LeadOptions): Promise<boolean> {
    return await this.db.run(
      `INSERT INTO scheduler AS s (one, owner, last_tick, lag_ms, lease_until) VALUES (1, $1, $2, $3, $4)
       ON CONFLICT (one) DO UPDATE SET owner = excluded.owner, last_tick = excluded.last_tick,
         lag_ms = excluded.lag_ms, lease_until = excluded.lease_until
       WHERE s.owner = $1 OR s.lease_until <= $2 OR s.lease_until > $2 + 2 * $5::float8`,
      [owner, now, Math.round(lag_ms), now + ttl_ms, ttl_ms],
    ) === 1;
  }

  async leader(): Promise<Leader | null> {
    const row = await this.db.get<{ owner: string; last_tick: number; lag_ms: number; lease_until: number }>(
      "SELECT owner, last_tick, lag_ms, lease_until FROM scheduler",
    );
    if (row === null) return null;
    const { owner, last_tick, lag_ms, lease_until } = row;
    return { owner, last_tick: iso(last_tick), lag_ms, live_until: iso(lease_until) };
  }

  /** Leaves out attempts that another process is taking. */
  takeUnsent(options: { now: number; again_at: number; limit: number }): Promise<UnsentAttempt[]> {
    return this.db.write(async (session) => {
      const attempts = await session.all<AttemptRow>(
        `SELECT * FROM pipeline_attempts WHERE send_at <= $1 AND ${UNSENT}
         ORDER BY send_at, ended_at LIMIT $2 FOR UPDATE SKIP LOCKED`,
        [options.now, options.limit],
      );
      if (attempts.length === 0) return [];
      await setDue(session, attempts, options.again_at);
      const runs = "SELECT * FROM pipeline_runs WHERE run_id = ANY($1::text[])";
      const lineage = `SELECT run_id, ${LINEAGE} FROM pipeline_lineage
        JOIN ${unnestOf(ATTEMPT_KEY)} USING (run_id, task_id, attempt) ORDER BY seq`;
      return unsentOf(
        attempts,
        await session.all<RunRow>(runs, [attempts.map(({ run_id }) => run_id)]),
        await session.all<LineageRow & { run_id: string }>(lineage, keysOf(attempts)),
      );
    });
  }

  async markSent({ attempts, again_at }: Parameters<RunStore["markSent"]>[0]): Promise<void> {
    if (attempts.length > 0) await this.db.write((session) => setDue(session, attempts, again_at));
  }

  async unsent(): Promise<number> {
    const sql = `SELECT count(*) AS attempts FROM pipeline_attempts WHERE ${UNSENT}`;
    return (await this.db.get<{ attempts: number }>(sql))!.attempts;
  }

  async acknowledge({ anomaly_id, since, by, at, until }: Acknowledgement): Promise<void> {
    await this.db.run("DELETE FROM acknowledgements WHERE until < $1", [at]);
    await this.db.run(
      `INSERT INTO acknowledgements VALUES ($1, $2, $3, $4, $5) ON CONFLICT (anomaly_id) DO UPDATE
       SET since = excluded.since, "by" = excluded."by", at = excluded.at, until = excluded.until`,
      [anomaly_id, since, by, at, until],
    );
  }

  async unacknowledge({ anomaly_id }: { anomaly_id: string }): Promise<boolean> {
    return await this.db.run("DELETE FROM acknowledgements WHERE anomaly_id = $1", [anomaly_id]) === 1;
  }

  acknowledgements(): Promise<Acknowledgement[]> {
    return this.db.all("SELECT * FROM acknowledgements ORDER BY anomaly_id");
  }

  async endSession(options: { session_id: string; until: number; now: number }): Promise<void> {
    await this.db.run("DELETE FROM ended_sessions WHERE until < $1", [options.now]);
    const insert = "INSERT INTO ended_sessions VALUES ($1, $2) ON CONFLICT DO NOTHING";
    await this.db.run(insert, [options.session_id, options.until]);
  }

  async isSessionEnded({ session_id }: { session_id: string }): Promise<boolean> {
    const sql = "SELECT session_id FROM ended_sessions WHERE session_id = $1";
    return await this.db.get(sql, [session_id]) !== null;
  }

  health(): Promise<Health> {
    return this.db.health();
  }

  close(): Promise<void> {
    return this.db.close();
  }
}

/** A run with all of its tasks and attempts, within the caller's transaction. */
async function readRun(session: Queryable, run_id: string): Promise<RunSnapshot | null> {
  const run = await session.get<RunRow>("SELECT * FROM pipeline_runs WHERE run_id = $1", [run_id]);
  if (run === null) return null;
  const tasks = "SELECT * FROM pipeline_tasks WHERE run_id = $1 ORDER BY task_id";
  const attempts = "SELECT * FROM pipeline_attempts WHERE run_id = $1 ORDER BY started_at, task_id, attempt";
  return {
    run: runOf(run),
    tasks: (await session.all<TaskRow>(tasks, [run_id])).map(taskOf),
    attempts: (await session.all<AttemptRow>(attempts, [run_id])).map(attemptOf),
  };
}

/** The run that may be claimed next; with `lock`, its row is locked by that clause. */
async function findClaimable(
  session: Queryable,
  options: Omit<ClaimOptions, "owner"> & { readonly owner?: string },
  lock: "" | "FOR UPDATE OF r" | "FOR UPDATE OF r SKIP LOCKED" = "",
): Promise<string | null> {
  const free = "(r.lease_until <= $6 OR r.lease_until > $6 + 2 * $8::float8)";
  const limit = unnestOf({ dag_id: "text", max_active: "bigint", peers: "text" });
  const limits = dagLimits(options);
  const found = await session.get<{ run_id: string }>(
    `SELECT r.run_id FROM pipeline_runs r JOIN ${limit} USING (dag_id)
     WHERE r.state IN ('queued', 'running') AND r.trigger != 'external'
       AND ($4::text IS NULL OR r.run_id = $4) AND (
       (r.state = 'running' AND ${free}) OR
       (r.state = 'queued' AND (${free} OR r.owner = $5)
         AND ($7::boolean OR r.trigger = 'manual' OR r.dag_id NOT IN (SELECT dag_id FROM paused_dags))
         AND input.max_active > (SELECT count(*) FROM pipeline_runs a WHERE a.state = 'running'
           AND a.dag_id IN (SELECT jsonb_array_elements_text(input.peers::jsonb)) AND a.trigger != 'external')))
     ORDER BY r.state = 'queued', r.created_at, r.run_id LIMIT 1 ${lock}`,
    [
      limits.map(({ dag_id }) => dag_id),
      limits.map(({ max_active }) => max_active),
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

async function renewLease(
  session: Queryable,
  { run_id, attempt, now, ttl_ms }: HeartbeatOptions,
): Promise<void> {
  if (attempt === undefined) {
    await session.run("UPDATE pipeline_runs SET lease_until = $2 WHERE run_id = $1", [run_id, now + ttl_ms]);
    return;
  }
  await session.run(
    "UPDATE pipeline_attempts SET lease_until = $4 WHERE run_id = $1 AND task_id = $2 AND attempt = $3",
    [run_id, attempt.task_id, attempt.attempt, now + ttl_ms],
  );
}

async function saveProgress(
  session: Queryable,
  run_id: string,
  progress: readonly AttemptProgress[],
): Promise<void> {
  const columns = {
    task_id: "text",
    attempt: "bigint",
    done: "double precision",
    total: "double precision",
  } as const;
  const rows = progress.map(({ task_id, attempt, done, total }) => [task_id, attempt, done, total]);
  await session.run(
    `UPDATE pipeline_attempts a SET progress_done = input.done, progress_total = input.total
     FROM ${unnestOf(columns, 2)}
     WHERE a.run_id = $1 AND a.task_id = input.task_id AND a.attempt = input.attempt AND a.state = 'running'`,
    [run_id, ...transposed(rows, 4)],
  );
}

/** Sets when attempts are due to be sent again; null is never. */
async function setDue(
  session: Queryable,
  attempts: readonly AttemptOfRun[],
  at: number | null,
): Promise<void> {
  await session.run(
    `UPDATE pipeline_attempts a SET send_at = $1 FROM ${unnestOf(ATTEMPT_KEY, 2)}
     WHERE a.run_id = input.run_id AND a.task_id = input.task_id AND a.attempt = input.attempt`,
    [at, ...keysOf(attempts)],
  );
}

function keysOf(attempts: readonly AttemptOfRun[]): Scalar[][] {
  return transposed(attempts.map(({ run_id, task_id, attempt }) => [run_id, task_id, attempt]), 3);
}
