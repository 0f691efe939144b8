import type { RunRecord, RunState } from "./port.ts";

/** How a run came out: a success in which every task was skipped is no success like the others. Its `error` says why. */
export function statusOf({ state, error }: Pick<RunRecord, "state" | "error">): RunState | "skipped" {
  return state === "success" && error !== null ? "skipped" : state;
}
