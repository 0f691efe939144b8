import { type Clock, iso } from "../core/clock.ts";
import { ParleyError } from "../core/errors.ts";
import type { JsonObject } from "../core/types.ts";
import type {
  Backfill,
  BackfillProgress,
  Reprocess,
  RunRecord,
  RunState,
  RunStore,
} from "../stores/runs/port.ts";
import { clearRun } from "./clear.ts";
import type { Dag } from "./define.ts";
import { checkParams, createScheduledRun, notYetDue, scheduledRunId } from "./runs.ts";
import { nextOccurrences, type Occurrence } from "./schedule.ts";

/** A year of nights: a wrong year queues none. */
const MAX_RUNS = 366;

/** The days to run, and how. */
export interface BackfillOrder extends Pick<Backfill, "reprocess" | "max_active" | "backwards"> {
  /** The first and the last day, as `2026-05-01`, in the schedule's zone. */
  readonly from: string;
  readonly to: string;
  /** Of runs that are new. Default: those of the dag. */
  readonly params?: JsonObject;
}

/** What a backfill does with one occurrence. */
export interface PlannedRun {
  readonly run_id: string;
  /** ISO 8601. */
  readonly logical_date: string;
  readonly action: "create" | "run again" | "leave";
  /** The state of its run; null if it has no run yet. */
  readonly state: RunState | null;
}

interface BackfillOptions<Services> {
  readonly dag: Dag<Services>;
  readonly runs: RunStore;
  readonly clock: Clock;
  readonly order: BackfillOrder;
}

/**
 * What a backfill would do, in the order in which its runs start.
 *
 * @throws `invalid` if the dag has no schedule, if the days or params are wrong, if none of the days has come, or for more than 366 runs.
 */
export async function planBackfill<Services>(options: BackfillOptions<Services>): Promise<PlannedRun[]> {
  return (await plan(options)).map(({ planned }) => planned);
}

/**
 * Queues the runs of a dag's past occurrences, which any executor executes. Asked again, it adds what is missing. Returns its id, null
 * if there is nothing to run, and the plan.
 */
export async function startBackfill<Services>(
  options: BackfillOptions<Services>,
): Promise<{ backfill_id: string | null; planned: PlannedRun[] }> {
  const { dag, runs, clock, order } = options;
  const steps = await plan(options);
  const planned = steps.map((step) => step.planned);
  if (planned.every(({ action }) => action === "leave")) return { backfill_id: null, planned };
  const { from, to, reprocess, max_active, backwards, params } = order;
  const created_at = iso(clock.now());
  const backfill_id = `backfill-${dag.id}-${created_at.replace(/[:.]/g, "-")}-${
    crypto.randomUUID().slice(0, 4)
  }`;
  await runs.addBackfill({
    ...{
      backfill_id,
      dag_id: dag.id,
      from_day: from,
      to_day: to,
      reprocess,
      max_active,
      backwards,
      created_at,
    },
    cancelled_at: null,
  });
  for (const { occurrence, planned: { run_id, action } } of steps) {
    if (action === "create") {
      await createScheduledRun({ dag, runs, clock, occurrence, backfill_id, ...params && { params } });
    } else if (action === "run again") {
      await clearRun({ dag, runs, clock, run_id, scope: {}, backfill_id });
    }
  }
  // It may have been cancelled while it was being added.
  if ((await backfillOf(runs, backfill_id)).cancelled_at !== null) {
    await cancelBackfill({ runs, clock, backfill_id });
  }
  return { backfill_id, planned };
}

/** Ends a backfill: queued runs are cancelled, runs in progress are asked to stop. Returns how many runs that were. */
export async function cancelBackfill(
  { runs, clock, backfill_id }: { runs: RunStore; clock: Clock; backfill_id: string },
): Promise<number> {
  await backfillOf(runs, backfill_id);
  await runs.cancelBackfill({ backfill_id, at: iso(clock.now()) });
  const open = await runs.runs({ backfill_id, states: ["queued", "running"], limit: MAX_RUNS });
  let cancelled = 0;
  for (const { run_id } of open) if (await runs.requestCancel({ run_id })) cancelled++;
  return cancelled;
}

/** @throws `not_found` that says how to list backfills. */
export async function backfillOf(runs: RunStore, backfill_id: string): Promise<BackfillProgress> {
  const [found] = await runs.backfills({ backfill_id, limit: 1 });
  if (found !== undefined) return found;
  throw new ParleyError("not_found", `there is no backfill ${backfill_id}`);
}

async function plan<Services>(
  { dag, runs, clock, order }: BackfillOptions<Services>,
): Promise<{ occurrence: Occurrence; planned: PlannedRun }[]> {
  checkParams(dag, order.params ?? {});
  const { max_active } = order;
  if (!(max_active >= 1)) throw new ParleyError("invalid", `max_active is ${max_active}; the least is 1`);
  const occurrences = between(dag, order, clock.now());
  if (order.backwards) occurrences.reverse();
  return await Promise.all(occurrences.map(async (occurrence) => {
    const run_id = scheduledRunId(dag, occurrence);
    const run = (await runs.snapshot({ run_id }))?.run ?? null;
    const action = actionFor(run, order.reprocess);
    const planned = { run_id, logical_date: iso(occurrence.due), action, state: run?.state ?? null };
    return { occurrence, planned };
  }));
}

function actionFor(run: RunRecord | null, reprocess: Reprocess): PlannedRun["action"] {
  if (run === null) return "create";
  if (run.ended_at === null || reprocess === "none") return "leave";
  return reprocess === "completed" || run.state !== "success" ? "run again" : "leave";
}

/** A dag's past occurrences from the start of one day to the end of another, in the schedule's zone, oldest first. */
function between<Services>(
  { id, schedule }: Dag<Services>,
  { from, to }: BackfillOrder,
  now: number,
): Occurrence[] {
  if (schedule === undefined) throw new ParleyError("invalid", `${id} has no schedule to backfill by`);
  const start = midnight(from, schedule.timezone, 0);
  const end = midnight(to, schedule.timezone, 1);
  if (start >= end) throw new ParleyError("invalid", `${from} is after ${to}: give the earlier day first`);
  const due = nextOccurrences(schedule, start - 1, MAX_RUNS + 1).filter((each) => each.due < end);
  if (due.length === 0) throw new ParleyError("invalid", `${id} is not due between ${from} and ${to}`);
  const past = due.filter((each) => each.due <= now);
  if (past.length === 0) throw notYetDue(from);
  if (past.length <= MAX_RUNS) return past;
  throw new ParleyError("invalid", `that would be more than ${MAX_RUNS} runs: backfill a shorter time`);
}

/** When a day begins in a zone, or the one after it; epoch milliseconds. */
function midnight(day: string, timezone: string, days: number): number {
  try {
    return Temporal.PlainDate.from(day).add({ days }).toZonedDateTime(timezone).epochMilliseconds;
  } catch (error) {
    throw new ParleyError("invalid", "a day is written as 2026-05-01", { cause: error });
  }
}
