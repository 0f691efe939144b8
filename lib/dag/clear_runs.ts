import { type Clock, DAY_MS, iso } from "../core/clock.ts";
import { ParleyError } from "../core/errors.ts";
import type { RunRecord, RunState, RunStore } from "../stores/runs/port.ts";
import { clearRun } from "./clear.ts";
import type { Dag } from "./define.ts";
import { checkNote } from "./mark.ts";

/** States of runs that can be cleared: those that have ended. */
export const CLEARABLE = ["failed", "cancelled", "success"] as const satisfies readonly RunState[];

/** Which runs of a dag to clear, and how. */
export interface ClearOrder {
  readonly states: readonly typeof CLEARABLE[number][];
  /** The first and the last day of logical dates, as `2026-05-01` in UTC. Default any. */
  readonly from?: string;
  readonly to?: string;
  /** Whether all tasks run again. Default: those that failed, and those that did not run because of them. */
  readonly all_tasks: boolean;
  /** How many of the runs may be in progress at one time. */
  readonly max_active: number;
  /** Who does it, and why. */
  readonly by: string;
  readonly note: string;
}

/** A year of nights. */
const MAX_RUNS = 366;

/**
 * The ended runs of a dag that an order is about, oldest logical date first.
 *
 * @throws `invalid` for a wrong day, and for more than 366 runs.
 */
export async function runsToClear<Services>(
  { dag, runs, order: { states, from, to } }: { dag: Dag<Services>; runs: RunStore; order: ClearOrder },
): Promise<RunRecord[]> {
  const found = await runs.runs({
    dag_id: dag.id,
    states,
    ...from !== undefined && { from: iso(dayOf(from)) },
    ...to !== undefined && { to: iso(dayOf(to) + DAY_MS) },
    limit: MAX_RUNS + 1,
  });
  if (found.length > MAX_RUNS) {
    throw new ParleyError(
      "invalid",
      `that would be more than ${MAX_RUNS} runs: clear those of a shorter time`,
    );
  }
  return found.filter(({ trigger }) => trigger !== "external")
    .sort((a, b) => a.logical_date < b.logical_date ? -1 : 1);
}

/**
 * Clears many runs of a dag: their tasks run again, and who did it is recorded in each. The runs become one backfill, so that they start
 * after all other queued runs and by a limit of their own, and can be cancelled together. Returns its id, null without a run to clear,
 * and the ids of the runs.
 */
export async function clearRuns<Services>(
  options: { dag: Dag<Services>; runs: RunStore; clock: Clock; order: ClearOrder },
): Promise<{ backfill_id: string | null; run_ids: string[] }> {
  const { dag, runs, clock, order } = options;
  const { by, max_active, all_tasks } = order;
  const note = checkNote(order.note);
  if (!(max_active >= 1)) throw new ParleyError("invalid", `max_active is ${max_active}; the least is 1`);
  const found = await runsToClear(options);
  const [first, last] = [found[0], found.at(-1)];
  if (first === undefined || last === undefined) return { backfill_id: null, run_ids: [] };
  const created_at = iso(clock.now());
  const suffix = `${created_at.replace(/[:.]/g, "-")}-${crypto.randomUUID().slice(0, 4)}`;
  const backfill_id = `clear-${dag.id}-${suffix}`;
  await runs.addBackfill({
    ...{ backfill_id, dag_id: dag.id, max_active, created_at, backwards: false, cancelled_at: null },
    from_day: first.logical_date.slice(0, 10),
    to_day: last.logical_date.slice(0, 10),
    reprocess: all_tasks ? "completed" : "failed",
  });
  const run_ids: string[] = [];
  for (const { run_id } of found) {
    const scope = { failed: !all_tasks };
    const cleared = await clearRun({ dag, runs, clock, run_id, scope, backfill_id, mark: { by, note } });
    if (cleared.length > 0) run_ids.push(run_id);
  }
  return { backfill_id: run_ids.length === 0 ? null : backfill_id, run_ids };
}

/** Epoch milliseconds. */
function dayOf(text: string): number {
  const at = /^\d{4}-\d\d-\d\d$/.test(text) ? Date.parse(text) : NaN;
  if (!Number.isNaN(at)) return at;
  throw new ParleyError("invalid", "a day is written as 2026-05-01");
}
