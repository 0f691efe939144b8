import type { RunRecord, RunState } from "./port.ts";

type Leased = Pick<RunRecord, "state" | "trigger" | "lease_until">;

/** Whether a run is in progress and no process works on it: its process died, and none has taken it up yet. */
export function isInterrupted({ state, trigger, lease_until }: Leased, now: number): boolean {
  return state === "running" && trigger !== "external" && lease_until < now;
}

/** Whether a run succeeded in that every task was skipped; its `error` says why. */
export function isSkipped({ state, error }: Pick<RunRecord, "state" | "error">): boolean {
  return state === "success" && error !== null;
}

/**
 * How a run is, or came out, at `now` (epoch milliseconds). A success in which every task was skipped is no success like the
 * others.
 */
export function statusOf(
  run: Leased & Pick<RunRecord, "error">,
  now: number,
): RunState | "skipped" | "interrupted" {
  if (isInterrupted(run, now)) return "interrupted";
  return isSkipped(run) ? "skipped" : run.state;
}
