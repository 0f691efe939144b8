import type { RunRecord, RunState } from "./port.ts";

/** How a run came out, where a success that had nothing to do is no success like the others. */
export function statusOf({ state, error }: Pick<RunRecord, "state" | "error">): RunState | "nothing_new" {
  return state === "success" && error !== null ? "nothing_new" : state;
}
