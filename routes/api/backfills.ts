import { z } from "../../deps.ts";
import { ParleyError } from "../../lib/core/errors.ts";
import type { JsonObject } from "../../lib/core/types.ts";
import { backfillOf, cancelBackfill, planBackfill, startBackfill } from "../../lib/dag/backfill.ts";
import { checkRemoteParams, noSuchDag } from "../../lib/dag/runs.ts";
import { REPROCESS, RUN_STATES } from "../../lib/stores/runs/port.ts";
import { apiEndpoint } from "../http/api_endpoint.ts";
import { idParameter, queryOf } from "../http/parameters.ts";
import { NO_FIELDS, respond, type RunOptions } from "./runs.ts";

const TIME = z.iso.datetime();
const DAY = z.iso.date("must be a day, such as 2026-05-01");
const MAX_BYTES = 64 * 1_024;
const MAX_LISTED = 100;
const count = z.int().min(0);

const BACKFILL = z.lazy(() =>
  z.object({
    backfill_id: z.string(),
    dag_id: z.string(),
    from_day: z.iso.date(),
    to_day: z.iso.date(),
    reprocess: z.enum(REPROCESS),
    max_active: z.int().min(1),
    backwards: z.boolean(),
    created_at: TIME,
    cancelled_at: TIME.nullable(),
    runs: z.object(Object.fromEntries(RUN_STATES.map((state) => [state, count]))).describe(
      "Its runs, counted by state.",
    ),
  }).meta({ id: "Backfill" })
);

const PLANNED = z.lazy(() =>
  z.array(
    z.object({
      run_id: z.string(),
      logical_date: TIME,
      action: z.enum(["create", "run again", "leave"]),
      state: z.enum(RUN_STATES).nullable().describe("The state of its run; null if it has no run yet."),
    }),
  ).meta({ id: "BackfillPlan", description: "In the order in which the runs start." })
);

const NewBackfill = z.strictObject({
  dag_id: z.string("dag_id must be the id of a dag"),
  from: DAY,
  to: DAY,
  reprocess: z.enum(REPROCESS, `reprocess must be one of ${REPROCESS.join(", ")}`).default("none").describe(
    "Which occurrences run again whose run has ended: none, those that failed, or all.",
  ),
  max_active: z.int().min(1).max(100).default(1).describe(
    "How many of its runs may be in progress at one time. Dags that publish run one at a time in any case.",
  ),
  backwards: z.boolean("backwards must be true or false").default(false).describe("The newest day first."),
  dry_run: z.boolean("dry_run must be true or false").default(false).describe("Only answers the plan."),
  params: z.record(z.string(), z.unknown(), "params must be an object").default({}),
});

export const startBackfillRuns = apiEndpoint({
  method: "POST",
  route: "/pipeline/backfills",
  scope: "admin",
  operation: "startBackfill",
  tag: "pipeline",
  summary: "Queue the runs of past days",
  description:
    "Queues a run for each time that the dag was due from one day to another, in the zone of its schedule, at most 366. They run " +
    "after all other runs that are queued. Asked again, it adds what is missing. `backfill_id` is null if nothing was to be done, or " +
    "in a dry run.",
  body: { schema: NewBackfill, max_bytes: MAX_BYTES },
  responses: {
    200: {
      description: "What it does with each occurrence.",
      schema: z.lazy(() =>
        z.object({ backfill_id: z.string().nullable(), plan: PLANNED }).meta({ id: "StartedBackfill" })
      ),
    },
  },
  errors: [503],
  handler: ({ stores: { runs }, clock, runnable = new Map() }: RunOptions) => async ({ body, note }) => {
    const { dag_id, dry_run, params, ...order } = body;
    const dag = runnable.get(dag_id);
    if (dag === undefined) throw noSuchDag([...runnable.keys()]);
    await checkRemoteParams(dag, params as JsonObject);
    const options = { dag, runs, clock, order: { ...order, params: params as JsonObject } };
    if (dry_run) return respond({ backfill_id: null, plan: await planBackfill(options) });
    const { backfill_id, planned } = await startBackfill(options);
    note.facts = { dag_id, backfill_id };
    return respond({ backfill_id, plan: planned });
  },
});

export const listBackfills = apiEndpoint({
  method: "GET",
  route: "/pipeline/backfills",
  scope: "read",
  operation: "listBackfills",
  tag: "pipeline",
  summary: "The newest backfills with their progress",
  query: queryOf({ dag: idParameter("dag", "Only backfills of this dag.").exactOptional() }),
  responses: {
    200: {
      description: `At most ${MAX_LISTED}, newest first.`,
      schema: z.lazy(() => z.object({ backfills: z.array(BACKFILL) }).meta({ id: "BackfillList" })),
    },
  },
  errors: [503],
  handler: ({ stores: { runs } }: RunOptions) => async ({ query: { dag } }) =>
    respond({
      backfills: await runs.backfills({ ...dag !== undefined && { dag_id: dag }, limit: MAX_LISTED }),
    }),
});

const PARAMS = z.object({ backfill_id: idParameter("backfill_id", "The backfill.") });

export const readBackfill = apiEndpoint({
  method: "GET",
  route: "/pipeline/backfills/:backfill_id",
  scope: "read",
  operation: "getBackfill",
  tag: "pipeline",
  summary: "A backfill with its progress",
  params: PARAMS,
  responses: { 200: { description: "The backfill.", schema: BACKFILL } },
  errors: [404, 503],
  handler: ({ stores: { runs } }: RunOptions) => async ({ params: { backfill_id } }) =>
    respond(await backfillOf(runs, backfill_id)),
});

export const cancelBackfillRuns = apiEndpoint({
  method: "POST",
  route: "/pipeline/backfills/:backfill_id/cancel",
  scope: "admin",
  operation: "cancelBackfill",
  tag: "pipeline",
  summary: "Cancel a backfill",
  description:
    "Its queued runs end at once, those in progress when their process notices. 409 if all have ended.",
  params: PARAMS,
  body: { schema: NO_FIELDS, max_bytes: MAX_BYTES },
  responses: { 202: { description: "The backfill, which ends.", schema: BACKFILL } },
  errors: [404, 409, 503],
  handler: ({ stores: { runs }, clock }: RunOptions) => async ({ params: { backfill_id }, note }) => {
    const cancelled = await cancelBackfill({ runs, clock, backfill_id });
    if (cancelled === 0) throw new ParleyError("conflict", "all runs of the backfill have ended");
    note.facts = { backfill_id, runs: cancelled };
    return respond(await backfillOf(runs, backfill_id), { status: 202 });
  },
});
