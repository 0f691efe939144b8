import { ParleyError } from "../../../lib/core/errors.ts";
import { retryRun } from "../../../lib/dag/clear.ts";
import type { Dag } from "../../../lib/dag/define.ts";
import { checkRemoteParams, createScheduledRun, notYetDue, requestRun } from "../../../lib/dag/runs.ts";
import { nextOccurrences, type Occurrence } from "../../../lib/dag/schedule.ts";
import { withFlash } from "../../http/flash_messages.ts";
import { paramsOf } from "./params.tsx";
import { field, type PageRequest, redirect } from "../../http/page.ts";
import { dagOf } from "./data.ts";

/** `POST /pipelines/:dag_id/run`: queues a run, which a scheduler executes. */
export async function runNow(request: PageRequest): Promise<Response> {
  const dag = dagOf(request);
  const { runs, clock } = request.context;
  const { run_id } = await requestRun({ dag, runs, clock, params: paramsOf(dag, request.form) });
  request.note.facts = { dag_id: dag.id, run_id };
  return redirect(withFlash(pathOf(run_id), "queued"));
}

/** `POST /pipelines/:dag_id/pause`: pauses or resumes the schedule. */
export async function pause(request: PageRequest): Promise<Response> {
  const { id: dag_id } = dagOf(request);
  const paused = field(request, "paused") === "true";
  await request.context.runs.setPaused({ dag_id, paused });
  request.note.facts = { dag_id, paused };
  return redirect(withFlash(`/pipelines/${dag_id}`, paused ? "paused" : "unpaused"));
}

/** A year of nights. */
const MAX_BACKFILL_DAYS = 366;

/** `POST /pipelines/:dag_id/backfill`: queues the run of each occurrence from one day to another. */
export async function backfill(request: PageRequest): Promise<Response> {
  const dag = dagOf(request);
  const { runs, clock } = request.context;
  const occurrences = between(dag, field(request, "from"), field(request, "to"), clock.now());
  const params = await checkRemoteParams(dag, paramsOf(dag, request.form));
  let created = 0;
  for (const occurrence of occurrences) {
    if (await createScheduledRun({ dag, runs, clock, occurrence, params })) created++;
  }
  request.note.facts = { dag_id: dag.id, runs: created };
  return redirect(withFlash(`/pipelines/${dag.id}`, "backfilled", created, occurrences.length));
}

/** A dag's past occurrences from the start of one day to the end of another, in the schedule's zone. */
function between({ id, schedule }: Dag<never>, from: string, to: string, now: number): Occurrence[] {
  if (schedule === undefined) throw new ParleyError("invalid", `${id} has no schedule to backfill by`);
  const start = midnight(from, schedule.timezone, 0);
  const end = midnight(to, schedule.timezone, 1);
  if (start >= end) throw new ParleyError("invalid", `${from} is after ${to}: give the earlier day first`);
  const due = nextOccurrences(schedule, start - 1, MAX_BACKFILL_DAYS + 1).filter((each) => each.due < end);
  if (due.length === 0) throw new ParleyError("invalid", `${id} is not due between ${from} and ${to}`);
  const past = due.filter((each) => each.due <= now);
  if (past.length === 0) throw notYetDue(from);
  if (past.length <= MAX_BACKFILL_DAYS) return past;
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

/** `POST /runs/:run_id/retry`: runs what failed again, or one task with all tasks that need it. */
export async function retry(request: PageRequest): Promise<Response> {
  const run_id = request.http.req.param("run_id") ?? "";
  const { runs, clock } = request.context;
  const task = field(request, "task");
  const { dags } = request.context;
  const { run, cleared } = await retryRun({ dags, runs, clock, run_id, ...task !== "" && { task } });
  request.note.facts = { run_id, tasks: cleared };
  const message = run.trigger === "external" ? "reopened" : "retried";
  return redirect(withFlash(pathOf(run_id), message, cleared.length));
}

/** `POST /runs/:run_id/cancel`: a queued run ends at once, a running one when its process notices. */
export async function cancel(request: PageRequest): Promise<Response> {
  const run_id = request.http.req.param("run_id") ?? "";
  const cancelling = await request.context.runs.requestCancel({ run_id });
  if (cancelling) request.note.facts = { run_id };
  return redirect(withFlash(pathOf(run_id), cancelling ? "cancelling" : "over"));
}

function pathOf(run_id: string): string {
  return `/runs/${encodeURIComponent(run_id)}`;
}
