import { isInterrupted, type RunHistory, statusOf } from "../stores/runs/port.ts";
import type { Anomaly } from "./anomaly.ts";
import { findOutlier, seconds } from "./outliers.ts";
import { span, type WatchedDag } from "./run_history.ts";

/** A run in progress is late by at least a minute and twice its usual time. */
const OVERDUE = { min_difference: 60_000, factor: 2 };
/** How long a run may be queued while none of its dag runs. */
const WAITING_MS = 600_000;
/** How long a run may be without a process. */
const INTERRUPTED_MS = 60_000;
/** How long nothing may happen in a run that an engine outside drives: its retries wait for minutes. */
const ABANDONED_MS = 3_600_000;

/** Runs that take longer than usual, and queued runs that no process executes. `history` is newest first. */
export function stuckRunAnomalies(
  dag: WatchedDag,
  history: readonly RunHistory[],
  now: number,
): Anomaly[] {
  const unended = history.filter(({ run }) => run.ended_at === null);
  const [external, open] = [true, false].map((is) =>
    unended.filter(({ run }) => is === (run.trigger === "external"))
  );
  const running = open!.filter(({ run }) => run.state === "running");
  const queued = open!.filter(({ run }) => run.state === "queued");
  return [
    ...external!.map((one) => abandoned(dag, one, now)),
    ...external!.map((one) => overdue(dag, one, history, now)),
    ...running.map((one) => interrupted(dag, one, now) ?? overdue(dag, one, history, now)),
    ...running.length > 0 ? [] : queued.slice(-1).map((one) => waiting(dag, one, now)),
  ].filter((anomaly) => anomaly !== null);
}

function overdue(dag: WatchedDag, { run }: RunHistory, history: readonly RunHistory[], now: number) {
  if (run.started_at === null) return null;
  const at = Date.parse(run.logical_date);
  const usual = history.filter((one) => statusOf(one.run, now) === "success").reverse().flatMap((one) => {
    const value = span(one.run.started_at, one.run.ended_at);
    return value === null ? [] : [{ at: Date.parse(one.run.logical_date), value }];
  });
  const value = now - Date.parse(run.started_at);
  const seen = findOutlier(usual, { at, value }, OVERDUE);
  if (seen === null || value < seen.expected) return null;
  return anomaly(dag, run, "run_overdue", {
    figure: value,
    expected: Math.round(seen.expected),
    usual: seen.usual,
    history: [...usual.map((point) => point.value), value],
    text: `run ${run.run_id} of ${dag.id} has been running for ${seconds(value)}, but about ${
      seconds(seen.expected)
    } are usual: see \`deno task pipeline status ${run.run_id}\`, or cancel it`,
  });
}

/** A process that died lost its lease; another takes the run up within seconds, if there is one. */
function interrupted(dag: WatchedDag, { run }: RunHistory, now: number): Anomaly | null {
  const value = now - run.lease_until;
  if (!isInterrupted(run, now) || value < INTERRUPTED_MS) return null;
  return anomaly(dag, run, "run_interrupted", {
    figure: Math.min(value, now - Date.parse(run.started_at ?? run.created_at)),
    expected: 0,
    text: `the process of run ${run.run_id} of ${dag.id} died and none has taken it up: ` +
      "`deno task pipeline work` continues it, and so does `deno task schedule`; or end it by " +
      `\`deno task pipeline cancel ${run.run_id}\``,
  });
}

/** No process of ours takes up a run that an engine outside drives. */
function abandoned(dag: WatchedDag, { run, tasks }: RunHistory, now: number): Anomaly | null {
  // A running task holds its lease; if its process died, the lease is the last sign of it.
  const signs = tasks.map(({ ended_at, lease_until }) =>
    ended_at === null ? lease_until ?? 0 : Date.parse(ended_at)
  );
  const value = now - Math.max(Date.parse(run.created_at), ...signs);
  if (value < ABANDONED_MS) return null;
  return anomaly(dag, run, "run_abandoned", {
    figure: value,
    expected: ABANDONED_MS,
    text:
      `the engine outside that drives run ${run.run_id} of ${dag.id} has asked for no task for ${
        seconds(value)
      }: ` +
      `have it run the others, or end it by \`deno task pipeline cancel ${run.run_id}\``,
  });
}

function waiting(dag: WatchedDag, { run }: RunHistory, now: number): Anomaly | null {
  const value = now - Date.parse(run.created_at);
  if (value < WAITING_MS) return null;
  return anomaly(dag, run, "run_waiting", {
    figure: value,
    expected: 0,
    text:
      `run ${run.run_id} of ${dag.id} has been queued for ${seconds(value)} and no process executes it: ` +
      "keep `deno task schedule` running, or execute it by `deno task pipeline work`",
  });
}

function anomaly(
  dag: WatchedDag,
  { run_id, created_at, started_at }: RunHistory["run"],
  code: string,
  rest: Pick<Anomaly, "figure" | "expected" | "text"> & Pick<Partial<Anomaly>, "history" | "usual">,
): Anomaly {
  const subject = { kind: "dag", dag_id: dag.id } as const;
  return { code, severity: "warning", subject, unit: "ms", since: started_at ?? created_at, run_id, ...rest };
}
