import { iso } from "../../core/clock.ts";
import { ParleyError } from "../../core/errors.ts";
import type { Abortable, Json } from "../../core/types.ts";
import {
  all,
  allRows,
  get,
  run,
  runRows,
  type SqlDatabase,
  type SqlValue,
  type Steps,
} from "../engines/sql.ts";
import { SqlStore } from "../engines/sql_store.ts";
import { SqlTables } from "../engines/sql_tables.ts";
import {
  type Acknowledgement,
  type ActiveLimits,
  type AttemptKey,
  type AttemptOfRun,
  type AuditEntry,
  type Backfill,
  type BackfillProgress,
  type ClaimOptions,
  type CommitOptions,
  type CreateOptions,
  type DatasetWrites,
  type HeartbeatOptions,
  type Leader,
  type LeadOptions,
  type LineageEntry,
  type LogLine,
  type LogOptions,
  type NewNotification,
  type Notification,
  type NotificationType,
  type RecordedText,
  type ReviseOptions,
  RUN_STATES,
  type RunFilter,
  type RunHistory,
  type RunNote,
  type RunRecord,
  type RunSnapshot,
  type RunStore,
  type SinkBacklog,
  type StoredTables,
  type TaskOutput,
  type UnsentAttempt,
} from "./port.ts";
import {
  ATTEMPT_FACTS,
  attemptOf,
  type AttemptRow,
  auditEntryOf,
  type AuditRow,
  backfillOf,
  type BackfillRow,
  dagLimits,
  HISTORY_ATTEMPTS,
  HISTORY_TASKS,
  historyOf,
  type HistoryRow,
  LINEAGE_COLUMNS,
  lineageOf,
  type LineageRow,
  notificationOf,
  type NotificationRow,
  outputOf,
  type OutputRow,
  runOf,
  type RunRow,
  TASK_FACTS,
  taskOf,
  type TaskRow,
  UNSENT,
  unsentOf,
} from "./rows.ts";
import { RecordedTexts } from "./recorded_texts.ts";
import { type LockNames, RunWriter } from "./run_writer.ts";
import { RUN_TABLES } from "./schema.ts";

/** Runs that one transaction removes at most, and lines of a log that one adds. */
const PRUNE_LIMIT = 100;
const LOG_LIMIT = 1_000;

const ATTEMPT_KEY = { run_id: "text", task_id: "text", attempt: "bigint" } as const;
const SEND_AT = { ...ATTEMPT_KEY, send_at: "bigint" } as const;
const START_SENT = { ...ATTEMPT_KEY, start_sent: "bigint" } as const;

/**
 * Runs in SQL, for any number of processes. A commit is on disk when it is answered: a finished task stays finished. Locks are
 * taken in the order dag, run, pool.
 */
export class SqlRuns extends SqlStore implements RunStore {
  readonly tables: StoredTables;
  private readonly writer: RunWriter;
  private readonly recordedTexts: RecordedTexts;

  protected constructor(db: SqlDatabase, private readonly lockNames: LockNames) {
    super(db);
    this.writer = new RunWriter(db.dialect, lockNames);
    this.tables = new SqlTables(db, RUN_TABLES);
    this.recordedTexts = new RecordedTexts(db);
  }

  create({ run: record, tasks, lease }: CreateOptions): Promise<boolean> {
    const { writer } = this;
    const sql =
      `INSERT INTO pipeline_runs (run_id, dag_id, dag_version, state, trigger, occurrence, logical_date,
        interval_start, interval_end, params, created_at, owner, lease_until, backfill_id)
      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) ON CONFLICT DO NOTHING`;
    const { run_id, dag_id, dag_version, state, trigger, occurrence, logical_date } = record;
    const values = [
      ...[run_id, dag_id, dag_version, state, trigger, occurrence, logical_date, record.interval_start],
      ...[record.interval_end, JSON.stringify(record.params), record.created_at],
      ...[lease?.owner ?? null, lease?.until ?? 0, record.backfill_id],
    ];
    return this.db.write(function* () {
      const isNew = (yield* run(sql, ...values)) === 1;
      if (isNew) yield* writer.putTasks(run_id, tasks);
      return isNew;
    });
  }

  revise(options: ReviseOptions): Promise<{ admitted: string[] }> {
    const { writer } = this;
    return this.db.write(function* () {
      const found = (yield* writer.lockRun(options.run_id)) && (yield* readRun(options.run_id));
      if (found === null) throw new ParleyError("not_found", `there is no run ${options.run_id}`);
      return { admitted: yield* writer.apply(options, options.plan(found)) };
    });
  }

  requestCancel({ run_id }: { run_id: string }): Promise<boolean> {
    const { writer } = this;
    return this.db.write(function* () {
      yield* writer.lockRun(run_id);
      const isUndriven = (yield* run(
        `UPDATE pipeline_runs AS r SET cancel_requested = 1, state = 'cancelled', ended_at = $2, owner = NULL,
           lease_until = 0
         WHERE run_id = $1 AND (state = 'queued' OR state = 'running' AND trigger = 'external' AND NOT EXISTS
           (SELECT 1 FROM pipeline_attempts a WHERE a.run_id = r.run_id AND a.state = 'running'))`,
        run_id,
        iso(Date.now()),
      )) === 1;
      const close = `UPDATE pipeline_tasks SET state = 'cancelled'
        WHERE run_id = $1 AND state IN ('waiting', 'ready', 'running')`;
      if (isUndriven) yield* run(close, run_id);
      const request = "UPDATE pipeline_runs SET cancel_requested = 1 WHERE run_id = $1 AND state = 'running'";
      return isUndriven || (yield* run(request, run_id)) === 1;
    });
  }

  snapshot({ run_id }: { run_id: string }): Promise<RunSnapshot | null> {
    return this.db.read(() => readRun(run_id));
  }

  runNotes({ run_id }: { run_id: string }): Promise<RunNote[]> {
    const sql = `SELECT task_id, action, "by", note, at FROM run_notes WHERE run_id = $1 ORDER BY seq`;
    return this.db.query(() => all<RunNote>(sql, run_id));
  }

  async runs(
    { dag_id, states, trigger, skipped, backfill_id, from, to, after, limit }: RunFilter & {
      readonly limit: number;
    },
  ): Promise<RunRecord[]> {
    // Put together, since "$1 IS NULL OR" keeps SQLite from using an index.
    const values: SqlValue[] = [limit];
    const dag = dag_id === undefined ? "" : `AND dag_id = $${values.push(dag_id)}`;
    const state = states === undefined
      ? ""
      : `AND ${this.db.dialect.isIn("state", `$${values.push(JSON.stringify(states))}`)}`;
    const triggered = trigger === undefined ? "" : `AND trigger = $${values.push(trigger)}`;
    // As `isSkipped` has it.
    const idle = skipped === undefined
      ? ""
      : `AND ${skipped ? "" : "NOT"} (state = 'success' AND error IS NOT NULL)`;
    const backfill = backfill_id === undefined ? "" : `AND backfill_id = $${values.push(backfill_id)}`;
    const dates = (from === undefined ? "" : `AND logical_date >= $${values.push(from)}`) +
      (to === undefined ? "" : ` AND logical_date < $${values.push(to)}`);
    const earlier = after === undefined
      ? ""
      : `AND (created_at, run_id) < ($${values.push(after.created_at)}, $${values.push(after.run_id)})`;
    const sql =
      `SELECT * FROM pipeline_runs WHERE true ${dag} ${state} ${triggered} ${idle} ${backfill} ${dates} ${earlier}
      ORDER BY created_at DESC, run_id DESC LIMIT $1`;
    return (await this.db.query(() => all<RunRow>(sql, ...values))).map(runOf);
  }

  async history(options: { dag_id: string; since: string; limit: number }): Promise<RunHistory[]> {
    const { dag_id, since, limit } = options;
    const of = (rows: string, facts: string, order: string) =>
      `(SELECT ${this.db.dialect.jsonRows(facts, order)} FROM ${rows} x)`;
    const sql = `SELECT *, ${of(HISTORY_TASKS, TASK_FACTS, "task_id")} AS tasks,
        ${of(HISTORY_ATTEMPTS, ATTEMPT_FACTS, "task_id, attempt")} AS attempts
      FROM pipeline_runs r WHERE dag_id = $1 AND created_at >= $2
      ORDER BY created_at DESC, run_id DESC LIMIT $3`;
    return (await this.db.query(() => all<HistoryRow>(sql, dag_id, since, limit))).map(historyOf);
  }

  async outputs(
    options: { dag_id: string; task_id: string; since: string; limit: number },
  ): Promise<TaskOutput[]> {
    const { dag_id, task_id, since, limit } = options;
    const sql = `SELECT r.run_id, r.created_at, t.state, a.ended_at, t.output
      FROM pipeline_runs r JOIN pipeline_tasks t ON t.run_id = r.run_id AND t.task_id = $1
      LEFT JOIN pipeline_attempts a ON a.run_id = t.run_id AND a.task_id = t.task_id AND a.attempt = t.attempts
      WHERE r.dag_id = $2 AND r.created_at >= $3 AND t.output != 'null'
      ORDER BY r.created_at DESC, r.run_id DESC LIMIT $4`;
    const rows = await this.db.query(() => all<OutputRow>(sql, task_id, dag_id, since, limit));
    return rows.map(outputOf);
  }

  async lineage({ run_id }: { run_id: string }): Promise<(LineageEntry & AttemptKey)[]> {
    const sql = `SELECT ${LINEAGE_COLUMNS} FROM pipeline_lineage WHERE run_id = $1
      ORDER BY ${this.db.dialect.insertionOrder}`;
    return (await this.db.query(() => all<LineageRow>(sql, run_id))).map(lineageOf);
  }

  async prune(
    { before, keep_unsent = false, sinks = [] }: {
      before: string;
      keep_unsent?: boolean;
      sinks?: readonly string[];
    },
  ): Promise<number> {
    const unsent = `(SELECT 1 FROM pipeline_attempts a WHERE a.run_id = r.run_id AND ${UNSENT})`;
    // Leaves out runs that another transaction has locked: they are in use.
    const sql = `WITH old AS MATERIALIZED (
        SELECT run_id FROM pipeline_runs r WHERE created_at < $1
          AND (ended_at IS NOT NULL OR trigger = 'external' AND NOT EXISTS
            (SELECT 1 FROM pipeline_attempts a WHERE a.run_id = r.run_id AND a.state = 'running'))
          AND (trigger NOT IN ('schedule', 'dataset') OR logical_date < (SELECT max(logical_date)
            FROM pipeline_runs n WHERE n.dag_id = r.dag_id AND n.trigger = r.trigger))
          ${keep_unsent ? `AND NOT EXISTS ${unsent}` : ""}
        LIMIT ${PRUNE_LIMIT} ${this.db.dialect.lockRows("r", { skipLocked: true })})
      DELETE FROM pipeline_runs WHERE run_id IN (SELECT run_id FROM old)`;
    for (let total = 0;;) {
      const removed = await this.db.write(() => run(sql, before));
      total += removed;
      if (removed === PRUNE_LIMIT) continue;
      const empty = `DELETE FROM backfills WHERE created_at < $1
        AND backfill_id NOT IN (SELECT backfill_id FROM pipeline_runs WHERE backfill_id IS NOT NULL)`;
      await this.db.write(() => run(empty, before));
      const sent = `DELETE FROM notifications WHERE at < $1 AND NOT EXISTS (SELECT 1 FROM notification_sinks s
        WHERE ${this.db.dialect.isIn("s.sink", "$2")} AND s.sent_seq < seq)`;
      await this.db.write(() => run(sent, before, JSON.stringify(sinks)));
      return total;
    }
  }

  async addBackfill(backfill: Backfill): Promise<void> {
    const { backfill_id, dag_id, from_day, to_day, reprocess, max_active, backwards, created_at } = backfill;
    await this.db.write(() =>
      run(
        "INSERT INTO backfills VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        ...[backfill_id, dag_id, from_day, to_day, reprocess, max_active, Number(backwards), created_at],
        backfill.cancelled_at,
      )
    );
  }

  async backfills(
    { dag_id, backfill_id, limit }: { dag_id?: string; backfill_id?: string; limit: number },
  ): Promise<BackfillProgress[]> {
    const counts = RUN_STATES.map((state) => `count(CASE WHEN r.state = '${state}' THEN 1 END) AS ${state}`);
    const sql = `SELECT b.*, ${counts.join(", ")}
      FROM backfills b JOIN pipeline_runs r ON r.backfill_id = b.backfill_id
      WHERE (CAST($1 AS TEXT) IS NULL OR b.dag_id = $1) AND (CAST($2 AS TEXT) IS NULL OR b.backfill_id = $2)
      GROUP BY b.backfill_id ORDER BY b.created_at DESC, b.backfill_id DESC LIMIT $3`;
    const rows = await this.db.query(() => all<BackfillRow>(sql, dag_id ?? null, backfill_id ?? null, limit));
    return rows.map(backfillOf);
  }

  async cancelBackfill({ backfill_id, at }: { backfill_id: string; at: string }): Promise<boolean> {
    const sql = "UPDATE backfills SET cancelled_at = $2 WHERE backfill_id = $1 AND cancelled_at IS NULL";
    return await this.db.write(() => run(sql, backfill_id, at)) === 1;
  }

  /** Most calls find nothing, and lock nothing. */
  async claim(options: ClaimOptions): Promise<RunSnapshot | null> {
    if (!await this.hasDueRuns(options)) return null;
    const { db, lockNames } = this;
    const counted = new Set(dagLimits(options).flatMap(({ peers }) => peers));
    // A row that is locked is another process's now; only a claim of that very run waits for it.
    const lock = db.dialect.lockRows("r", { skipLocked: options.run_id === undefined });
    return await db.write(() => claimSteps(this.claimable(options, lock)));

    function* claimSteps(claimable: Steps<string | null>): Steps<RunSnapshot | null> {
      yield* lockNames([...counted].map((dag_id) => `dag ${dag_id}`));
      const run_id = yield* claimable;
      if (run_id === null) return null;
      yield* run(
        "UPDATE pipeline_runs SET owner = $2, lease_until = $3, state = 'running' WHERE run_id = $1",
        run_id,
        options.owner,
        options.now + options.ttl_ms,
      );
      return yield* readRun(run_id);
    }
  }

  async hasDueRuns(options: Omit<ClaimOptions, "owner"> & { owner?: string }): Promise<boolean> {
    return await this.db.query(() => this.claimable(options)) !== null;
  }

  /** The run that may be claimed next. */
  private *claimable(
    options: ActiveLimits & { owner?: string; now: number; ttl_ms: number; run_id?: string },
    lock = "",
  ): Steps<string | null> {
    const { table, isIn } = this.db.dialect;
    const free = "(r.lease_until <= $3 OR r.lease_until > $3 + 2 * CAST($5 AS DOUBLE PRECISION))";
    const limits = dagLimits(options).map((each) => ({ ...each, peers: JSON.stringify(each.peers) }));
    const found = yield* get<{ run_id: string }>(
      `SELECT r.run_id FROM pipeline_runs r
       JOIN ${
        table("$1", { dag_id: "text", max_active: "bigint", peers: "text", grouped: "bigint" })
      } ON input.dag_id = r.dag_id
       LEFT JOIN backfills b ON b.backfill_id = r.backfill_id
       WHERE r.state IN ('queued', 'running') AND r.trigger != 'external'
         AND (CAST($2 AS TEXT) IS NULL OR r.run_id = $2) AND (
         (r.state = 'running' AND ${free}) OR
         (r.state = 'queued' AND (${free} OR r.owner = $4)
           AND (CAST($2 AS TEXT) IS NOT NULL OR r.trigger = 'manual' OR r.backfill_id IS NOT NULL
             OR r.dag_id NOT IN (SELECT dag_id FROM paused_dags))
           AND (r.backfill_id IS NULL OR b.max_active >
             (SELECT count(*) FROM pipeline_runs a WHERE a.backfill_id = r.backfill_id AND a.state = 'running'))
           AND (r.backfill_id IS NOT NULL AND input.grouped = 0
             OR input.max_active > (SELECT count(*) FROM pipeline_runs a WHERE a.state = 'running'
               AND ${isIn("a.dag_id", "input.peers")} AND a.trigger != 'external'
               AND (a.backfill_id IS NULL OR input.grouped = 1)))))
       ORDER BY r.state = 'queued', r.backfill_id IS NOT NULL, coalesce(b.created_at, r.created_at),
         CASE WHEN b.backwards = 1 THEN '' WHEN b.backwards = 0 THEN r.logical_date ELSE r.run_id END,
         r.logical_date DESC
       LIMIT 1 ${lock}`,
      JSON.stringify(limits),
      options.run_id ?? null,
      options.now,
      options.owner ?? null,
      options.ttl_ms,
    );
    return found?.run_id ?? null;
  }

  commit({ changes, ...options }: CommitOptions): Promise<{ admitted: string[] }> {
    const { writer } = this;
    return this.db.write(function* () {
      yield* writer.checkLease(options);
      return { admitted: yield* writer.apply(options, changes) };
    });
  }

  heartbeat({ attempt, progress, ...options }: HeartbeatOptions): Promise<{ cancel_requested: boolean }> {
    const { writer } = this;
    const { run_id, now, ttl_ms } = options;
    return this.db.write(function* () {
      const { cancel_requested } = yield* writer.checkLease({ ...options, attempt });
      yield* renewLease({ run_id, attempt, until: now + ttl_ms });
      yield* writer.setProgress(run_id, progress);
      return { cancel_requested: cancel_requested === 1 };
    });
  }

  async release({ run_id, owner }: { run_id: string; owner: string }): Promise<void> {
    const sql = "UPDATE pipeline_runs SET owner = NULL, lease_until = 0 WHERE run_id = $1 AND owner = $2";
    await this.db.write(() => run(sql, run_id, owner));
  }

  saveCheckpoint(options: AttemptOfRun & { owner: string; value: Json }): Promise<void> {
    const { writer } = this;
    const { run_id, owner, task_id, value } = options;
    const sql = "UPDATE pipeline_tasks SET checkpoint = $3, lost = 0 WHERE run_id = $1 AND task_id = $2";
    return this.db.write(function* () {
      yield* writer.checkLease({ run_id, owner, attempt: options });
      yield* run(sql, run_id, task_id, JSON.stringify(value));
    });
  }

  async checkpoint({ run_id, task_id }: { run_id: string; task_id: string }): Promise<Json> {
    const sql = "SELECT checkpoint FROM pipeline_tasks WHERE run_id = $1 AND task_id = $2";
    const row = await this.db.query(() => get<{ checkpoint: string | null }>(sql, run_id, task_id));
    return row?.checkpoint == null ? null : JSON.parse(row.checkpoint);
  }

  /** Under the run's lock, so that lines become visible in the order of their numbers, and a reader misses none. */
  async appendLogs({ run_id, lines }: { run_id: string; lines: readonly LogLine[] }): Promise<void> {
    const { writer } = this;
    const columns = { task_id: "text", attempt: "bigint", at: "text", line: "text" } as const;
    const sql = `INSERT INTO pipeline_logs (run_id, task_id, attempt, at, line)
      SELECT $1, task_id, attempt, at, line FROM ${this.db.dialect.input(columns, 1)}`;
    for (let from = 0; from < lines.length; from += LOG_LIMIT) {
      const rows = lines.slice(from, from + LOG_LIMIT);
      await this.db.write(function* () {
        yield* writer.lockRun(run_id);
        yield* runRows(sql, [run_id], columns, rows);
      });
    }
  }

  logs({ run_id, task_id, attempt, after, limit }: LogOptions): Promise<(LogLine & { seq: number })[]> {
    const sql = `SELECT seq, task_id, attempt, at, line FROM pipeline_logs WHERE run_id = $1 AND seq > $2
      AND (CAST($3 AS TEXT) IS NULL OR task_id = $3) AND (CAST($4 AS BIGINT) IS NULL OR attempt = $4)
      ORDER BY seq LIMIT $5`;
    return this.db.query(() => all(sql, run_id, after, task_id ?? null, attempt ?? null, limit));
  }

  async lastScheduled({ dag_id, until }: { dag_id: string; until: string }): Promise<string | null> {
    const sql = `SELECT max(logical_date) AS at FROM pipeline_runs
      WHERE dag_id = $1 AND trigger = 'schedule' AND logical_date <= $2`;
    return (await this.db.query(() => get<{ at: string | null }>(sql, dag_id, until)))?.at ?? null;
  }

  datasetWrites({ datasets }: { datasets: readonly string[] }): Promise<DatasetWrites[]> {
    const sql = `SELECT * FROM dataset_writes WHERE ${this.db.dialect.isIn("dataset", "$1")}`;
    return this.db.query(() => all<DatasetWrites>(sql, JSON.stringify(datasets)));
  }

  async firstSeen({ dag_id, now }: { dag_id: string; now: number }): Promise<number> {
    // The lesser of the two: a scheduler that ran while the clock was ahead must not hold the schedule back until then.
    const sql = `INSERT INTO known_dags VALUES ($1, $2) ON CONFLICT (dag_id) DO UPDATE SET since =
        CASE WHEN excluded.since < known_dags.since THEN excluded.since ELSE known_dags.since END
      RETURNING since`;
    return (await this.db.write(() => get<{ since: number }>(sql, dag_id, now)))!.since;
  }

  async setPaused({ dag_id, paused }: { dag_id: string; paused: boolean }): Promise<void> {
    const sql = paused
      ? "INSERT INTO paused_dags VALUES ($1) ON CONFLICT DO NOTHING"
      : "DELETE FROM paused_dags WHERE dag_id = $1";
    await this.db.write(() => run(sql, dag_id));
  }

  async paused(): Promise<string[]> {
    const rows = await this.db.query(() =>
      all<{ dag_id: string }>("SELECT dag_id FROM paused_dags ORDER BY dag_id")
    );
    return rows.map(({ dag_id }) => dag_id);
  }

  async lead({ owner, now, ttl_ms, lag_ms }: LeadOptions): Promise<boolean> {
    const sql =
      `INSERT INTO scheduler AS s (one, owner, last_tick, lag_ms, lease_until) VALUES (1, $1, $2, $3, $4)
      ON CONFLICT (one) DO UPDATE SET owner = excluded.owner, last_tick = excluded.last_tick,
        lag_ms = excluded.lag_ms, lease_until = excluded.lease_until
      WHERE s.owner = $1 OR s.lease_until <= $2 OR s.lease_until > $2 + 2 * CAST($5 AS DOUBLE PRECISION)`;
    return await this.db.write(() => run(sql, owner, now, Math.round(lag_ms), now + ttl_ms, ttl_ms)) === 1;
  }

  async leader(): Promise<Leader | null> {
    const sql = "SELECT owner, last_tick, lag_ms, lease_until FROM scheduler";
    const row = await this.db.query(() =>
      get<{ owner: string; last_tick: number; lag_ms: number; lease_until: number }>(sql)
    );
    if (row === null) return null;
    const { owner, last_tick, lag_ms, lease_until } = row;
    return { owner, last_tick: iso(last_tick), lag_ms, live_until: iso(lease_until) };
  }

  /** Leaves out attempts that another process is taking. Most calls find nothing, and lock nothing. */
  async takeUnsent(options: { now: number; again_at: number; limit: number }): Promise<UnsentAttempt[]> {
    const { input, isIn, insertionOrder, lockRows } = this.db.dialect;
    const due = `SELECT * FROM pipeline_attempts a WHERE send_at <= $1
      ORDER BY send_at, coalesce(ended_at, started_at) LIMIT $2`;
    if (await this.db.query(() => get(due, options.now, 1)) === null) return [];
    const runs = `SELECT * FROM pipeline_runs WHERE ${isIn("run_id", "$1")}`;
    const lineage = `SELECT l.run_id, ${
      LINEAGE_COLUMNS.replaceAll(/\w+/g, "l.$&")
    } FROM pipeline_lineage l JOIN ${input(ATTEMPT_KEY, 0)}
      ON l.run_id = input.run_id AND l.task_id = input.task_id AND l.attempt = input.attempt
      ORDER BY l.${insertionOrder}`;
    const setDue = (attempts: readonly AttemptOfRun[]) => this.setDue(attempts, options.again_at);
    return await this.db.write(function* () {
      const attempts = yield* all<AttemptRow>(
        `${due} ${lockRows("a", { skipLocked: true })}`,
        options.now,
        options.limit,
      );
      if (attempts.length === 0) return [];
      yield* setDue(attempts);
      const run_ids = JSON.stringify(attempts.map(({ run_id }) => run_id));
      return unsentOf(
        attempts,
        yield* all<RunRow>(runs, run_ids),
        yield* allRows<LineageRow & { run_id: string }>(lineage, [], ATTEMPT_KEY, keysOf(attempts)),
      );
    });
  }

  async markSent(
    { attempts, again_at }: {
      attempts: readonly (AttemptOfRun & { running?: boolean })[];
      again_at: number | null;
    },
  ): Promise<void> {
    if (attempts.length === 0) return;
    if (again_at !== null) return await this.db.write(() => this.setDue(attempts, again_at));
    const { update } = this.db.dialect;
    const keys = Object.keys(ATTEMPT_KEY);
    const rows = keysOf(attempts).map((key) => ({ ...key, start_sent: 1 }));
    const of = (running: boolean) => attempts.filter((attempt) => (attempt.running ?? false) === running);
    const [started, ended] = [of(true), of(false)];
    const setDue = (those: typeof attempts, condition?: string) => this.setDue(those, null, condition);
    await this.db.write(function* () {
      yield* runRows(update("pipeline_attempts", START_SENT, keys), [], START_SENT, rows);
      if (started.length > 0) yield* setDue(started, "AND pipeline_attempts.ended_at IS NULL");
      if (ended.length > 0) yield* setDue(ended);
    });
  }

  private *setDue(
    attempts: readonly AttemptOfRun[],
    again_at: number | null,
    condition = "",
  ): Steps<void> {
    yield* runRows(
      `${this.db.dialect.update("pipeline_attempts", SEND_AT, Object.keys(ATTEMPT_KEY))} ${condition}`,
      [],
      SEND_AT,
      keysOf(attempts).map((key) => ({ ...key, send_at: again_at })),
    );
  }

  async unsent(): Promise<number> {
    const sql = `SELECT count(*) AS n FROM pipeline_attempts WHERE ${UNSENT}`;
    return (await this.db.query(() => get<{ n: number }>(sql)))!.n;
  }

  addNotification(notification: NewNotification): Promise<boolean> {
    return this.db.write(() => this.writer.notify(notification));
  }

  async subjectsWith({ type }: { type: NotificationType }): Promise<string[]> {
    const sql = `SELECT subject FROM notifications n WHERE type = $1
      AND seq = (SELECT max(seq) FROM notifications o WHERE o.subject = n.subject) ORDER BY seq`;
    return (await this.db.query(() => all<{ subject: string }>(sql, type))).map(({ subject }) => subject);
  }

  /** Most calls find nothing, and lock nothing. */
  async takeNotifications(
    { sink, now, again_at, limit }: { sink: string; now: number; again_at: number; limit: number },
  ): Promise<Notification[]> {
    const next = `SELECT n.* FROM notifications n
      WHERE seq > (SELECT sent_seq FROM notification_sinks WHERE sink = $1) ORDER BY seq LIMIT $2`;
    const known = await this.db.query(() =>
      get<{ due_at: number }>("SELECT due_at FROM notification_sinks WHERE sink = $1", sink)
    );
    if (known === null) {
      const sql = `INSERT INTO notification_sinks SELECT $1, coalesce(max(seq), 0), 0 FROM notifications
        WHERE true ON CONFLICT DO NOTHING`;
      await this.db.write(() => run(sql, sink));
      return [];
    }
    if (known.due_at > now || await this.db.query(() => get(next, sink, 1)) === null) return [];
    const take = "UPDATE notification_sinks SET due_at = $3 WHERE sink = $1 AND due_at <= $2";
    const rows = await this.db.write(function* () {
      const isTaken = (yield* run(take, sink, now, again_at)) === 1;
      return isTaken ? yield* all<NotificationRow>(next, sink, limit) : [];
    });
    return rows.map(notificationOf);
  }

  async markNotified({ sink, seq, due_at }: { sink: string; seq: number; due_at: number }): Promise<void> {
    const sql = `UPDATE notification_sinks SET due_at = $3,
      sent_seq = CASE WHEN sent_seq < $2 THEN $2 ELSE sent_seq END WHERE sink = $1`;
    await this.db.write(() => run(sql, sink, seq, due_at));
  }

  async notifications({ limit }: { limit: number }): Promise<Notification[]> {
    const sql = "SELECT * FROM notifications ORDER BY seq DESC LIMIT $1";
    return (await this.db.query(() => all<NotificationRow>(sql, limit))).map(notificationOf);
  }

  sinkBacklogs(): Promise<SinkBacklog[]> {
    return this.db.query(() =>
      all<SinkBacklog>(
        `SELECT sink, count(n.seq) AS pending, min(n.at) AS since
         FROM notification_sinks s LEFT JOIN notifications n ON n.seq > s.sent_seq GROUP BY sink ORDER BY sink`,
      )
    );
  }

  async acknowledge({ anomaly_id, since, by, at, until }: Acknowledgement): Promise<void> {
    await this.db.write(function* () {
      yield* run("DELETE FROM acknowledgements WHERE until < $1", at);
      yield* run(
        `INSERT INTO acknowledgements VALUES ($1, $2, $3, $4, $5) ON CONFLICT (anomaly_id) DO UPDATE
         SET since = excluded.since, "by" = excluded."by", at = excluded.at, until = excluded.until`,
        ...[anomaly_id, since, by, at, until],
      );
    });
  }

  async unacknowledge({ anomaly_id }: { anomaly_id: string }): Promise<boolean> {
    return await this.db.write(() =>
      run("DELETE FROM acknowledgements WHERE anomaly_id = $1", anomaly_id)
    ) === 1;
  }

  acknowledgements(): Promise<Acknowledgement[]> {
    return this.db.query(() => all<Acknowledgement>("SELECT * FROM acknowledgements ORDER BY anomaly_id"));
  }

  async endSession(options: { session_id: string; until: number; now: number }): Promise<void> {
    await this.db.write(function* () {
      yield* run("DELETE FROM ended_sessions WHERE until < $1", options.now);
      const sql = "INSERT INTO ended_sessions VALUES ($1, $2) ON CONFLICT DO NOTHING";
      yield* run(sql, options.session_id, options.until);
    });
  }

  async isSessionEnded({ session_id }: { session_id: string }): Promise<boolean> {
    const sql = "SELECT session_id FROM ended_sessions WHERE session_id = $1";
    return await this.db.query(() => get(sql, session_id)) !== null;
  }

  async addAuditEntry(entry: AuditEntry): Promise<void> {
    const { at, request_id, by, method, route, status, user_hash, facts } = entry;
    const sql = `INSERT INTO audit_log (at, request_id, "by", method, route, status, user_hash, facts)
      VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`;
    const values = [at, request_id, by, method, route, status, user_hash, JSON.stringify(facts)];
    await this.db.write(() => run(sql, ...values));
  }

  async auditEntries(
    { before, limit }: { before?: number; limit: number },
  ): Promise<(AuditEntry & { seq: number })[]> {
    const sql = `SELECT * FROM audit_log ${before === undefined ? "" : "WHERE seq < $2"}
      ORDER BY seq DESC LIMIT $1`;
    const values = before === undefined ? [limit] : [limit, before];
    return (await this.db.query(() => all<AuditRow>(sql, ...values))).map(auditEntryOf);
  }

  pruneAuditEntries({ before, signal }: { before: string } & Abortable): Promise<number> {
    return this.db.write(() => run("DELETE FROM audit_log WHERE at < $1", before), { signal });
  }

  findTexts(options: Parameters<RunStore["findTexts"]>[0]): AsyncGenerator<RecordedText> {
    return this.recordedTexts.find(options);
  }

  replaceTexts(options: Parameters<RunStore["replaceTexts"]>[0]): Promise<number> {
    return this.recordedTexts.replace(options);
  }
}

/** The lease of a run, or with `attempt` that attempt's own. */
function* renewLease(
  { run_id, attempt, until }: { run_id: string; attempt: AttemptKey | undefined; until: number },
): Steps<void> {
  if (attempt === undefined) {
    yield* run("UPDATE pipeline_runs SET lease_until = $2 WHERE run_id = $1", run_id, until);
    return;
  }
  const sql =
    "UPDATE pipeline_attempts SET lease_until = $2 WHERE run_id = $1 AND task_id = $3 AND attempt = $4";
  yield* run(sql, run_id, until, attempt.task_id, attempt.attempt);
}

/** A run with all of its tasks and attempts. */
function* readRun(run_id: string): Steps<RunSnapshot | null> {
  const record = yield* get<RunRow>("SELECT * FROM pipeline_runs WHERE run_id = $1", run_id);
  if (record === null) return null;
  const tasks = yield* all<TaskRow>(
    "SELECT * FROM pipeline_tasks WHERE run_id = $1 ORDER BY task_id",
    run_id,
  );
  const attempts = yield* all<AttemptRow>(
    "SELECT * FROM pipeline_attempts WHERE run_id = $1 ORDER BY started_at, task_id, attempt",
    run_id,
  );
  return { run: runOf(record), tasks: tasks.map(taskOf), attempts: attempts.map(attemptOf) };
}

function keysOf(attempts: readonly AttemptOfRun[]) {
  return attempts.map(({ run_id, task_id, attempt }) => ({ run_id, task_id, attempt }));
}
