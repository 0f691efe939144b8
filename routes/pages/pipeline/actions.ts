import { ParleyError } from "../../../lib/core/errors.ts";
import type { JsonObject } from "../../../lib/core/types.ts";
import { clearRun } from "../../../lib/dag/clear.ts";
import type { Dag } from "../../../lib/dag/define.ts";
import { checkRemoteParams, createRun, createScheduledRun } from "../../../lib/dag/runs.ts";
import { nextOccurrences, type Occurrence } from "../../../lib/dag/schedule.ts";
import { withFlash } from "../../http/flash_messages.ts";
import { paramsOf } from "./params.tsx";
import { field, type PageRequest, redirect } from "../../http/page.ts";
import { dagOf } from "./page.tsx";

/** `POST /pipelines/:dag_id/run`: queues a run; whoever works on the run store executes it. */
export async function runNow(visit: PageRequest): Promise<Response> {
  const dag = dagOf(visit);
  const { runs, clock } = visit.site;
  const { run_id } = await createRun({ dag, runs, clock, params: await paramsFrom(visit, dag) });
  return redirect(withFlash(pathOf(run_id), "queued"));
}

/** The params in the form that was sent, of those that may be given over HTTP. */
function paramsFrom({ form }: PageRequest, dag: Dag<never>): Promise<JsonObject> {
  return checkRemoteParams(dag, paramsOf(dag, form));
}

/** `POST /pipelines/:dag_id/pause`: stops the schedule, or lets it go on. */
export async function pause(visit: PageRequest): Promise<Response> {
  const { id: dag_id } = dagOf(visit);
  const paused = field(visit, "paused") === "true";
  await visit.site.runs.setPaused({ dag_id, paused });
  return redirect(withFlash(`/pipelines/${dag_id}`, paused ? "paused" : "unpaused"));
}

/** Runs that one backfill may make: a year of nights. */
const MAX_BACKFILL_DAYS = 366;

/** `POST /pipelines/:dag_id/backfill`: queues the run of each occurrence from one day to another. */
export async function backfill(visit: PageRequest): Promise<Response> {
  const dag = dagOf(visit);
  const { runs, clock } = visit.site;
  const occurrences = between(dag, field(visit, "from"), field(visit, "to"), clock.now());
  const params = await paramsFrom(visit, dag);
  let made = 0;
  for (const occurrence of occurrences) {
    if (await createScheduledRun({ dag, runs, clock, occurrence, params })) made++;
  }
  return redirect(withFlash(`/pipelines/${dag.id}`, "backfilled", made, occurrences.length));
}

/** A dag's occurrences from the start of one day to the end of another, in the schedule's zone, of those that have come. */
function between({ id, schedule }: Dag<never>, from: string, to: string, now: number): Occurrence[] {
  if (schedule === undefined) throw new ParleyError("invalid", `${id} has no schedule to backfill by`);
  const start = midnight(from, schedule.timezone, 0);
  const end = midnight(to, schedule.timezone, 1);
  if (start >= end) throw new ParleyError("invalid", `${from} is after ${to}: give the earlier day first`);
  const due = nextOccurrences(schedule, start - 1, MAX_BACKFILL_DAYS + 1).filter((each) => each.due < end);
  if (due.length === 0) throw new ParleyError("invalid", `${id} is not due between ${from} and ${to}`);
  const found = due.filter((each) => each.due <= now);
  if (found.length === 0) {
    throw new ParleyError("invalid", `${from} has not come yet: the schedule makes its run when it is due`);
  }
  if (found.length <= MAX_BACKFILL_DAYS) return found;
  throw new ParleyError(
    "invalid",
    `that would be more than ${MAX_BACKFILL_DAYS} runs: backfill a shorter time`,
  );
}

/** When a day begins in a zone, or the one after it; epoch milliseconds. */
function midnight(day: string, timezone: string, days: number): number {
  try {
    return Temporal.PlainDate.from(day).add({ days }).toZonedDateTime(timezone).epochMilliseconds;
  } catch (error) {
    throw new ParleyError("invalid", "a day is written as 2026-05-01", { cause: error });
  }
}

/** `POST /runs/:run_id/retry`: runs what failed again, or one task with all that needs it. */
export async function retry(visit: PageRequest): Promise<Response> {
  const run_id = visit.context.req.param("run_id") ?? "";
  const { runs, clock } = visit.site;
  const run = (await runs.snapshot({ run_id }))?.run;
  const dag = visit.site.dags.get(run?.dag_id ?? "");
  if (dag === undefined) throw new ParleyError("not_found", "there is no such run, or its pipeline is gone");
  const task = field(visit, "task");
  const scope = task === "" ? { failed: true } : { tasks: [task], downstream: true };
  const cleared = await clearRun({ dag, runs, clock, run_id, scope });
  if (cleared.length === 0) throw new ParleyError("conflict", "nothing in this run has failed");
  const notice = run?.trigger === "external" ? "reopened" : "retried";
  return redirect(withFlash(pathOf(run_id), notice, cleared.length));
}

/** `POST /runs/:run_id/cancel`: a queued run is over at once, a running one as soon as its process hears of it. */
export async function cancel(visit: PageRequest): Promise<Response> {
  const run_id = visit.context.req.param("run_id") ?? "";
  const asked = await visit.site.runs.requestCancel({ run_id });
  return redirect(withFlash(pathOf(run_id), asked ? "cancelling" : "over"));
}

function pathOf(run_id: string): string {
  return `/runs/${encodeURIComponent(run_id)}`;
}
