import { z } from "../../deps.ts";
import type { Clock } from "../../lib/core/clock.ts";
import { ParleyError } from "../../lib/core/errors.ts";
import type { JsonObject } from "../../lib/core/types.ts";
import { retryRun } from "../../lib/dag/clear.ts";
import { CLEARABLE, clearRuns, runsToClear } from "../../lib/dag/clear_runs.ts";
import { markRun, MARKS } from "../../lib/dag/mark.ts";
import { acknowledger } from "../../lib/monitoring/acknowledge.ts";
import type { Dag } from "../../lib/dag/define.ts";
import { summarizeMapped } from "../../lib/dag/mapped_summary.ts";
import { noSuchDag, requestRun } from "../../lib/dag/runs.ts";
import {
  type AttemptRecord,
  instanceId,
  RUN_STATES,
  RUN_TRIGGERS,
  type RunRecord,
  type RunStore,
  statusOf,
  TASK_STATES,
  taskInstance,
} from "../../lib/stores/runs/port.ts";
import { apiEndpoint } from "../http/api_endpoint.ts";
import { cursorParameter, NEXT, pageOf, partsOf } from "../http/cursor.ts";
import { callerKey } from "../http/endpoint.ts";
import { idParameter, queryOf, wholeNumber } from "../http/parameters.ts";

export interface RunOptions {
  readonly stores: { readonly runs: RunStore };
  readonly clock: Clock;
  /** The dags that can be run, by id. Default none. */
  readonly runnable?: ReadonlyMap<string, Dag<never>>;
}

const TIME = z.iso.datetime();
const MAX_BYTES = 64 * 1_024;
const PER_PAGE = 50;
const NO_RUN = "there is no such run";

/** A run, as `bodyOf()` makes it. */
const RUN = z.lazy(() =>
  z.object({
    run_id: z.string(),
    dag_id: z.string(),
    state: z.enum([...RUN_STATES, "skipped", "interrupted"]).describe(
      "`skipped`: it succeeded without anything to do. `interrupted`: its process died; another one continues it.",
    ),
    trigger: z.enum(RUN_TRIGGERS),
    backfill_id: z.string().nullable(),
    logical_date: TIME,
    params: z.record(z.string(), z.unknown()),
    created_at: TIME,
    started_at: TIME.nullable(),
    ended_at: TIME.nullable(),
    error: z.string().nullable().describe(
      "Why it failed, or why every task of a successful run was skipped.",
    ),
    cancel_requested: z.boolean(),
  }).meta({ id: "Run" })
);

/** A run with its tasks, as `detailsOf()` makes it. */
const RUN_DETAILS = z.lazy(() => {
  const count = z.int().min(0);
  const task = z.object({
    task_id: z.string(),
    map_index: count.nullable().describe(
      "Of an instance of a mapped task: the index of its item. Null for the task itself.",
    ),
    mapped: z.partialRecord(z.enum(TASK_STATES), count).nullable().describe(
      "Of a mapped task that has its instances: how many are in each state.",
    ),
    state: z.enum(TASK_STATES),
    attempts: count,
    started_at: TIME.nullable(),
    ended_at: TIME.nullable(),
    error: z.string().nullable(),
    rows_in: count,
    rows_out: count,
    quarantined: count,
  }).meta({
    id: "TaskOfRun",
    description:
      "Times and rows are those of its newest attempt; of a mapped task, those of all its instances.",
  });
  const runNote = z.object({
    task_id: z.string().nullable().meta({ description: "Null if it is about the run." }),
    action: z.enum(["success", "failed", "cleared"]).meta({
      description: "`success` or `failed`: it was marked as that. `cleared`: it ran again.",
    }),
    by: z.string(),
    note: z.string(),
    at: TIME,
  }).meta({ id: "RunNote", description: "What an operator did to the run." });
  return z.object({ ...RUN.def.getter().shape, tasks: z.array(task), notes: z.array(runNote) }).meta({
    id: "RunDetails",
  });
});

/** Statuses of runs: those of `GET /pipeline/runs?state=`, which the store knows. */
const STATE_RULE = `state must be one of ${RUN_STATES.join(", ")}, given once`;

export const listRuns = apiEndpoint({
  method: "GET",
  route: "/pipeline/runs",
  scope: "read",
  operation: "listRuns",
  tag: "pipeline",
  summary: "Runs, newest first",
  query: queryOf({
    dag: idParameter("dag", "Only runs of this dag.").exactOptional(),
    state: z.enum(RUN_STATES, STATE_RULE).describe("Only runs in this state.").exactOptional(),
    limit: wholeNumber("limit", {
      min: 1,
      max: 200,
      default: PER_PAGE,
      description: "At most so many runs.",
    }),
    cursor: cursorParameter,
  }),
  responses: {
    200: {
      description: "A page of runs.",
      schema: z.lazy(() =>
        z.object({
          runs: z.array(RUN),
          next: NEXT,
        }).meta({ id: "RunPage" })
      ),
    },
  },
  errors: [503],
  handler: ({ stores: { runs }, clock }: RunOptions) => async ({ query: { dag, state, limit, cursor } }) => {
    const [created_at = "", run_id = ""] = cursor === undefined ? [] : partsOf(cursor, 2);
    const found = await runs.runs({
      ...dag !== undefined && { dag_id: dag },
      ...state !== undefined && { states: [state] },
      ...cursor !== undefined && { after: { created_at, run_id } },
      limit: limit + 1,
    });
    const { page, next } = pageOf(found, limit, (last) => [last.created_at, last.run_id]);
    return respond({ runs: page.map((run) => bodyOf(run, clock.now())), next });
  },
});

const NewRun = z.strictObject({
  dag_id: z.string("dag_id must be the id of a dag"),
  params: z.record(z.string(), z.unknown(), "params must be an object").default({}),
}, {
  error: (issue) =>
    issue.code === "unrecognized_keys"
      ? "only dag_id and params are known"
      : 'the body must be {"dag_id", "params"}',
});

export const startRun = apiEndpoint({
  method: "POST",
  route: "/pipeline/runs",
  scope: "admin",
  operation: "startRun",
  tag: "pipeline",
  summary: "Queue a run",
  description:
    "A scheduler, or `deno task pipeline work`, executes it. A param that names files or models takes only those that the " +
    "settings of the service name; some params can be given on the command line alone.",
  body: { schema: NewRun, max_bytes: MAX_BYTES },
  responses: {
    201: {
      description: "The run is queued.",
      schema: RUN,
      headers: { Location: "The path of the run." },
    },
  },
  errors: [503],
  handler: ({ stores: { runs }, clock, runnable = new Map() }: RunOptions) =>
  async (
    { body: { dag_id, params }, note },
  ) => {
    const dag = runnable.get(dag_id);
    if (dag === undefined) throw noSuchDag([...runnable.keys()]);
    const run = await requestRun({ dag, runs, clock, params: params as JsonObject });
    note.facts = { dag_id, run_id: run.run_id };
    const location = `/pipeline/runs/${encodeURIComponent(run.run_id)}`;
    return respond(bodyOf(run, clock.now()), { status: 201, headers: { location } });
  },
});

const PARAMS = z.object({ run_id: idParameter("run_id", "The run.") });

export const readRun = apiEndpoint({
  method: "GET",
  route: "/pipeline/runs/:run_id",
  scope: "read",
  operation: "getRun",
  tag: "pipeline",
  summary: "A run with its tasks",
  params: PARAMS,
  responses: { 200: { description: "The run.", schema: RUN_DETAILS } },
  errors: [404, 503],
  handler: ({ stores: { runs }, clock }: RunOptions) => async ({ params: { run_id } }) =>
    respond(await detailsOf(runs, run_id, clock.now())),
});

/** JSON, since a page of another site can send a form to an open service, but not JSON. */
export const NO_FIELDS = z.strictObject({}, "the body must be {}");

export const cancelRun = apiEndpoint({
  method: "POST",
  route: "/pipeline/runs/:run_id/cancel",
  scope: "admin",
  operation: "cancelRun",
  tag: "pipeline",
  summary: "Cancel a run",
  description: "A queued run ends at once, a running one when its process notices. 409 if it has ended.",
  params: PARAMS,
  body: { schema: NO_FIELDS, max_bytes: MAX_BYTES },
  responses: { 202: { description: "The run, which ends.", schema: RUN_DETAILS } },
  errors: [404, 409, 503],
  handler: ({ stores: { runs }, clock }: RunOptions) => async ({ params: { run_id }, note }) => {
    const isCancelling = await runs.requestCancel({ run_id });
    const found = await detailsOf(runs, run_id, clock.now());
    if (!isCancelling) throw new ParleyError("conflict", "the run has ended");
    note.facts = { run_id };
    return respond(found, { status: 202 });
  },
});

const Retry = z.strictObject({
  task_id: z.string("task_id must be a text").exactOptional(),
  map_index: z.int("map_index must be a whole number").min(0, "map_index must be 0 or more").exactOptional(),
}, {
  error: (issue) =>
    issue.code === "unrecognized_keys"
      ? "only task_id and map_index are known"
      : 'the body must be {}, {"task_id"} or {"task_id", "map_index"}',
}).refine(
  ({ task_id, map_index }) => task_id !== undefined || map_index === undefined,
  "map_index needs task_id",
);

export const retryFailed = apiEndpoint({
  method: "POST",
  route: "/pipeline/runs/:run_id/retry",
  scope: "admin",
  operation: "retryRun",
  tag: "pipeline",
  summary: "Run what failed in a run again",
  description:
    "The run is queued again with the tasks that failed, or with the task `task_id` and all that need it; with `map_index`, " +
    "with that instance of it alone and all that need it. 409 if nothing has failed, or if the run has not ended.",
  params: PARAMS,
  body: { schema: Retry, max_bytes: MAX_BYTES },
  responses: {
    202: {
      description: "The run is queued.",
      schema: z.lazy(() =>
        z.object({
          run: RUN_DETAILS,
          cleared: z.array(z.string()).describe(
            "Its tasks that run again; an instance of a mapped task as `embed[3]`.",
          ),
        })
          .meta({ id: "RetriedRun" })
      ),
    },
  },
  errors: [404, 409, 503],
  handler: ({ stores: { runs }, clock, runnable = new Map() }: RunOptions) =>
  async (
    { params: { run_id }, body, note },
  ) => {
    const { task_id, map_index } = body;
    const task = task_id === undefined || map_index === undefined ? task_id : instanceId(task_id, map_index);
    const { cleared } = await retryRun({
      dags: runnable,
      runs,
      clock,
      run_id,
      ...task !== undefined && { task },
    });
    note.facts = { run_id, tasks: cleared };
    const run = await detailsOf(runs, run_id, clock.now());
    return respond({ run, cleared }, { status: 202 });
  },
});

const MARK_FIELDS = 'the body must be {"state"}, with task_id, note and by if needed';
const NOTE = {
  note: z.string("note must be a text").max(1_000, "note has at most 1,000 characters").default("").meta({
    description: "Why. It is shown in the run.",
  }),
  by: z.string("by must be a text").default("").meta({ description: "Who does it, in addition to the key." }),
};
const MarkRun = z.strictObject({
  state: z.enum(MARKS, `state must be one of ${MARKS.join(", ")}`),
  task_id: z.string("task_id must be a text").exactOptional().meta({ description: "Default: the run." }),
  ...NOTE,
}, MARK_FIELDS);

/** `POST /pipeline/runs/:run_id/mark` with `{ state, task_id?, note?, by? }`. */
export const markEndedRun = apiEndpoint({
  method: "POST",
  route: "/pipeline/runs/:run_id/mark",
  scope: "admin",
  operation: "markRun",
  tag: "pipeline",
  summary: "Mark an ended run, or one of its tasks, as successful or failed",
  description:
    "If a task is marked as successful, what did not run because of it runs now. `notes` of the run say who did it. 409 if the run has " +
    "not ended.",
  params: PARAMS,
  body: { schema: MarkRun, max_bytes: MAX_BYTES },
  responses: { 200: { description: "The run.", schema: RUN_DETAILS } },
  errors: [404, 409, 503],
  handler:
    ({ stores: { runs }, clock, runnable = new Map() }: RunOptions) =>
    async ({ params: { run_id }, body: { task_id, state, note: text, by: name }, note }) => {
      const by = acknowledger({ name, key: callerKey(note) });
      const task = task_id === undefined ? {} : { task: task_id };
      await markRun({ dags: runnable, runs, clock, run_id, state, by, note: text, ...task });
      note.facts = { run_id, state, ...task_id !== undefined && { task_id } };
      return respond(await detailsOf(runs, run_id, clock.now()));
    },
});

const DAY = z.iso.date("must be a day, such as 2026-05-01");
const ClearRuns = z.strictObject({
  dag_id: z.string("dag_id must be the id of a dag"),
  states: z.array(z.enum(CLEARABLE, `states are ${CLEARABLE.join(", ")}`)).min(1).default(["failed"]),
  from: DAY.exactOptional().meta({ description: "The first logical date, in UTC." }),
  to: DAY.exactOptional().meta({ description: "The last one." }),
  all_tasks: z.boolean("all_tasks must be true or false").default(false).meta({
    description:
      "All tasks run again; default: those that failed, and those that did not run because of them.",
  }),
  max_active: z.int().min(1).max(100).default(1).meta({
    description: "How many of the runs may be in progress at one time.",
  }),
  dry_run: z.boolean("dry_run must be true or false").default(false).meta({
    description: "Only names the runs.",
  }),
  ...NOTE,
});

/** `POST /pipeline/clear` with `{ dag_id, states?, from?, to?, … }`. */
export const clearManyRuns = apiEndpoint({
  method: "POST",
  route: "/pipeline/clear",
  scope: "admin",
  operation: "clearRuns",
  tag: "pipeline",
  summary: "Run what failed in many runs again",
  description:
    "Clears the ended runs of a dag in these states and days, at most 366. They become one backfill: they run after all other runs that " +
    "are queued, and `POST /pipeline/backfills/{backfill_id}/cancel` cancels them. `backfill_id` is null if there was nothing to clear, or in a dry run.",
  body: { schema: ClearRuns, max_bytes: MAX_BYTES },
  responses: {
    200: {
      description: "The runs.",
      schema: z.lazy(() =>
        z.object({ backfill_id: z.string().nullable(), run_ids: z.array(z.string()) }).meta({
          id: "ClearedRuns",
        })
      ),
    },
  },
  errors: [503],
  handler: ({ stores: { runs }, clock, runnable = new Map() }: RunOptions) => async ({ body, note }) => {
    const { dag_id, dry_run, by: name, ...rest } = body;
    const dag = runnable.get(dag_id);
    if (dag === undefined) throw noSuchDag([...runnable.keys()]);
    const order = { ...rest, by: acknowledger({ name, key: callerKey(note) }) };
    const options = { dag, runs, clock, order };
    if (dry_run) {
      const found = await runsToClear(options);
      return respond({ backfill_id: null, run_ids: found.map(({ run_id }) => run_id) });
    }
    const cleared = await clearRuns(options);
    note.facts = { dag_id, backfill_id: cleared.backfill_id, runs: cleared.run_ids.length };
    return respond(cleared);
  },
});

function bodyOf(run: RunRecord, now: number) {
  const { dag_version: _version, occurrence: _occurrence, ...rest } = run;
  const { interval_start: _start, interval_end: _end, lease_until: _until, ...body } = rest;
  return { ...body, state: statusOf(run, now) };
}

async function detailsOf(runs: RunStore, run_id: string, now: number) {
  const [snapshot, notes] = await Promise.all([runs.snapshot({ run_id }), runs.runNotes({ run_id })]);
  if (snapshot === null) throw new ParleyError("not_found", NO_RUN);
  const { run, tasks, attempts } = snapshot;
  const newest = new Map<string, AttemptRecord>(attempts.map((attempt) => [attempt.task_id, attempt]));
  const mapped = summarizeMapped({ tasks, attempts });
  return {
    ...bodyOf(run, now),
    notes,
    tasks: tasks.map(({ task_id: id, state, attempts, error }) => {
      const summary = mapped.get(id);
      const { started_at = null, ended_at = null, rows_in = 0, rows_out = 0, quarantined = 0 } = summary ??
        newest.get(id) ?? {};
      return {
        ...taskInstance(id),
        mapped: summary?.counts ?? null,
        state,
        attempts: summary?.attempts ?? attempts,
        started_at,
        ended_at,
        error,
        rows_in,
        rows_out,
        quarantined,
      };
    }),
  };
}

/** A JSON answer that is not cached. */
export function respond(
  body: object,
  { status = 200, headers = {} }: { status?: number; headers?: HeadersInit } = {},
) {
  return Response.json(body, { status, headers: { ...headers, "cache-control": "no-store" } });
}
