import { type Context, z } from "../../deps.ts";
import { withTimeout } from "../../lib/core/abort.ts";
import type { Clock } from "../../lib/core/clock.ts";
import { acknowledge, acknowledger } from "../../lib/monitoring/acknowledge.ts";
import {
  acknowledgementsOf,
  type Anomalies,
  type AnomalyOptions,
  detectAnomalies,
  findAnomalies,
  type Findings,
  judge,
} from "../../lib/monitoring/anomalies.ts";
import { indexAnomalies } from "../../lib/monitoring/index_anomalies.ts";
import type { ApiKey, ServingSpan } from "../../lib/core/types.ts";
import { pipelineRunSummary } from "../../lib/monitoring/pipeline_run_summary.ts";
import type { WatchedDag, WatchedRuns } from "../../lib/monitoring/run_history.ts";
import type { EventStore } from "../../lib/stores/analytics/port.ts";
import type { AcknowledgementStore } from "../../lib/stores/runs/port.ts";
import { keyOf } from "../http/auth.ts";
import { jsonBody } from "../http/body.ts";
import type { Endpoint } from "../http/endpoint.ts";
import { MAX_WAIT_MS, type ReadyStores, storesRespond } from "./health.ts";
import { HttpError, UNKNOWN_PARAMETERS } from "../http/problem.ts";
import { cachedRead, type ReadResult, tryRead } from "../http/try_read.ts";

const DAYS_RULE = "days must be a whole number from 1 to 365, given once";
const Query = z.strictObject({
  days: z.array(z.string().regex(/^([1-9]\d?|[12]\d\d|3[0-5]\d|36[0-5])$/, DAYS_RULE)).length(1, DAYS_RULE)
    .optional(),
}, UNKNOWN_PARAMETERS);

/** What the pipeline's endpoints read. */
export interface PipelineView {
  readonly stores: ReadyStores & {
    readonly runs: WatchedRuns & Pick<AcknowledgementStore, "acknowledge" | "unacknowledge">;
    readonly analytics: Pick<EventStore, "daily">;
  };
  /** The dags to watch. Default none. */
  readonly dags?: readonly WatchedDag[];
  readonly clock: Clock;
  /** What this process has served, by minute; without it, serving is not checked. */
  readonly serving?: () => readonly ServingSpan[];
}

/** `GET /pipeline/summary?days=30`: what each dag and stage did, as a `PipelineSummary` (lib/monitoring/pipeline_run_summary.ts). */
export function pipelineSummary({ stores, dags = [], clock }: PipelineView): Endpoint {
  const handle = async (context: Context) =>
    respond(await pipelineRunSummary({ ...stores, dags, clock, ...windowOf(context) }));
  return { route: "/pipeline/summary", scope: "read", handle };
}

/**
 * `GET /pipeline/anomalies?days=90`: open and past anomalies, as `Anomalies` (lib/monitoring/anomalies.ts). Whether the
 * stores agree comes from the `check` of the last run: a request counts no rows.
 */
export function pipelineAnomalies({ stores, dags = [], clock, serving }: PipelineView): Endpoint {
  const handle = async (context: Context) => {
    const days = windowOf(context);
    return respond(
      await detectAnomalies({ ...watched({ stores, dags, clock, ...serving && { serving } }), ...days }),
    );
  };
  return { route: "/pipeline/anomalies", scope: "read", handle };
}

/** What the API and the pages check for anomalies. */
export function watched({ stores, dags = [], clock, serving }: PipelineView): AnomalyOptions {
  const { runs, analytics } = stores;
  const served = serving === undefined ? {} : { serving: serving() };
  const indexes = (now: number) => withTimeout(MAX_WAIT_MS, () => indexAnomalies(stores, now));
  return { runs, analytics, answering: storesRespond(stores), indexes, dags, clock, ...served };
}

/** All anomalies, open and past, from the cache that pages and scrapes share. */
export function readAnomalies(view: PipelineView): Promise<ReadResult<Anomalies>> {
  return withAcknowledged(view, cachedRead(view, "anomalies", () => findAnomalies(watched(view))));
}

/** Adds what is acknowledged now: the findings may come from a cache. */
export async function withAcknowledged(
  { stores, clock }: Pick<PipelineView, "stores" | "clock">,
  finding: Promise<ReadResult<Findings>>,
): Promise<ReadResult<Anomalies>> {
  const [findings, acknowledgements] = await Promise.all([
    finding,
    tryRead(() => acknowledgementsOf(stores.runs)),
  ]);
  if (findings.value === null) return findings;
  return { value: judge(findings.value, acknowledgements.value ?? [], clock.now()), error: null };
}

const Acknowledge = z.strictObject({
  id: z.string("id must be the id of an open anomaly"),
  until: z.string("until must be a text such as 8h, or null").nullable(),
  by: z.string("by must be a text").default(""),
}, {
  error: (issue) =>
    issue.code === "unrecognized_keys"
      ? "only id, until and by are known"
      : 'the body must be {"id", "until"}',
});
const MAX_BYTES = 4_096;

/**
 * `POST /pipeline/anomalies/acknowledge` with `{ id, until, by? }`: acknowledges an open anomaly until then
 * (`8h`, `7d` or an ISO time); `by` names a person. Answers with the `Acknowledgement` (lib/stores/runs/port.ts). With
 * `until` null it removes an acknowledgement and answers 204.
 */
export function acknowledgeAnomaly(
  { keys, ...view }: PipelineView & { readonly keys: readonly ApiKey[] },
): Endpoint {
  const handle = async (context: Context) => {
    // A page of another site can send a form or text to an open service, but not JSON.
    if (!context.req.header("content-type")?.startsWith("application/json")) {
      throw new HttpError(400, "invalid", "send the body as application/json");
    }
    const { id, until, by } = Acknowledge.parse(await jsonBody(context, MAX_BYTES));
    const { runs } = view.stores;
    if (until === null) {
      if (await runs.unacknowledge({ anomaly_id: id })) return new Response(null, { status: 204 });
      throw new HttpError(404, "not_found", "no acknowledgement has this id");
    }
    const { open } = await detectAnomalies(watched(view));
    const who = acknowledger({ name: by, key: keyOf(context, keys) });
    return respond(await acknowledge({ runs, open, clock: view.clock, id, until, by: who }));
  };
  return { route: "/pipeline/anomalies/acknowledge", scope: "admin", handle };
}

function windowOf(context: Context): { days?: number } {
  const { days } = Query.parse(context.req.queries());
  return days === undefined ? {} : { days: Number(days[0]) };
}

function respond(body: object): Response {
  return Response.json(body, { headers: { "cache-control": "no-store" } });
}
