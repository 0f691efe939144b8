import { DAY_MS, iso } from "../../lib/core/clock.ts";
import { CHECK_TASK } from "../../lib/monitoring/check_results.ts";
import { STORE, type Survey, surveysOf } from "../../lib/data_checks/store_snapshot.ts";
import { type Asked, keep } from "../http/try_read.ts";
import type { Site } from "../http/page.ts";

/** Surveys that are looked back at, for a line of how rows came to be. */
const MOST = 30;
const DAYS = 90;

/** What the newest check counted, and those before it. */
export interface Surveyed {
  readonly run_id: string;
  readonly at: string;
  /** Oldest first, the newest among them. */
  readonly surveys: readonly Survey[];
}

/** The newest check's count of rows; null where none has counted. */
export function newestSurvey(site: Site, now: number): Promise<Asked<Surveyed | null>> {
  return keep(site, "survey", async () => {
    const since = iso(now - DAYS * DAY_MS);
    const dags = [...site.dags.values()].filter(({ tasks }) => tasks.some(({ id }) => id === CHECK_TASK));
    const outputs = (await Promise.all(
      dags.map(({ id }) => site.runs.outputs({ dag_id: id, task_id: CHECK_TASK, since, limit: MOST })),
    )).flat().filter((each) => surveysOf([each]).length > 0)
      .sort((a, b) => a.created_at < b.created_at ? -1 : 1).slice(-MOST);
    const newest = outputs.at(-1);
    if (newest === undefined) return null;
    return { run_id: newest.run_id, at: newest.ended_at ?? newest.created_at, surveys: surveysOf(outputs) };
  });
}

/** What one survey counted in one store, as `[what, rows]`. */
export function countsOf({ counts, stores }: Survey, store: string): [string, number][] {
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
