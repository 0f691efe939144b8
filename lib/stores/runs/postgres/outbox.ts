import { type Queryable, type Scalar, transposed, unnestOf } from "../../engines/postgres/session.ts";
import type { AttemptOfRun, UnsentAttempt } from "../port.ts";
import { LINEAGE } from "./queries.ts";
import { type AttemptRow, type LineageRow, type RunRow, UNSENT, unsentOf } from "../rows.ts";

const ATTEMPTS = { run_id: "text", task_id: "text", attempt: "bigint" } as const;

/** Takes due attempts within the caller's transaction. What somebody else takes just now is left to them. */
export async function takeUnsent(
  session: Queryable,
  options: { now: number; again_at: number; limit: number },
): Promise<UnsentAttempt[]> {
  const taken = await session.all<AttemptRow>(
    `SELECT * FROM pipeline_attempts WHERE send_at <= $1 AND ${UNSENT}
     ORDER BY send_at, ended_at LIMIT $2 FOR UPDATE SKIP LOCKED`,
    [options.now, options.limit],
  );
  if (taken.length === 0) return [];
  await markSent(session, { attempts: taken, again_at: options.again_at });
  const runs = await session.all<RunRow>("SELECT * FROM pipeline_runs WHERE run_id = ANY($1::text[])", [
    taken.map(({ run_id }) => run_id),
  ]);
  const lineage = await session.all<LineageRow & { run_id: string }>(
    `SELECT run_id, ${LINEAGE} FROM pipeline_lineage JOIN ${
      unnestOf(ATTEMPTS)
    } USING (run_id, task_id, attempt)
     ORDER BY seq`,
    columnsOf(taken),
  );
  return unsentOf(taken, runs, lineage);
}

/** Sets when attempts are due again; never, where that is null. */
export async function markSent(
  session: Queryable,
  { attempts, again_at }: { attempts: readonly AttemptOfRun[]; again_at: number | null },
): Promise<void> {
  await session.run(
    `UPDATE pipeline_attempts a SET send_at = $1 FROM ${unnestOf(ATTEMPTS, 2)}
     WHERE a.run_id = given.run_id AND a.task_id = given.task_id AND a.attempt = given.attempt`,
    [again_at, ...columnsOf(attempts)],
  );
}

function columnsOf(attempts: readonly AttemptOfRun[]): Scalar[][] {
  return transposed(attempts.map(({ run_id, task_id, attempt }) => [run_id, task_id, attempt]), 3);
}
