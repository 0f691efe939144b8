import { ParleyError } from "../../../lib/core/errors.ts";
import { cancelBackfill, startBackfill } from "../../../lib/dag/backfill.ts";
import { retryRun } from "../../../lib/dag/clear.ts";
import { CLEARABLE, clearRuns } from "../../../lib/dag/clear_runs.ts";
import { markRun, MARKS } from "../../../lib/dag/mark.ts";
import { checkRemoteParams, requestRun } from "../../../lib/dag/runs.ts";
import { acknowledger } from "../../../lib/monitoring/acknowledge.ts";
import { REPROCESS } from "../../../lib/stores/runs/port.ts";
import { withFlash } from "../../http/flash_messages.ts";
import { paramsOf } from "./params.tsx";
import { field, type PageRequest, redirect } from "../../http/page.ts";
import { dagOf } from "./data.ts";
import { runPath } from "../../components/run_link.tsx";

/** `POST /pipelines/:dag_id/run`: queues a run, which a scheduler executes. */
export async function runNow(request: PageRequest): Promise<Response> {
  const dag = dagOf(request);
  const { runs, clock } = request.context;
  const { run_id } = await requestRun({ dag, runs, clock, params: paramsOf(dag, request.form) });
  request.note.facts = { dag_id: dag.id, run_id };
  return redirect(withFlash(runPath(run_id), "queued"));
}

/** `POST /pipelines/:dag_id/pause`: pauses or resumes the schedule. */
export async function pause(request: PageRequest): Promise<Response> {
  const { id: dag_id } = dagOf(request);
  const paused = field(request, "paused") === "true";
  await request.context.runs.setPaused({ dag_id, paused });
  request.note.facts = { dag_id, paused };
  return redirect(withFlash(`/pipelines/${dag_id}`, paused ? "paused" : "unpaused"));
}

/** `POST /pipelines/:dag_id/backfill`: queues the runs of past days. */
export async function backfill(request: PageRequest): Promise<Response> {
  const dag = dagOf(request);
  const { runs, clock } = request.context;
  const params = paramsOf(dag, request.form);
  await checkRemoteParams(dag, params);
  const order = {
    from: field(request, "from"),
    to: field(request, "to"),
    reprocess: REPROCESS.find((one) => one === field(request, "reprocess")) ?? "none",
    max_active: Number(field(request, "max_active") || 1),
    backwards: field(request, "backwards") === "true",
    params,
  };
  const { backfill_id, planned } = await startBackfill({ dag, runs, clock, order });
  const queued = planned.filter(({ action }) => action !== "leave").length;
  request.note.facts = { dag_id: dag.id, backfill_id, runs: queued };
  return redirect(withFlash(`/pipelines/${dag.id}`, "backfilled", queued, planned.length));
}

/** `POST /pipelines/:dag_id/backfills/cancel`: ends a backfill. */
export async function endBackfill(request: PageRequest): Promise<Response> {
  const { id: dag_id } = dagOf(request);
  const { runs, clock } = request.context;
  const backfill_id = field(request, "backfill_id");
  const cancelled = await cancelBackfill({ runs, clock, backfill_id });
  request.note.facts = { dag_id, backfill_id, runs: cancelled };
  return redirect(withFlash(`/pipelines/${dag_id}`, "backfill_ended", cancelled));
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
  return redirect(withFlash(runPath(run_id), message, cleared.length));
}

/** `POST /runs/:run_id/mark`: marks an ended run, or one of its tasks, as successful or failed. */
export async function mark(request: PageRequest): Promise<Response> {
  const run_id = request.http.req.param("run_id") ?? "";
  const { runs, clock, dags } = request.context;
  const state = MARKS.find((one) => one === field(request, "state"));
  if (state === undefined) throw new ParleyError("invalid", `state must be one of ${MARKS.join(", ")}`);
  const task = field(request, "task");
  await markRun({ dags, runs, clock, run_id, state, ...task !== "" && { task }, ...markedBy(request) });
  request.note.facts = { run_id, state, ...task !== "" && { task_id: task } };
  return redirect(withFlash(runPath(run_id), "marked"));
}

/** `POST /pipelines/:dag_id/clear`: runs what failed in many runs again. */
export async function clearMany(request: PageRequest): Promise<Response> {
  const dag = dagOf(request);
  const { runs, clock } = request.context;
  const [from, to] = [field(request, "from"), field(request, "to")];
  const order = {
    states: [CLEARABLE.find((one) => one === field(request, "state")) ?? "failed"],
    ...from !== "" && { from },
    ...to !== "" && { to },
    all_tasks: field(request, "tasks") === "all",
    max_active: Number(field(request, "max_active") || 1),
    ...markedBy(request),
  };
  const { backfill_id, run_ids } = await clearRuns({ dag, runs, clock, order });
  request.note.facts = { dag_id: dag.id, backfill_id, runs: run_ids.length };
  return redirect(withFlash(`/pipelines/${dag.id}`, "cleared", run_ids.length));
}

/** Who does it, and why. */
function markedBy(request: PageRequest): { by: string; note: string } {
  const by = acknowledger({ name: field(request, "by"), key: request.session.key });
  return { by, note: field(request, "note") };
}

/** `POST /runs/:run_id/cancel`: a queued run ends at once, a running one when its process notices. */
export async function cancel(request: PageRequest): Promise<Response> {
  const run_id = request.http.req.param("run_id") ?? "";
  const cancelling = await request.context.runs.requestCancel({ run_id });
  if (cancelling) request.note.facts = { run_id };
  return redirect(withFlash(runPath(run_id), cancelling ? "cancelling" : "over"));
}
