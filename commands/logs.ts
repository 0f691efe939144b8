import { counted } from "../lib/core/text.ts";
import type { RunObserver, RunOutcome } from "../lib/dag/options.ts";
import type { EndedAttempt, RunRecord } from "../lib/stores/runs/port.ts";
import type { Logger } from "../lib/telemetry/log.ts";
import type { Log, LogEntry } from "../routes/http/endpoint.ts";

/** Requested by machines every few seconds, or with every page; of interest only when something is wrong. */
const PROBES = new Set(["/healthz", "/readyz", "/metrics", "/assets/:name"]);

/** Logs each request in one line. */
export function requestLog(log: Logger): Log {
  return (entry) => {
    const { method, route, status, ms } = entry;
    log[levelOf(entry)](`${method} ${route} ${status} in ${ms} ms`, { ...entry });
  };
}

function levelOf({ status, route, degraded, error }: LogEntry): keyof Logger {
  // A probe's 503 is its answer: that the process is starting, or which stores are down.
  if (error !== undefined || (status >= 500 && !PROBES.has(route))) return "error";
  if (degraded !== undefined) return "warning";
  return PROBES.has(route) ? "debug" : "info";
}

/** How a run that was executed here ended. */
export interface RunEnd {
  readonly outcome: RunOutcome | "skipped";
  /** How many sources it could not read. */
  readonly left_out: number;
}

/** Logs runs without a terminal, and each of their tasks. The reason of a failure is only in the run store: it may quote data. */
export interface RunLog {
  claimed(run: RunRecord, resumed: boolean): void;
  ended(run: RunRecord, end: RunEnd): void;
  /** For the engine, while it executes this run. */
  observer(run: RunRecord): RunObserver;
}

export function runLog(log: Logger): RunLog {
  const fields = ({ run_id, dag_id }: RunRecord) => ({ run_id, dag: dag_id });
  return {
    claimed: (run, resumed) =>
      log.info(`run {run_id} of {dag} ${resumed ? "continues" : "starts"}`, { ...fields(run), resumed }),
    ended: (run, end) => {
      const bad = end.outcome === "failed" || end.outcome === "lost" || end.left_out > 0;
      const sources = end.left_out > 0 ? `, with ${counted(end.left_out, "source")} left out` : "";
      const hint = bad ? "; `deno task pipeline status {run_id}` says why" : "";
      log[bad ? "error" : "info"](`run {run_id} of {dag}: {outcome}${sources}${hint}`, {
        ...fields(run),
        ...end,
      });
    },
    observer: (run) => ({
      taskStarted: (task, attempt) => log.debug("{task} starts", { ...fields(run), task, attempt }),
      taskEnded: (ended, { state }) =>
        log[gravity(ended, state)]("{task}: {state} in {seconds} s", { ...fields(run), ...figures(ended) }),
      taskSettled: ({ task_id: task, state }) => log.info("{task}: {state}", { ...fields(run), task, state }),
    }),
  };
}

/** A failure that is tried again is less grave than one that ends its task. */
function gravity({ state }: EndedAttempt, task_state: string): keyof Logger {
  if (task_state === "failed") return "error";
  return state === "failed" || state === "timed_out" || state === "lost" ? "warning" : "info";
}

function figures(ended: EndedAttempt) {
  const { task_id: task, attempt, state, rows_in, rows_out, quarantined } = ended;
  const ms = Date.parse(ended.ended_at ?? ended.started_at) - Date.parse(ended.started_at);
  return { task, attempt, state, seconds: ms / 1_000, rows_in, rows_out, quarantined };
}
