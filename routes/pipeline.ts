import { type Context, z } from "../deps.ts";
import type { Clock } from "../lib/core/clock.ts";
import { detectAnomalies } from "../lib/quality/anomalies.ts";
import type { ServingSpan } from "../lib/core/types.ts";
import { pipelineRunSummary } from "../lib/quality/summary.ts";
import type { WatchedDag, WatchedRuns } from "../lib/quality/watched.ts";
import type { AnalyticsStore } from "../lib/stores/analytics/port.ts";
import { answering, type ReadyStores } from "./health.ts";
import type { Endpoint } from "./endpoint.ts";
import { NO_OTHERS } from "./query.ts";

const DAYS_RULE = "days must be a whole number from 1 to 365, given once";
const Query = z.strictObject({
  days: z.array(z.string().regex(/^([1-9]\d?|[12]\d\d|3[0-5]\d|36[0-5])$/, DAYS_RULE)).length(1, DAYS_RULE)
    .optional(),
}, NO_OTHERS);

/** What the pipeline's endpoints read. */
export interface PipelineView {
  readonly stores: ReadyStores & {
    readonly runs: WatchedRuns;
    readonly analytics: Pick<AnalyticsStore, "daily">;
  };
  /** The dags to watch. Default none. */
  readonly dags?: readonly WatchedDag[];
  readonly clock: Clock;
  /** What this process has served, in windows; without it, serving is not looked at. */
  readonly serving?: () => readonly ServingSpan[];
}

/** `GET /pipeline/summary?days=30`: what each dag and stage did, as a `PipelineSummary` (lib/quality/summary.ts). */
export function pipelineSummary({ stores, dags = [], clock }: PipelineView): Endpoint {
  const handle = async (context: Context) =>
    respond(await pipelineRunSummary({ ...stores, dags, clock, ...windowOf(context) }));
  return { route: "/pipeline/summary", scope: "read", handle };
}

/**
 * `GET /pipeline/anomalies?days=90`: what is not as it should be, as `Anomalies` (lib/quality/anomalies.ts). Whether the
 * stores agree is as the last run's `check` found it: a request counts no rows.
 */
export function pipelineAnomalies({ stores, dags = [], clock, serving }: PipelineView): Endpoint {
  const handle = async (context: Context) => {
    const windows = serving === undefined ? {} : { serving: serving() };
    return respond(
      await detectAnomalies({
        runs: stores.runs,
        analytics: stores.analytics,
        answering: answering(stores),
        dags,
        clock,
        ...windows,
        ...windowOf(context),
      }),
    );
  };
  return { route: "/pipeline/anomalies", scope: "read", handle };
}

function windowOf(context: Context): { days?: number } {
  const { days } = Query.parse(context.req.queries());
  return days === undefined ? {} : { days: Number(days[0]) };
}

function respond(body: object): Response {
  return Response.json(body, { headers: { "cache-control": "no-store" } });
}
