import type { Schedule } from "../dag/schedule.ts";
import type { RunHistory, RunStore } from "../stores/runs/port.ts";

/** As much of a dag as its watchers need; every `Dag` is one. Tasks come in an order that their needs allow. */
export interface WatchedDag {
  readonly id: string;
  readonly schedule?: Schedule;
  readonly on_datasets?: object;
  readonly tasks: readonly {
    readonly id: string;
    readonly needs?: readonly string[];
    /** Says whose output in `task_outputs.ts` it leaves. */
    readonly role?: string;
  }[];
  /** Gives the params of a run that is given none: of sources, the configured ones. */
  readonly params?: { safeParse(given: object): { readonly data?: unknown } };
}

/** The methods of the run store that are needed. */
export type WatchedRuns = Pick<
  RunStore,
  "history" | "outputs" | "lastScheduled" | "paused" | "leader" | "acknowledgements"
>;

/**
 * Runs of one dag that are read at most. It bounds the time of a page: 200 runs of 50 tasks are 10,000 rows, which
 * SQLite gives in some 25 ms on an idle core.
 */
export const MAX_RUNS = 200;

/** How far back what is unusual is looked for, in days: the method looks at up to 42 runs or days. */
export const LOOK_BACK_DAYS = 90;

/**
 * The run store for several looks at one moment: each dag's newest runs are read once, from `since` on, and a look that
 * asks for a shorter time gets its part of them.
 */
export function cacheHistory(runs: WatchedRuns, since: string): WatchedRuns {
  const read = new Map<string, Promise<RunHistory[]>>();
  const newest = (dag_id: string) =>
    read.getOrInsertComputed(dag_id, () => runs.history({ dag_id, since, limit: MAX_RUNS }));
  return {
    history: async (options) =>
      options.since < since || options.limit > MAX_RUNS
        ? await runs.history(options)
        : (await newest(options.dag_id)).filter(({ run }) => run.created_at >= options.since).slice(
          0,
          options.limit,
        ),
    outputs: (options) => runs.outputs(options),
    lastScheduled: (options) => runs.lastScheduled(options),
    paused: () => runs.paused(),
    leader: () => runs.leader(),
    acknowledgements: () => runs.acknowledgements(),
  };
}

/** Milliseconds between two ISO times; null where either is missing. */
export function span(from: string | null, to: string | null): number | null {
  return from === null || to === null ? null : Date.parse(to) - Date.parse(from);
}

export const ended = ({ run }: RunHistory): boolean => run.ended_at !== null;
