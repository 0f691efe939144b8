import { iso } from "../../../core/clock.ts";
import { ParleyError } from "../../../core/errors.ts";
import type { Json } from "../../../core/types.ts";
import { type Queryable, transposed, unnestOf } from "../../engines/postgres/session.ts";
import { dagLimits } from "../limits.ts";
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
import { markSent, takeUnsent } from "./outbox.ts";
import { claimable, PostgresRunQueries, readRun } from "./queries.ts";
import { applyChanges, checkHold, holdRow, lock, putTasks } from "./writes.ts";
import { UNSENT } from "../rows.ts";

/** Runs that one statement removes at most. */
const PRUNE_LIMIT = 100;

/**
 * Runs in PostgreSQL, for any number of processes on any number of machines. A commit is on the server's disk when it
 * is answered (`synchronous_commit`): a finished task stays finished. Every change to a run first locks that run's row;
 * locks are taken in the order dag, run, pool.
 */
export class PostgresRuns extends PostgresRunQueries implements RunStore {
  create({ run, tasks, lease }: {
    run: RunRecord;
    tasks: readonly TaskRecord[];
    lease?: { readonly owner: string; readonly until: number };
  }): Promise<boolean> {
    return this.db.write(async (session) => {
      const added = await session.run(
        `INSERT INTO pipeline_runs (run_id, dag_id, dag_version, state, trigger, occurrence, logical_date,
           interval_start, interval_end, params, created_at, owner, lease_until)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT DO NOTHING`,
        [
          ...[
            run.run_id,
            run.dag_id,
            run.dag_version,
            run.state,
            run.trigger,
            run.occurrence,
            run.logical_date,
          ],
          ...[run.interval_start, run.interval_end, JSON.stringify(run.params), run.created_at],
          ...[lease?.owner ?? null, lease?.until ?? 0],
        ],
      ) === 1;
      if (added) await putTasks(session, run.run_id, tasks);
      return added;
    });
  }

  /** Most who ask find nothing, and lock nothing. Those who find something take their turn at its dag. */
  async claim(
    options: ActiveLimits & { owner: string; now: number; ttl_ms: number; run_id?: string },
  ): Promise<RunSnapshot | null> {
    if (await claimable(this.db, options) === null) return null;
    return await this.db.write((session) => this.take(session, options));
  }

  private async take(
    session: Queryable,
    options: Parameters<PostgresRuns["claim"]>[0],
  ): Promise<RunSnapshot | null> {
    const counted = new Set(dagLimits(options).flatMap(({ peers }) => peers));
    await lock(session, [...counted].map((dag_id) => `dag ${dag_id}`));
    // A row that is locked is somebody else's just now. Who wants that very run waits for it.
    const how = options.run_id === undefined ? "FOR UPDATE OF r SKIP LOCKED" : "FOR UPDATE OF r";
    const found = await claimable(session, { ...options, lock: how });
    if (found === null) return null;
    await session.run(
      "UPDATE pipeline_runs SET owner = $2, lease_until = $3, state = 'running' WHERE run_id = $1",
      [found, options.owner, options.now + options.ttl_ms],
    );
    return await readRun(session, found);
  }

  commit(
    options: { run_id: string; owner: string; now: number; changes: RunChanges },
  ): Promise<{ admitted: string[] }> {
    return this.db.write(async (session) => {
      await checkHold(session, { run_id: options.run_id, owner: options.owner });
      return { admitted: await applyChanges(session, options, options.changes) };
    });
  }

  revise(
    options: { run_id: string; now: number; plan: (run: RunSnapshot) => RunChanges },
  ): Promise<{ admitted: string[] }> {
    return this.db.write(async (session) => {
      const run = await holdRow(session, options.run_id) && await readRun(session, options.run_id);
      if (run === null) throw new ParleyError("not_found", `there is no run ${options.run_id}`);
      return { admitted: await applyChanges(session, options, options.plan(run)) };
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
    return this.db.write(async (session) => {
      const { cancel_requested } = await checkHold(session, options);
      await renew(session, options, options.now + options.ttl_ms);
      if (options.progress.length > 0) await saveProgress(session, options.run_id, options.progress);
      return { cancel_requested: cancel_requested === 1 };
    });
  }

  async release({ run_id, owner }: { run_id: string; owner: string }): Promise<void> {
    const sql = "UPDATE pipeline_runs SET owner = NULL, lease_until = 0 WHERE run_id = $1 AND owner = $2";
    await this.db.run(sql, [run_id, owner]);
  }

  async saveCheckpoint(options: AttemptKey & { run_id: string; owner: string; value: Json }): Promise<void> {
    await this.db.write(async (session) => {
      await checkHold(session, { run_id: options.run_id, owner: options.owner, attempt: options });
      const sql = "UPDATE pipeline_tasks SET checkpoint = $3, lost = 0 WHERE run_id = $1 AND task_id = $2";
      await session.run(sql, [options.run_id, options.task_id, JSON.stringify(options.value)]);
    });
  }

  requestCancel({ run_id }: { run_id: string }): Promise<boolean> {
    return this.db.write(async (session) => {
      await holdRow(session, run_id);
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
      const ask = "UPDATE pipeline_runs SET cancel_requested = 1 WHERE run_id = $1 AND state = 'running'";
      return undriven || await session.run(ask, [run_id]) === 1;
    });
  }

  /** Under the run's lock, so that lines become visible in the order of their numbers, and a reader misses none. */
  async appendLogs({ run_id, lines }: { run_id: string; lines: readonly LogLine[] }): Promise<void> {
    if (lines.length === 0) return;
    const columns = { task_id: "text", attempt: "bigint", at: "text", line: "text" } as const;
    const rows = lines.map(({ task_id, attempt, at, line }) => [task_id, attempt, at, line]);
    await this.db.write(async (session) => {
      await holdRow(session, run_id);
      await session.run(
        `INSERT INTO pipeline_logs (run_id, task_id, attempt, at, line)
         SELECT $1, task_id, attempt, at, line FROM ${unnestOf(columns, 2)}`,
        [run_id, ...transposed(rows, 4)],
      );
    });
  }

  async setPaused({ dag_id, paused }: { dag_id: string; paused: boolean }): Promise<void> {
    const sql = paused
      ? "INSERT INTO paused_dags VALUES ($1) ON CONFLICT DO NOTHING"
      : "DELETE FROM paused_dags WHERE dag_id = $1";
    await this.db.run(sql, [dag_id]);
  }

  async endSession(options: { session_id: string; until: number; now: number }): Promise<void> {
    await this.db.run("DELETE FROM ended_sessions WHERE until < $1", [options.now]);
    await this.db.run("INSERT INTO ended_sessions VALUES ($1, $2) ON CONFLICT DO NOTHING", [
      options.session_id,
      options.until,
    ]);
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

  async firstSeen({ dag_id, now }: { dag_id: string; now: number }): Promise<number> {
    // The lesser of the two: a first look while the clock was ahead must not hold the schedule back until then.
    const row = await this.db.write((session) =>
      session.get<{ since: number }>(
        `INSERT INTO known_dags VALUES ($1, $2)
         ON CONFLICT (dag_id) DO UPDATE SET since = least(known_dags.since, excluded.since) RETURNING since`,
        [dag_id, now],
      )
    );
    return row?.since ?? now;
  }

  async lead(options: { owner: string; now: number; ttl_ms: number; lag_ms: number }): Promise<boolean> {
    return await this.db.run(
      `INSERT INTO scheduler AS s (one, owner, last_tick, lag_ms, lease_until) VALUES (1, $1, $2, $3, $4)
       ON CONFLICT (one) DO UPDATE SET owner = excluded.owner, last_tick = excluded.last_tick,
         lag_ms = excluded.lag_ms, lease_until = excluded.lease_until
       WHERE s.owner = $1 OR s.lease_until <= $2 OR s.lease_until > $2 + 2 * $5::float8`,
      [options.owner, options.now, Math.round(options.lag_ms), options.now + options.ttl_ms, options.ttl_ms],
    ) === 1;
  }

  takeUnsent(options: { now: number; again_at: number; limit: number }): Promise<UnsentAttempt[]> {
    return this.db.write((session) => takeUnsent(session, options));
  }

  async markSent(options: { attempts: readonly AttemptOfRun[]; again_at: number | null }): Promise<void> {
    if (options.attempts.length > 0) await this.db.write((session) => markSent(session, options));
  }

  async prune(
    { before, keep_unsent = false }: { before: string; keep_unsent?: boolean },
  ): Promise<number> {
    let gone = 0;
    while (true) {
      const pruned = await this.pruneSome(before, keep_unsent);
      gone += pruned;
      if (pruned < PRUNE_LIMIT) return gone;
    }
  }

  /** Leaves out what somebody else has locked: something goes on there. */
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
}

async function renew(
  session: Queryable,
  { run_id, attempt }: { run_id: string; attempt?: AttemptKey },
  until: number,
): Promise<void> {
  if (attempt === undefined) {
    await session.run("UPDATE pipeline_runs SET lease_until = $2 WHERE run_id = $1", [run_id, until]);
    return;
  }
  await session.run(
    "UPDATE pipeline_attempts SET lease_until = $4 WHERE run_id = $1 AND task_id = $2 AND attempt = $3",
    [run_id, attempt.task_id, attempt.attempt, until],
  );
}

async function saveProgress(
  session: Queryable,
  run_id: string,
  progress: readonly Progressed[],
): Promise<void> {
  const columns = {
    task_id: "text",
    attempt: "bigint",
    done: "double precision",
    total: "double precision",
  } as const;
  const rows = progress.map(({ task_id, attempt, done, total }) => [task_id, attempt, done, total]);
  await session.run(
    `UPDATE pipeline_attempts a SET progress_done = given.done, progress_total = given.total
     FROM ${unnestOf(columns, 2)}
     WHERE a.run_id = $1 AND a.task_id = given.task_id AND a.attempt = given.attempt AND a.state = 'running'`,
    [run_id, ...transposed(rows, 4)],
  );
}
