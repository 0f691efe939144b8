import { DAY_MS, iso } from "../../../lib/core/clock.ts";
import type { ServingSpan } from "../../../lib/core/types.ts";
import { type Anomalies, findAnomalies } from "../../../lib/monitoring/anomalies.ts";
import { pipelineRunSummary, type PipelineSummary } from "../../../lib/monitoring/pipeline_run_summary.ts";
import { cacheHistory, LOOK_BACK_DAYS } from "../../../lib/monitoring/run_history.ts";
import type { EngagementDay, EventStore } from "../../../lib/stores/analytics/port.ts";
import type { RunRecord, RunRecordStore } from "../../../lib/stores/runs/port.ts";
import { type ReadyStores, storesRespond } from "../../api/health.ts";
import { watched, withAcknowledged } from "../../api/pipeline.ts";
import type { PageContext } from "../../http/page.ts";
import { cachedRead, type ReadResult } from "../../http/try_read.ts";

/** All that the page shows, read at one moment. */
export interface OverviewData {
  readonly url: URL;
  readonly now: number;
  /** The last runs of each dag, newest first. */
  readonly recent: ReadResult<ReadonlyMap<string, readonly RunRecord[]>>;
  readonly anomalies: ReadResult<Anomalies>;
  readonly summary: ReadResult<PipelineSummary>;
  /** The last four weeks, a day each. */
  readonly engagement: ReadResult<readonly EngagementDay[]>;
  readonly minutes: readonly ServingSpan[];
}

/** Runs of each dag: the last one, and those shown next to it. */
const MAX_RUNS = 8;
const DAYS = 28;
/** How long what is computed from the whole history is cached while no run begins or ends, and no store fails or comes back. */
const HISTORY_TTL_MS = 15_000;

export async function readOverview(context: PageContext, url: URL): Promise<OverviewData> {
  const { analytics } = context.stores;
  const now = context.clock.now();
  const minutes = context.metrics.window.minutes(now);
  const runs = cacheHistory(context.stores.runs, iso(now - LOOK_BACK_DAYS * DAY_MS));
  const dags = [...context.dags.values()];
  const [recent, responding] = await Promise.all([
    cachedRead(context, "recent", () => readRecent(context.runs, [...context.dags.keys()])),
    cachedRead(context, "responding", () => readResponding(context.stores)),
  ]);
  const states = [...recent.value?.values() ?? []].flat().map(({ run_id, state }) => [run_id, state]);
  const options = { ttl: HISTORY_TTL_MS, version: JSON.stringify([states, responding.value]) };
  const [anomalies, summary, engagement] = await Promise.all([
    withAcknowledged(
      context,
      cachedRead(context, "open", () => findAnomalies({ ...watched({ ...context, dags }), runs }), options),
    ),
    cachedRead(
      context,
      "week",
      () => pipelineRunSummary({ runs, analytics, dags, clock: context.clock, days: 7 }),
      options,
    ),
    cachedRead(context, "engagement", () => readDays(analytics, now), options),
  ]);
  return { url, now, recent, anomalies, summary, engagement, minutes };
}

async function readRecent(runs: Pick<RunRecordStore, "runs">, dag_ids: readonly string[]) {
  const of = async (dag_id: string) => [dag_id, await runs.runs({ dag_id, limit: MAX_RUNS })] as const;
  return new Map(await Promise.all(dag_ids.map(of)));
}

/** Which stores respond, each with whether it does. */
function readResponding(stores: ReadyStores): Promise<(readonly [string, boolean])[]> {
  const asked = Object.entries(storesRespond(stores));
  return Promise.all(
    asked.map(async ([store, ask]) => [store, await ask().then(() => true, () => false)] as const),
  );
}

/** Engagement by day in UTC, up to and with today, also of days without events. */
async function readDays(analytics: Pick<EventStore, "daily">, now: number): Promise<EngagementDay[]> {
  const today = Math.floor(now / DAY_MS) * DAY_MS;
  const days = await analytics.daily({ since: iso(today - (DAYS - 1) * DAY_MS), until: iso(today + DAY_MS) });
  return Array.from({ length: DAYS }, (_, i) => {
    const day = iso(today - (DAYS - 1 - i) * DAY_MS).slice(0, 10);
    return days.find((each) => each.day === day) ??
      { day, impressions: 0, clicks: 0, conversions: 0, dismissals: 0 };
  });
}
