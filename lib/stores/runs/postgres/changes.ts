import {
  type Queryable,
  type Scalar,
  type SqlType,
  transposed,
  unnestOf,
} from "../../engines/postgres/session.ts";
import type { AttemptKey, CommitOptions, EndedAttempt, RunChanges, Start, TaskRecord } from "../port.ts";
import { endValues, leaseLost, lineageValues, TASK_COLUMNS, taskValues } from "../rows.ts";

type RunAndTime = Pick<CommitOptions, "run_id" | "now">;

const NUMBERS: readonly string[] = ["attempts", "tries", "lost"];
const TASKS = Object.fromEntries(TASK_COLUMNS.map((name): [string, SqlType] => {
  if (name === "ready_at") return [name, "double precision"];
  return [name, NUMBERS.includes(name) ? "bigint" : "text"];
}));
const PUT_TASKS = `INSERT INTO pipeline_tasks (run_id, ${TASK_COLUMNS.join(", ")})
  SELECT $1, ${TASK_COLUMNS.join(", ")} FROM ${unnestOf(TASKS, 2)} ON CONFLICT (run_id, task_id) DO UPDATE SET
  ${TASK_COLUMNS.slice(1).map((column) => `${column} = excluded.${column}`).join(", ")}`;

const LINEAGE_COLUMNS = {
  direction: "text",
  namespace: "text",
  name: "text",
  rows: "double precision",
  bytes: "double precision",
  version: "text",
  fields: "text",
  quality: "text",
} as const;

const START_COLUMNS = {
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
 * Applies changes to a run whose row the caller's transaction has locked, as every writer of a run does, so that nothing
 * else changes it meanwhile. Returns the task ids of the admitted starts.
 */
export async function applyChanges(
  session: Queryable,
  { run_id, now }: RunAndTime,
  changes: RunChanges,
): Promise<string[]> {
  const { run, tasks = [], ended = [], discard = [] } = changes;
  await putTasks(session, run_id, tasks);
  for (const attempt of ended) await endAttempt(session, run_id, attempt);
  if (discard.length > 0) {
    const sql = "UPDATE pipeline_tasks SET checkpoint = NULL WHERE run_id = $1 AND task_id = ANY($2::text[])";
    await session.run(sql, [run_id, discard]);
  }
  const admitted = await admit(session, { run_id, now }, changes);
  if (run !== undefined) await setRun(session, run_id, run);
  return admitted;
}

export async function putTasks(
  session: Queryable,
  run_id: string,
  tasks: readonly TaskRecord[],
): Promise<void> {
  if (tasks.length === 0) return;
  // One statement cannot set a row twice: if a task is given twice, the last record counts.
  const last = [...new Map(tasks.map((task) => [task.task_id, task])).values()];
  const values = transposed(last.map((task) => taskValues(task) as Scalar[]), TASK_COLUMNS.length);
  await session.run(PUT_TASKS, [run_id, ...values]);
}

async function endAttempt(session: Queryable, run_id: string, row: EndedAttempt): Promise<void> {
  const changed = await session.run(
    `UPDATE pipeline_attempts SET state = $4, ended_at = $5, error = $6, rows_in = $7, rows_out = $8,
       quarantined = $9, progress_done = $10, progress_total = $11, versions = $12
     WHERE run_id = $1 AND task_id = $2 AND attempt = $3 AND state = 'running'`,
    [run_id, row.task_id, row.attempt, ...endValues(row) as Scalar[]],
  );
  if (changed === 0 || row.lineage.length === 0) return;
  const names = Object.keys(LINEAGE_COLUMNS);
  const entries = transposed(row.lineage.map((entry) => lineageValues(entry) as Scalar[]), names.length);
  await session.run(
    `INSERT INTO pipeline_lineage (run_id, task_id, attempt, ${names.join(", ")})
     SELECT $1, $2, $3, ${names.join(", ")} FROM ${unnestOf(LINEAGE_COLUMNS, 4)}`,
    [run_id, row.task_id, row.attempt, ...entries],
  );
}

/** Starts what the pools have room for. Slots are counted from attempts under a live lease: none can leak. */
async function admit(
  session: Queryable,
  { run_id, now }: RunAndTime,
  { starts = [], pools = {}, limit = Infinity }: RunChanges,
): Promise<string[]> {
  if (starts.length === 0) return [];
  const started = await startedTasks(session, run_id, starts);
  const free = await freeSlots(session, now, poolSizes(starts, pools));
  const [admitted, fresh]: [string[], Start[]] = [[], []];
  for (const start of starts) {
    if (admitted.length === limit) break;
    const { pool, weight } = start.attempt;
    if (!started.has(start.task.task_id)) {
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
async function startedTasks(
  session: Queryable,
  run_id: string,
  starts: readonly Start[],
): Promise<Set<string>> {
  const row = unnestOf({ task_id: "text", attempt: "bigint", owner: "text" }, 2);
  const keys = starts.map(({ attempt: { task_id, attempt, owner } }) => [task_id, attempt, owner]);
  const rows = await session.all<{ task_id: string }>(
    `SELECT task_id FROM pipeline_attempts JOIN ${row} USING (task_id, attempt, owner) WHERE run_id = $1`,
    [run_id, ...transposed(keys, 3)],
  );
  return new Set(rows.map(({ task_id }) => task_id));
}

/** The slots of those pools of these starts that have a limit. */
function poolSizes(starts: readonly Start[], pools: Readonly<Record<string, number>>): Map<string, number> {
  const sizes = starts.map(({ attempt: { pool } }) => [pool, pools[pool] ?? Infinity] as const);
  return new Map(sizes.filter(([, size]) => size < Infinity));
}

/** Counts free slots; other transactions wait until the caller's ends before they count them. */
async function freeSlots(
  session: Queryable,
  now: number,
  sizes: ReadonlyMap<string, number>,
): Promise<Map<string, number>> {
  const free = new Map(sizes);
  if (sizes.size === 0) return free;
  await lock(session, [...sizes.keys()].map((pool) => `pool ${pool}`));
  const taken = await session.all<{ pool: string; slots: number }>(
    `SELECT a.pool, sum(a.weight)::bigint AS slots FROM pipeline_attempts a JOIN pipeline_runs r USING (run_id)
     WHERE a.state = 'running' AND a.pool = ANY($1::text[]) AND coalesce(a.lease_until, r.lease_until) > $2
     GROUP BY a.pool`,
    [[...sizes.keys()], now],
  );
  for (const { pool, slots } of taken) free.set(pool, sizes.get(pool)! - slots);
  return free;
}

/** Waits for the locks of these names, creates those that are new, and holds them until the transaction ends. */
export async function lock(session: Queryable, names: readonly string[]): Promise<void> {
  const sorted = [...names].sort();
  const row = unnestOf({ name: "text" });
  await session.run(`INSERT INTO pipeline_locks SELECT name FROM ${row} ON CONFLICT DO NOTHING`, [sorted]);
  const sql = "SELECT 1 FROM pipeline_locks WHERE name = ANY($1::text[]) ORDER BY name FOR UPDATE";
  await session.all(sql, [sorted]);
}

async function insertAttempts(session: Queryable, run_id: string, starts: readonly Start[]): Promise<void> {
  if (starts.length === 0) return;
  const names = Object.keys(START_COLUMNS) as (keyof typeof START_COLUMNS)[];
  const rows = starts.map(({ attempt: { versions, ...row } }) => {
    const values = { ...row, versions: JSON.stringify(versions) };
    return names.map((name) => values[name]);
  });
  await session.run(
    `INSERT INTO pipeline_attempts (run_id, state, rows_in, rows_out, quarantined, progress_done, ${
      names.join(", ")
    }) SELECT $1, 'running', 0, 0, 0, 0, ${names.join(", ")} FROM ${unnestOf(START_COLUMNS, 2)}`,
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

/** A run's lease, as its row has it. */
interface Lease {
  readonly owner: string | null;
  readonly cancel_requested: number;
}

/** Locks the row of a run until the transaction ends. Null if there is no such run. */
export function lockRun(session: Queryable, run_id: string): Promise<Lease | null> {
  const sql = "SELECT owner, cancel_requested FROM pipeline_runs WHERE run_id = $1 FOR NO KEY UPDATE";
  return session.get<Lease>(sql, [run_id]);
}

/** Locks the row of a run. Throws `conflict` if its lease, or the running attempt, is not the owner's. */
export async function checkLease(
  session: Queryable,
  options: { run_id: string; owner: string; attempt?: AttemptKey },
): Promise<Lease> {
  const { run_id, owner, attempt } = options;
  const lease = await lockRun(session, run_id);
  const isOwner = attempt === undefined
    ? lease?.owner === owner
    : await ownsAttempt(session, { run_id, owner, attempt }, lease);
  if (lease === null || !isOwner) throw leaseLost(run_id, attempt);
  return lease;
}

/** An attempt has a lease of its own, or that of its run. */
async function ownsAttempt(
  session: Queryable,
  { run_id, owner, attempt }: { run_id: string; owner: string; attempt: AttemptKey },
  lease: Lease | null,
): Promise<boolean> {
  const row = await session.get<{ lease_until: number | null }>(
    `SELECT lease_until FROM pipeline_attempts
     WHERE run_id = $1 AND task_id = $2 AND attempt = $3 AND state = 'running' AND owner = $4`,
    [run_id, attempt.task_id, attempt.attempt, owner],
  );
  return row !== null && (row.lease_until !== null || lease?.owner === owner);
}
