import type { Child, Context } from "../../deps.ts";
import type { Clock } from "../../lib/core/clock.ts";
import type { ApiKey, Scope, ServingSpan } from "../../lib/core/types.ts";
import type { Dag } from "../../lib/dag/define.ts";
import type { ArmSettings } from "../../lib/experiments/report.ts";
import type { DagFault } from "../../lib/monitoring/dag_faults.ts";
import type { Recommender } from "../../lib/recommend/recommender.ts";
import type { AnalyticsStore } from "../../lib/stores/analytics/port.ts";
import type { DocumentStore } from "../../lib/stores/documents/port.ts";
import type { GraphStore } from "../../lib/stores/graph/port.ts";
import type { RunStore } from "../../lib/stores/runs/port.ts";
import type { VectorStores } from "../../lib/stores/vectors/port.ts";
import type { ServingMetrics } from "../../lib/telemetry/serving_metrics.ts";
import type { Note, ReportError } from "./endpoint.ts";
import type { ReadyStores } from "../api/health.ts";
import type { PipelineView } from "../api/pipeline.ts";
import type { Session, Sessions } from "./session.ts";

/** What the pages show and change, in addition to what the API reads. */
export interface Dashboard {
  /** Every dag by id. */
  readonly dags: ReadonlyMap<string, Dag<never>>;
  /** What cannot be used of the user's own dags. Default nothing. */
  readonly dag_faults?: readonly DagFault[];
  readonly runs: RunStore;
  /** Aborted when the process stops: streams end then. */
  readonly closing: AbortSignal;
  /** The control share and the experiments; default none. */
  readonly arms?: ArmSettings;
}

/** What pages read of the stores. */
export type PageStores = PipelineView["stores"] & ReadyStores & {
  readonly analytics: Pick<
    AnalyticsStore,
    | "armEngagement"
    | "byCampaign"
    | "byStrategy"
    | "campaigns"
    | "campaignPage"
    | "counts"
    | "recentUsers"
    | "stats"
  >;
  readonly documents: Pick<DocumentStore, "counts" | "page" | "quarantined" | "quarantineReasons">;
  readonly graph: Pick<GraphStore, "counts">;
  readonly vectors: Pick<VectorStores, "models" | "forModel">;
};

/** All that pages can use: narrow on purpose, so that this says what a page can do. */
export interface PageContext extends Dashboard {
  readonly clock: Clock;
  readonly version: string;
  readonly keys: readonly ApiKey[];
  readonly stores: PageStores;
  /** The sinks of notifications that are configured. */
  readonly sinks: readonly string[];
  /** Those that are on one server, and shown as one. */
  readonly shared_stores: readonly string[];
  /** Explains answers, tries other weights, and knows which circuits are open. */
  readonly recommender: Pick<Recommender, "explain" | "similar" | "tryOut" | "weights" | "breakers">;
  /** What this process has answered, by minute. */
  readonly serving: () => readonly ServingSpan[];
  /** How long each stage of them took. */
  readonly metrics: Pick<ServingMetrics, "stageMinutes" | "window">;
}

/** A request for a page, by a session that may see it. */
export interface PageRequest {
  /** Hono's own context. */
  readonly http: Context;
  readonly url: URL;
  readonly session: Session;
  /** For the pages that start and end one. */
  readonly sessions: Sessions;
  readonly context: PageContext;
  /** Epoch milliseconds, read once per request, so that all times on a page agree. */
  readonly now: number;
  /** Gets what the audit log says about an action. */
  readonly note: Note;
  /** Logs an error that ended a stream after it began. */
  readonly report: ReportError;
  /** Fields of the posted form by name, each with all its values; empty for GET. */
  readonly form: ReadonlyMap<string, readonly string[]>;
}

/** A page before it is laid out. */
export interface View {
  readonly title: string;
  readonly body: Child;
  /** Where this page's Server-Sent Events come from; without it the page does not change. */
  readonly live?: string;
  /** The number of the last event that the page has. Default 0. */
  readonly after?: number;
  /** Default 200. */
  readonly status?: number;
}

type Handle = (request: PageRequest) => Promise<View | Response> | View | Response;

/** A page or one of its actions. Its module loads with the first request. */
export interface Route {
  readonly method: "GET" | "POST";
  readonly path: string;
  /** What a key must allow; null needs no key. */
  readonly scope: Scope | null;
  /** Whether the API answers at this path to clients that are no browsers. */
  readonly shared?: true;
  readonly load: () => Promise<Handle>;
}

/** Sends the browser to a path of this service, with GET. */
export function redirect(to: string): Response {
  return new Response(null, { status: 303, headers: { location: to, "cache-control": "no-store" } });
}

/** The posted value of a field; "" if it was not sent. */
export function field(request: PageRequest, name: string): string {
  return request.form.get(name)?.[0] ?? "";
}
