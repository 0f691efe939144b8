import { z } from "../../deps.ts";
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
import { ANOMALY } from "../../lib/monitoring/anomaly.ts";
import { HEALTH_STATUSES } from "../../lib/monitoring/health.ts";
import { indexAnomalies } from "../../lib/monitoring/index_anomalies.ts";
import type { ServingSpan } from "../../lib/core/types.ts";
import { pipelineRunSummary } from "../../lib/monitoring/pipeline_run_summary.ts";
import type { DagFault } from "../../lib/monitoring/dag_faults.ts";
import { LOOK_BACK_DAYS, type WatchedDag, type WatchedRuns } from "../../lib/monitoring/run_history.ts";
import type { EventStore } from "../../lib/stores/analytics/port.ts";
import { type AcknowledgementStore, RUN_STATES, TASK_STATES } from "../../lib/stores/runs/port.ts";
import { apiEndpoint } from "../http/api_endpoint.ts";
import { callerKey } from "../http/endpoint.ts";
import { MAX_WAIT_MS, type ReadyStores, storesRespond } from "./health.ts";
import { queryOf, wholeNumber } from "../http/parameters.ts";
import { HttpError } from "../http/problem.ts";
import { cachedRead, type ReadResult, tryRead } from "../http/try_read.ts";

/** The query of both: `default_days` is how far back they look otherwise. */
const daysQuery = (default_days: number) =>
  queryOf({
    days: wholeNumber("days", {
      min: 1,
      max: 365,
      default: default_days,
      description: "How many days back to look.",
    }),
  });

const TIME = z.iso.datetime();

/** `PipelineSummary` of lib/monitoring/pipeline_run_summary.ts. */
const PIPELINE_SUMMARY = z.lazy(() => {
  const count = z.int().min(0);
  const share = z.number().min(0).max(1).nullable();
  const outcomes = {
    runs: count.describe("Runs that ended in success or failure, except those that had nothing to do."),
    success_rate: share,
    last_success: TIME.nullable(),
    freshness_s: count.nullable().describe("Age of that success in seconds."),
    durations: z.object({
      count,
      p50_ms: z.number().nullable(),
      p95_ms: z.number().nullable(),
      trend: z.number().nullable().describe(
        "How much the newer half differs from the older half, as a share of the older median: 0.1 is 10 % " +
          "slower. Null with fewer than eight.",
      ),
    }).meta({ id: "Durations" }),
    quarantined: count,
    quarantined_share: z.number().min(0).nullable().describe("Of the rows that came in."),
    retries: count.describe("Attempts after the first one."),
    lost: count.describe("Attempts whose process died."),
    rows_in: count,
  };
  const stage = z.object({
    task_id: z.string(),
    ...outcomes,
    rows_out: count,
    last_state: z.enum(TASK_STATES).nullable(),
  }).meta({ id: "StageSummary" });
  const last_run = z.object({
    run_id: z.string(),
    state: z.enum([...RUN_STATES, "skipped", "interrupted"]),
    created_at: TIME,
    ended_at: TIME.nullable(),
    ms: z.number().nullable(),
    error: z.string().nullable(),
  });
  const dag = z.object({
    dag_id: z.string(),
    ...outcomes,
    last_run: last_run.nullable(),
    stages: z.array(stage).describe("In the order of the dag; tasks that it no longer has come last."),
    truncated: z.boolean().describe(
      "Whether there were more runs than are read: the window is then shorter than asked.",
    ),
  }).meta({ id: "DagSummary" });
  const published = z.object({
    version: z.int(),
    previous: z.int().nullable(),
    run_id: z.string(),
    model: z.string(),
    at: TIME,
    age_s: count,
  });
  return z.object({
    generated_at: TIME,
    since: TIME,
    published: published.nullable().describe("Null if nothing is published, and if that cannot be read."),
    degraded: z.array(z.literal("analytics")).describe("Stores that could not be read."),
    dags: z.array(dag),
  }).meta({ id: "PipelineSummary" });
});

const ACKNOWLEDGED = { by: z.string(), at: TIME, until: TIME };

/** `Anomalies` of lib/monitoring/anomalies.ts. */
const ANOMALIES = z.lazy(() => {
  const count = z.int().min(0);
  const anomaly = z.object(ANOMALY.def.innerType.shape).meta({ id: "Anomaly" });
  const open = z.object({
    ...anomaly.shape,
    id: z.string().describe("By which it is acknowledged."),
    acknowledged: z.object(ACKNOWLEDGED).nullable().describe("Null while it counts."),
  }).meta({ id: "OpenAnomaly" });
  const health = z.object({
    status: z.enum(HEALTH_STATUSES),
    cause: z.string().describe("Why it is so, in one line."),
    next_step: z.string().describe("What to do, with commands in backquotes; empty without any."),
    anomaly_id: z.string().nullable(),
    run_id: z.string().nullable(),
    critical: count,
    warnings: count,
    acknowledged: count,
  }).meta({ id: "Health", description: "The worst of what counts. The numbers are of open anomalies." });
  return z.object({
    generated_at: TIME,
    since: TIME,
    health,
    open: z.array(open).describe("What holds now, most severe first, then what of it is acknowledged."),
    past: z.array(anomaly).describe("What held in the window and no longer does, newest first."),
  }).meta({ id: "Anomalies" });
});

/** What the pipeline's endpoints read. */
export interface PipelineView {
  readonly stores: ReadyStores & {
    readonly runs: WatchedRuns & Pick<AcknowledgementStore, "acknowledge" | "unacknowledge">;
    readonly analytics: Pick<EventStore, "daily">;
  };
  /** The dags to watch. Default none. */
  readonly dags?: readonly WatchedDag[];
  /** What cannot be used of the user's own dags. Default nothing. */
  readonly dag_faults?: readonly DagFault[];
  readonly clock: Clock;
  /** What this process has served, by minute; without it, serving is not checked. */
  readonly serving?: () => readonly ServingSpan[];
}

export const pipelineSummary = apiEndpoint({
  method: "GET",
  route: "/pipeline/summary",
  scope: "read",
  operation: "getPipelineSummary",
  tag: "pipeline",
  summary: "What each dag and stage did",
  query: daysQuery(30),
  responses: { 200: { description: "The summary.", schema: PIPELINE_SUMMARY } },
  errors: [503],
  handler: ({ stores, dags = [], clock }: PipelineView) => async ({ query }) =>
    respond(await pipelineRunSummary({ ...stores, dags, clock, ...query })),
});

/**
 * `GET /pipeline/anomalies?days=90`. Whether the stores agree comes from the `check` of the last run: a request counts no
 * rows.
 */
export const pipelineAnomalies = apiEndpoint({
  method: "GET",
  route: "/pipeline/anomalies",
  scope: "read",
  operation: "getAnomalies",
  tag: "pipeline",
  summary: "The health, with open and past anomalies",
  query: daysQuery(LOOK_BACK_DAYS),
  responses: { 200: { description: "The health and the anomalies.", schema: ANOMALIES } },
  handler: (view: PipelineView) => async ({ query }) =>
    respond(await detectAnomalies({ ...watched(view), ...query })),
});

/** What the API and the pages check for anomalies. */
export function watched(
  { stores, dags = [], dag_faults = [], clock, serving }: PipelineView,
): AnomalyOptions {
  const { runs, analytics } = stores;
  const served = serving === undefined ? {} : { serving: serving() };
  const indexes = (now: number) => withTimeout(MAX_WAIT_MS, () => indexAnomalies(stores, now));
  return { runs, analytics, answering: storesRespond(stores), indexes, dags, dag_faults, clock, ...served };
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

export const acknowledgeAnomaly = apiEndpoint({
  method: "POST",
  route: "/pipeline/anomalies/acknowledge",
  scope: "admin",
  operation: "acknowledgeAnomaly",
  tag: "pipeline",
  summary: "Acknowledge an open anomaly",
  description:
    "The anomaly is still listed, with the name in `by`, but it does not affect the health until `until` (`30m`, " +
    "`8h`, `7d` or an ISO time within 90 days), or until it begins again. `until` null withdraws an acknowledgement.",
  body: { schema: Acknowledge, max_bytes: MAX_BYTES },
  responses: {
    200: {
      description: "The acknowledgement.",
      schema: z.lazy(() =>
        z.object({ anomaly_id: z.string(), since: TIME, ...ACKNOWLEDGED }).meta({ id: "Acknowledgement" })
      ),
    },
    204: { description: "The acknowledgement is withdrawn." },
  },
  errors: [404, 503],
  handler: (view: PipelineView) => async ({ body, note }) => {
    const { id, until, by } = body;
    const { runs } = view.stores;
    if (until === null) {
      if (await runs.unacknowledge({ anomaly_id: id })) {
        note.facts = { anomaly_id: id, until };
        return new Response(null, { status: 204 });
      }
      throw new HttpError(404, "not_found", "no acknowledgement has this id");
    }
    const { open } = await detectAnomalies(watched(view));
    const who = acknowledger({ name: by, key: callerKey(note) });
    const acknowledgement = await acknowledge({ runs, open, clock: view.clock, id, until, by: who });
    note.facts = { anomaly_id: id, until: acknowledgement.until };
    return respond(acknowledgement);
  },
});

function respond(body: object): Response {
  return Response.json(body, { headers: { "cache-control": "no-store" } });
}
