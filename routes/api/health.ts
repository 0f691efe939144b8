import { type Context, z } from "../../deps.ts";
import { withTimeout } from "../../lib/core/abort.ts";
import { type Clock, iso } from "../../lib/core/clock.ts";
import { causeOf, ParleyError, reasonOf } from "../../lib/core/errors.ts";
import { groupShared } from "../../lib/core/shared_server.ts";
import { round } from "../../lib/core/round.ts";
import type { ApiKey, Health, Published } from "../../lib/core/types.ts";
import { emptiedStore, type RefillableStores } from "../../lib/monitoring/emptied_store.ts";
import type { Anomaly } from "../../lib/monitoring/anomaly.ts";
import { indexAnomalies } from "../../lib/monitoring/index_anomalies.ts";
import type { WarmUpStatus } from "../../lib/recommend/warm_up.ts";
import type { ScheduleStore } from "../../lib/stores/runs/port.ts";
import { STORE_NAMES } from "../../lib/telemetry/store_metrics.ts";
import { type Authorize, createAuthorize } from "../http/auth.ts";
import { apiEndpoint } from "../http/api_endpoint.ts";
import type { Note } from "../http/endpoint.ts";
import { HttpError } from "../http/problem.ts";

/** How long the check of a store may take. */
export const MAX_WAIT_MS = 1_000;

interface HealthCheck {
  health(): Promise<Health>;
}
export interface ReadyStores extends RefillableStores {
  readonly vectors: HealthCheck & RefillableStores["vectors"];
  readonly graph: HealthCheck & RefillableStores["graph"];
  readonly analytics: HealthCheck & RefillableStores["analytics"];
  readonly documents: HealthCheck & RefillableStores["documents"];
  readonly cache: HealthCheck;
  readonly runs: HealthCheck & Pick<ScheduleStore, "leader">;
}

const STATUS = z.enum(["up", "down"]);

const SCHEDULER_STATE = z.object({
  status: STATUS.describe(
    "`up` while a process leads, `down` if the last one no longer reports. Answers do not need it.",
  ),
  last_tick: z.iso.datetime(),
  lag_ms: z.number().describe("How late that tick was."),
});
type SchedulerState = z.infer<typeof SCHEDULER_STATE>;

const STORE_STATE = z.object({
  status: STATUS.describe("A store that is empty although a published version has data in it is down too."),
  adapter: z.string().nullable().describe("Null while it is down."),
  latency_ms: z.number().nullable(),
  error: z.string().nullable().describe(
    "Why it is down or lost its data, and what to do; null while it is up, and for a key without `read`.",
  ),
  warning: z.string().nullable().describe(
    "A problem that does not affect answers now, such as a lost index file, and what to do; null likewise.",
  ),
});
type StoreState = z.infer<typeof STORE_STATE>;

const READINESS = z.lazy(() =>
  z.object({
    status: z.enum(["ready", "degraded", "unready", "starting", "stopping"]).describe(
      "`degraded` with some stores down or late: answers continue without them. `unready` while analytics is " +
        "down or nothing is published. `starting` until a first answer would be complete, for a minute at most. " +
        "`stopping` after a shutdown request, while requests are still answered.",
    ),
    published: z.object({ version: z.int(), at: z.iso.datetime() }).nullable(),
    scheduler: SCHEDULER_STATE.nullable().describe("Null if none ever ran."),
    stores: z.record(z.string(), STORE_STATE).describe(
      "By name. Stores of one server that are in the same state are one entry, such as `vectors+graph`.",
    ),
    late: z.array(z.string()).describe(
      "Stores that have not yet answered within an answer's time since the start.",
    ),
  }).meta({ id: "Readiness" })
);

/** A check of each store, which rejects if the store does not answer in time or lacks what is published. */
export function storesRespond(stores: ReadyStores): Record<string, () => Promise<Health>> {
  return Object.fromEntries(STORE_NAMES.map((name) => [name, () => checkStore(name, stores)]));
}

async function checkStore(name: typeof STORE_NAMES[number], stores: ReadyStores): Promise<Health> {
  const health = await withTimeout(MAX_WAIT_MS, () => stores[name].health());
  const emptied = await withTimeout(MAX_WAIT_MS, () => emptiedStore(name, stores)).catch(() => null);
  if (emptied === null) return health;
  throw emptied;
}

export const healthz = apiEndpoint({
  method: "GET",
  route: "/healthz",
  scope: null,
  operation: "getHealth",
  tag: "service",
  summary: "Whether the process is up",
  responses: {
    200: {
      description: "It is up.",
      schema: z.lazy(() =>
        z.object({
          status: z.literal("up"),
          version: z.string(),
          started_at: z.iso.datetime(),
          uptime_s: z.int().min(0),
        })
      ),
    },
  },
  handler: ({ version, clock }: { version: string; clock: Clock }) => {
    const started = clock.now();
    const started_at = iso(started);
    return () => {
      const uptime_s = Math.floor((clock.now() - started) / 1_000);
      return respond(200, { status: "up", version, started_at, uptime_s });
    };
  },
});

export const readyz = apiEndpoint({
  method: "GET",
  route: "/readyz",
  scope: null,
  operation: "getReadiness",
  tag: "service",
  summary: "Whether answers are complete, and the state of each store",
  responses: {
    200: { description: "`ready` or `degraded`.", schema: READINESS },
    503: { description: "`unready`, `starting` or `stopping`.", schema: READINESS },
  },
  handler: ({ stores, shared_stores, clock, keys, warm_up = () => NOT_STARTING, stopping }: ReadyOptions) => {
    const authorize = createAuthorize(keys);
    return async ({ context, note }) => {
      let { code, body } = await readiness(stores, clock, note, warm_up());
      if (stopping?.aborted) [code, body.status] = [503, "stopping"];
      body.stores = grouped(body.stores, shared_stores);
      if (!mayRead(context, authorize)) {
        for (const store of Object.values(body.stores)) store.error = store.warning = null;
      }
      return respond(code, body);
    };
  },
});

/** Errors name files and hosts, so only a key with `read` sees them. */
function mayRead(context: Context, authorize: Authorize): boolean {
  try {
    authorize(context, "read");
    return true;
  } catch (error) {
    if (error instanceof HttpError) return false;
    throw error;
  }
}

/** The states of stores, of those on one server once. */
function grouped(states: Record<string, StoreState>, shared: readonly string[]): Record<string, StoreState> {
  const stateOf = (name: string) => {
    const { adapter: _adapter, latency_ms: _latency, ...state } = states[name]!;
    return JSON.stringify(state);
  };
  return Object.fromEntries(
    groupShared(Object.keys(states), shared, stateOf).map((names) => {
      const latencies = names.flatMap((name) => states[name]!.latency_ms ?? []);
      const latency_ms = latencies.length === 0 ? null : Math.max(...latencies);
      return [names.join("+"), { ...states[names[0]!]!, latency_ms }];
    }),
  );
}

interface ReadyOptions {
  readonly stores: ReadyStores;
  readonly shared_stores: readonly string[];
  readonly clock: Clock;
  readonly keys: readonly ApiKey[];
  readonly warm_up?: () => WarmUpStatus;
  readonly stopping?: AbortSignal;
}
const NOT_STARTING: WarmUpStatus = Object.freeze({ starting: false, late: [] });

async function readiness(
  stores: ReadyStores,
  clock: Clock,
  note: Note,
  { starting, late }: WarmUpStatus,
) {
  const [published, scheduler, ...states] = await Promise.all([
    publishedOf(stores.analytics),
    schedulerOf(stores.runs, clock),
    ...STORE_NAMES.map((name) => stateOf(name, stores, clock, note)),
  ]);
  const byName: Record<string, StoreState> = Object.fromEntries(states);
  const unready = published === null || byName.analytics?.status === "down";
  const degraded = late.length > 0 || states.some(([, state]) => state.status === "down");
  const status = unready ? "unready" : starting ? "starting" : degraded ? "degraded" : "ready";
  const body = { status, published, scheduler, stores: byName, late };
  return { code: unready || starting ? 503 : 200, body };
}

async function stateOf(
  name: typeof STORE_NAMES[number],
  stores: ReadyStores,
  clock: Clock,
  note: Note,
): Promise<[string, StoreState]> {
  try {
    const { adapter, latency_ms } = await checkStore(name, stores);
    const [anomaly] = name === "vectors" ? await damagedIndexes(stores, clock.now()) : [];
    if (anomaly?.severity === "critical") throw new ParleyError("unavailable", anomaly.text);
    return [name, {
      status: "up",
      adapter,
      latency_ms: round(latency_ms, 3),
      error: null,
      warning: anomaly?.text ?? null,
    }];
  } catch (error) {
    note.degraded = { ...note.degraded, [name]: causeOf(error) };
    return [name, { status: "down", adapter: null, latency_ms: null, error: reasonOf(error), warning: null }];
  }
}

/** None if that is not known yet, or if analytics is down. */
async function damagedIndexes(stores: ReadyStores, now: number): Promise<readonly Anomaly[]> {
  try {
    return await withTimeout(MAX_WAIT_MS, () => indexAnomalies(stores, now));
  } catch (error) {
    if (error instanceof ParleyError) return [];
    throw error;
  }
}

/** Null also if analytics fails, which its own entry reports. */
async function publishedOf(
  analytics: ReadyStores["analytics"],
): Promise<Pick<Published, "version" | "at"> | null> {
  try {
    const published = await withTimeout(MAX_WAIT_MS, () => analytics.published());
    return published && { version: published.version, at: published.at };
  } catch {
    return null;
  }
}

/** Null also if the run store fails, which its own entry reports. */
async function schedulerOf(runs: ReadyStores["runs"], clock: Clock): Promise<SchedulerState | null> {
  try {
    const leader = await withTimeout(MAX_WAIT_MS, () => runs.leader());
    if (leader === null) return null;
    const { last_tick, lag_ms, live_until } = leader;
    return { status: Date.parse(live_until) > clock.now() ? "up" : "down", last_tick, lag_ms };
  } catch {
    return null;
  }
}

function respond(status: number, body: object): Response {
  return Response.json(body, { status, headers: { "cache-control": "no-store" } });
}
