import type { Abortable } from "../core/types.ts";
import type { Recommender } from "../recommend/recommender.ts";
import type { ReleaseStore } from "../stores/analytics/port.ts";
import type { Fold } from "./splits.ts";

/** A Parley that was built from a fold's rows alone. */
export interface FoldParley {
  readonly recommender: Pick<Recommender, "explain">;
  readonly analytics: Pick<ReleaseStore, "popular">;
}

/** How far the building of a Parley is: which task, and how many of its rows are done. */
export type BuildProgress = (task: string, done: number, total: number | null) => void;

/** Builds a Parley from a fold's rows by the nightly dag in stores of its own, hands it to `body`, and removes it. */
export type WithParley = (
  options: { readonly fold: Fold; readonly onProgress: BuildProgress } & Abortable,
  body: (parley: FoldParley) => Promise<void>,
) => Promise<void>;
