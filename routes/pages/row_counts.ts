import { DAY_MS, iso } from "../../lib/core/clock.ts";
import { outputsOf } from "../../lib/monitoring/task_outputs.ts";
import { snapshotsOf, STORE, type StoreSnapshot } from "../../lib/data_checks/store_snapshot.ts";
import { cachedRead, type ReadResult } from "../http/try_read.ts";
import type { PageContext } from "../http/page.ts";

/** Counts that the line of past counts is drawn from. */
const MAX_SNAPSHOTS = 30;
const DAYS = 90;

/** What the newest check counted, and the checks before it. */
export interface RowCounts {
  readonly run_id: string;
  readonly at: string;
  /** Oldest first, the newest among them. */
  readonly snapshots: readonly StoreSnapshot[];
}

/** The rows that the newest check counted; null if no check has counted yet. */
export function readRowCounts(context: PageContext, now: number): Promise<ReadResult<RowCounts | null>> {
  return cachedRead(context, "row counts", async () => {
    const since = iso(now - DAYS * DAY_MS);
    const outputs = (await Promise.all(
      context.dags.values().map((dag) =>
        outputsOf(context.runs, dag, { role: "check", since, limit: MAX_SNAPSHOTS })
      ),
    )).flat().filter((each) => snapshotsOf([each]).length > 0)
      .sort((a, b) => a.created_at < b.created_at ? -1 : 1).slice(-MAX_SNAPSHOTS);
    const newest = outputs.at(-1);
    if (newest === undefined) return null;
    return {
      run_id: newest.run_id,
      at: newest.ended_at ?? newest.created_at,
      snapshots: snapshotsOf(outputs),
    };
  });
}

/** What a check counted in one store, as `[what, rows]`. */
export function countsOf({ counts, stores }: StoreSnapshot, store: string): [string, number][] {
  const older = Object.entries(counts).filter(([what]) => STORE[what] === store);
  const found = stores === undefined ? older : Object.entries(stores[store] ?? {});
  return found.map(([what, n]) => [NAMES[what] ?? what, n]);
}

/** Names for people, by the name that a store uses. */
const NAMES: Readonly<Record<string, string>> = {
  quarantined: "refused rows",
  expressed: "intents expressed",
  engaged: "engagements",
  led_to: "engagements in conversations",
  targets: "intents targeted",
};
