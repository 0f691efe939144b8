import type { Schedule } from "../dag/schedule.ts";
import type { RunHistory, RunStore } from "../stores/runs/port.ts";

/** As much of a dag as its watchers need; every `Dag` is one. Tasks come in an order that their needs allow. */
export interface WatchedDag {
  readonly id: string;
  readonly schedule?: Schedule;
  readonly tasks: readonly { readonly id: string; readonly needs?: readonly string[] }[];
}

/** What is asked of the run store. */
export type WatchedRuns = Pick<RunStore, "history" | "outputs" | "lastScheduled" | "paused" | "leader">;

/**
 * Runs of one dag that are read at most. It bounds the time of a page: 200 runs of 50 tasks are 10,000 rows, which
 * SQLite gives in some 25 ms on an idle core.
 */
export const MAX_RUNS = 200;

/** Milliseconds between two ISO times; null where either is missing. */
export function span(from: string | null, to: string | null): number | null {
  return from === null || to === null ? null : Date.parse(to) - Date.parse(from);
}

export const ended = ({ run }: RunHistory): boolean => run.ended_at !== null;
