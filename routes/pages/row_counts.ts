import { DAY_MS, iso } from "../../lib/core/clock.ts";
import { outputsOf } from "../../lib/monitoring/task_outputs.ts";
import { snapshotsOf, STORE, type StoreSnapshot } from "../../lib/data_checks/store_snapshot.ts";
import { cachedRead, type ReadResult } from "../http/try_read.ts";
import type { PageContext } from "../http/page.ts";

/** Surveys that are looked back at, for a line of how rows came to be. */
const MAX_SNAPSHOTS = 30;
const DAYS = 90;

/** What the newest check counted, and those before it. */
export interface RowCounts {
  readonly run_id: string;
  readonly at: string;
  /** Oldest first, the newest among them. */
  readonly surveys: readonly StoreSnapshot[];
}

/** The newest check's count of rows; null where none has counted. */
export function newestRowCounts(site: PageContext, now: number): Promise<ReadResult<RowCounts | null>> {
  return cachedRead(site, "survey", async () => {
    const since = iso(now - DAYS * DAY_MS);
    const outputs = (await Promise.all(
      site.dags.values().map((dag) =>
        outputsOf(site.runs, dag, { role: "check", since, limit: MAX_SNAPSHOTS })
      ),
    )).flat().filter((each) => snapshotsOf([each]).length > 0)
      .sort((a, b) => a.created_at < b.created_at ? -1 : 1).slice(-MAX_SNAPSHOTS);
    const newest = outputs.at(-1);
    if (newest === undefined) return null;
    return { run_id: newest.run_id, at: newest.ended_at ?? newest.created_at, surveys: snapshotsOf(outputs) };
  });
}

/** What one survey counted in one store, as `[what, rows]`. */
export function countsOf({ counts, stores }: StoreSnapshot, store: string): [string, number][] {
  const older = Object.entries(counts).filter(([what]) => STORE[what] === store);
  const found = stores === undefined ? older : Object.entries(stores[store] ?? {});
  return found.map(([what, n]) => [NAMES[what] ?? what, n]);
}

/** What a store's own word for its rows means. */
const NAMES: Readonly<Record<string, string>> = {
  quarantined: "refused rows",
  expressed: "intents expressed",
  engaged: "engagements",
  led_to: "engagements in conversations",
  targets: "intents targeted",
};
