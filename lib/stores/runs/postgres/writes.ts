import { ParleyError } from "../../../core/errors.ts";
import {
  type Queryable,
  type Scalar,
  type SqlType,
  transposed,
  unnestOf,
} from "../../engines/postgres/session.ts";
import type { AttemptKey, EndedAttempt, RunChanges, Start, TaskRecord } from "../port.ts";
import { endValues, lineageValues, TASK_COLUMNS, taskValues } from "../rows.ts";

/** Where a change belongs, and when it happens. */
interface At {
  readonly run_id: string;
  readonly now: number;
}

const NUMBERS: readonly string[] = ["attempts", "tries", "lost"];
const TASKS = Object.fromEntries(TASK_COLUMNS.map((name): [string, SqlType] => {
  if (name === "ready_at") return [name, "double precision"];
  return [name, NUMBERS.includes(name) ? "bigint" : "text"];
}));
const PUT_TASKS = `INSERT INTO pipeline_tasks (run_id, ${TASK_COLUMNS.join(", ")})
  SELECT $1, ${TASK_COLUMNS.join(", ")} FROM ${unnestOf(TASKS, 2)} ON CONFLICT (run_id, task_id) DO UPDATE SET
  ${TASK_COLUMNS.slice(1).map((column) => `${column} = excluded.${column}`).join(", ")}`;

const USES = {
  direction: "text",
  namespace: "text",
  name: "text",
  rows: "double precision",
  bytes: "double precision",
  version: "text",
  fields: "text",
  quality: "text",
} as const;

const STARTS = {
  task_id: "text",
  attempt: "bigint",
  owner: "text",
  pool: "text",
  weight: "bigint",
  started_at: "text",
  versions: "text",
  lease_until: "double precision",
} as const;

/**
 * Applies changes to a run whose row the caller's transaction has locked, as every one that writes to a run does; so
 * nothing else changes it meanwhile. Returns the task ids of the admitted starts.
 */
export async function applyChanges(session: Queryable, at: At, changes: RunChanges): Promise<string[]> {
  const { run, tasks = [], ended = [], discard = [] } = changes;
  await putTasks(session, at.run_id, tasks);
  for (const attempt of ended) await endAttempt(session, at.run_id, attempt);
  if (discard.length > 0) {
    const sql = "UPDATE pipeline_tasks SET checkpoint = NULL WHERE run_id = $1 AND task_id = ANY($2::text[])";
    await session.run(sql, [at.run_id, discard]);
  }
  const admitted = await admit(session, at, changes);
  if (run !== undefined) await setRun(session, at.run_id, run);
  return admitted;
}

export async function putTasks(
  session: Queryable,
  run_id: string,
  tasks: readonly TaskRecord[],
): Promise<void> {
  if (tasks.length === 0) return;
  // One statement cannot set a row twice: of a task that is given twice, the last counts.
  const last = [...new Map(tasks.map((task) => [task.task_id, task])).values()];
  const values = transposed(last.map((task) => taskValues(task) as Scalar[]), TASK_COLUMNS.length);
  await session.run(PUT_TASKS, [run_id, ...values]);
}

async function endAttempt(session: Queryable, run_id: string, a: EndedAttempt): Promise<void> {
  const ended = await session.run(
    `UPDATE pipeline_attempts SET state = $4, ended_at = $5, error = $6, rows_in = $7, rows_out = $8,
       quarantined = $9, progress_done = $10, progress_total = $11, versions = $12
     WHERE run_id = $1 AND task_id = $2 AND attempt = $3 AND state = 'running'`,
    [run_id, a.task_id, a.attempt, ...endValues(a) as Scalar[]],
  );
  if (ended === 0 || a.lineage.length === 0) return;
  const names = Object.keys(USES);
  const uses = transposed(a.lineage.map((use) => lineageValues(use) as Scalar[]), names.length);
  await session.run(
    `INSERT INTO pipeline_lineage (run_id, task_id, attempt, ${names.join(", ")})
     SELECT $1, $2, $3, ${names.join(", ")} FROM ${unnestOf(USES, 4)}`,
    [run_id, a.task_id, a.attempt, ...uses],
  );
}

/** Starts what the pools have room for. Slots are counted off attempts under a live lease: none can leak. */
async function admit(
  session: Queryable,
  { run_id, now }: At,
  { starts = [], pools = {}, limit = Infinity }: RunChanges,
): Promise<string[]> {
  if (starts.length === 0) return [];
  const begun = await begunOf(session, run_id, starts);
  const free = await freeSlots(session, now, limited(starts, pools));
  const [admitted, fresh]: [string[], Start[]] = [[], []];
  for (const start of starts) {
    if (admitted.length === limit) break;
    const { pool, weight } = start.attempt;
    if (!begun.has(start.task.task_id)) {
      const room = free.get(pool) ?? Infinity;
      free.set(pool, room < weight ? 0 : room - weight);
      if (room < weight) continue;
      fresh.push(start);
    }
    admitted.push(start.task.task_id);
  }
  await insertAttempts(session, run_id, fresh);
  await putTasks(session, run_id, fresh.map(({ task }) => task));
  return admitted;
}

/** The tasks whose starts are recorded already: the answer to an earlier commit was lost. */
async function begunOf(session: Queryable, run_id: string, starts: readonly Start[]): Promise<Set<string>> {
  const rows = await session.all<{ task_id: string }>(
    `SELECT task_id FROM pipeline_attempts
     JOIN ${
      unnestOf({ task_id: "text", attempt: "bigint", owner: "text" }, 2)
    } USING (task_id, attempt, owner)
     WHERE run_id = $1`,
    [
      run_id,
      ...transposed(starts.map(({ attempt: a }) => [a.task_id, a.attempt, a.owner]), 3),
    ],
  );
  return new Set(rows.map(({ task_id }) => task_id));
}

/** The pools of these starts that have a limit, with it. */
function limited(starts: readonly Start[], pools: Readonly<Record<string, number>>): Map<string, number> {
  const sizes = starts.map(({ attempt: { pool } }) => [pool, pools[pool] ?? Infinity] as const);
  return new Map(sizes.filter(([, size]) => size < Infinity));
}

/** Counts free slots, and keeps anybody else from counting them until the caller's transaction ends. */
async function freeSlots(
  session: Queryable,
  now: number,
  sizes: ReadonlyMap<string, number>,
): Promise<Map<string, number>> {
  const free = new Map(sizes);
  if (sizes.size === 0) return free;
  await lock(session, [...sizes.keys()].map((pool) => `pool ${pool}`));
  const taken = await session.all<{ pool: string; n: number }>(
    `SELECT a.pool, sum(a.weight)::bigint AS n FROM pipeline_attempts a JOIN pipeline_runs r USING (run_id)
     WHERE a.state = 'running' AND a.pool = ANY($1::text[]) AND coalesce(a.lease_until, r.lease_until) > $2
     GROUP BY a.pool`,
    [[...sizes.keys()], now],
  );
  for (const { pool, n } of taken) free.set(pool, sizes.get(pool)! - n);
  return free;
}

/** Waits for these names, which are made where they are new, and holds them until the transaction ends. */
export async function lock(session: Queryable, names: readonly string[]): Promise<void> {
  const sorted = [...names].sort();
  const row = unnestOf({ name: "text" });
  await session.run(`INSERT INTO pipeline_locks SELECT name FROM ${row} ON CONFLICT DO NOTHING`, [sorted]);
  const sql = "SELECT 1 FROM pipeline_locks WHERE name = ANY($1::text[]) ORDER BY name FOR UPDATE";
  await session.all(sql, [sorted]);
}

async function insertAttempts(session: Queryable, run_id: string, starts: readonly Start[]): Promise<void> {
  if (starts.length === 0) return;
  const names = Object.keys(STARTS);
  const rows = starts.map(({ attempt: a }) => [
    a.task_id,
    a.attempt,
    a.owner,
    a.pool,
    a.weight,
    a.started_at,
    JSON.stringify(a.versions),
    a.lease_until,
  ]);
  await session.run(
    `INSERT INTO pipeline_attempts (run_id, state, rows_in, rows_out, quarantined, progress_done, ${
      names.join(", ")
    }) SELECT $1, 'running', 0, 0, 0, 0, ${names.join(", ")} FROM ${unnestOf(STARTS, 2)}`,
    [run_id, ...transposed(rows, names.length)],
  );
}

async function setRun(
  session: Queryable,
  run_id: string,
  run: NonNullable<RunChanges["run"]>,
): Promise<void> {
  await session.run(
    `UPDATE pipeline_runs SET state = $2, started_at = $3, ended_at = $4, error = $5,
       cancel_requested = CASE $2 WHEN 'queued' THEN 0 ELSE cancel_requested END,
       owner = CASE $2 WHEN 'running' THEN owner END,
       lease_until = CASE $2 WHEN 'running' THEN lease_until ELSE 0 END
     WHERE run_id = $1`,
    [run_id, run.state, run.started_at, run.ended_at, run.error],
  );
}

/** What a run's own row says of who drives it. */
interface Hold {
  readonly owner: string | null;
  readonly cancel_requested: number;
}

/** Locks the row of a run until the transaction ends. Null where there is none. */
export function holdRow(session: Queryable, run_id: string): Promise<Hold | null> {
  const sql = "SELECT owner, cancel_requested FROM pipeline_runs WHERE run_id = $1 FOR NO KEY UPDATE";
  return session.get<Hold>(sql, [run_id]);
}

/**
 * Locks the row of a run. Throws `conflict` where its lease is not the owner's, or the attempt no running one of the
 * owner's.
 */
export async function checkHold(
  session: Queryable,
  options: { run_id: string; owner: string; attempt?: AttemptKey },
): Promise<Hold> {
  const run = await holdRow(session, options.run_id);
  const { attempt, owner, run_id } = options;
  const held = attempt === undefined
    ? run?.owner === owner
    : await holdsAttempt(session, { ...options, attempt }, run);
  if (run !== null && held) return run;
  const what = attempt === undefined
    ? `the run ${run_id}`
    : `attempt ${attempt.attempt} of task ${attempt.task_id} in run ${run_id}`;
  throw new ParleyError("conflict", `${what} has ended or was taken over by another process`);
}

/** An attempt is held by a lease of its own, or by that of its run. */
async function holdsAttempt(
  session: Queryable,
  { run_id, owner, attempt }: { run_id: string; owner: string; attempt: AttemptKey },
  run: Hold | null,
): Promise<boolean> {
  const row = await session.get<{ lease_until: number | null }>(
    `SELECT lease_until FROM pipeline_attempts
     WHERE run_id = $1 AND task_id = $2 AND attempt = $3 AND state = 'running' AND owner = $4`,
    [run_id, attempt.task_id, attempt.attempt, owner],
  );
  return row !== null && (row.lease_until !== null || run?.owner === owner);
}
