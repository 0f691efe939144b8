import { type Context, type Hono, loadHono } from "../deps.ts";
import type { Clock } from "../lib/core/clock.ts";
import type { ApiKey } from "../lib/core/types.ts";
import { Recommender, type RecommenderStores } from "../lib/recommend/recommender.ts";
import { createAuthorize } from "./auth.ts";
import { type Endpoint, handlerOf, type Log, type Note } from "./endpoint.ts";
import { healthz, type ReadyStores, readyz } from "./health.ts";
import { index } from "./index.ts";
import { pipelineAnomalies, pipelineSummary, type PipelineView } from "./pipeline.ts";
import { HttpError } from "./problem.ts";
import { wantsHtml } from "./web/guard.ts";
import type { Dashboard } from "./web/page.ts";
import { recommendations } from "./recommendations.ts";

export interface AppOptions extends Pick<PipelineView, "dags" | "serving"> {
  readonly stores: RecommenderStores & ReadyStores & PipelineView["stores"];
  readonly clock: Clock;
  /** Parley's own version, as `/healthz` tells it. */
  readonly version: string;
  /** Empty: everything is open. */
  readonly keys: readonly ApiKey[];
  /** How long an answer may take in all, in milliseconds. Default 250. */
  readonly answer_ms?: number;
  /** Gets one entry a request; null logs nothing. */
  readonly log: Log | null;
  /** What the pages show and change; no pages without. */
  readonly dashboard?: Dashboard;
}

/** The HTTP interface as a value: `app.fetch` for a listener, `app.request` for tests. It never listens itself. */
export async function createApp(o: AppOptions): Promise<Hono> {
  const { Hono } = await loadHono();
  const app = new Hono();
  const authorize = createAuthorize(o.keys);
  const handler = (endpoint: Endpoint) => handlerOf(endpoint, { authorize, log: o.log });
  const errorPage = o.dashboard === undefined ? null : await mountPages(app, o, o.dashboard);
  for (const endpoint of readEndpoints(o)) app.get(endpoint.route, handler(endpoint));
  const nothing = (context: Context, note: Note) => {
    const error = refusal(app, context);
    if (errorPage !== null && wantsHtml(context)) return errorPage(error, note);
    throw error;
  };
  app.notFound(handler({ route: "*", scope: null, handle: nothing }));
  return app;
}

/** The pages come before the API, of which `GET /` is one for browsers and one for machines. */
async function mountPages(app: Hono, { clock, version, keys, log }: AppOptions, dashboard: Dashboard) {
  const { mount } = await import("./web/mount.ts");
  return mount(app, { ...dashboard, clock, version, keys }, log);
}

function readEndpoints(o: AppOptions): Endpoint[] {
  const recommender = new Recommender(o);
  return [
    index(o.version),
    healthz(o),
    readyz(o),
    recommendations(recommender),
    pipelineSummary(o),
    pipelineAnomalies(o),
  ];
}

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/** 405 where another method would have found the path, else 404. Neither quotes the path: it may name a user. */
function refusal(app: Hono, context: Context): HttpError {
  const found = METHODS.filter((method) => app.router.match(method, context.req.path)[0].length > 0);
  if (found.length === 0) return new HttpError(404, "not_found", "nothing is here; GET / lists what is");
  const allow = found.flatMap((method) => method === "GET" ? ["GET", "HEAD"] : [method]).join(", ");
  const detail = `${context.req.method} is not possible here; ${allow} is`;
  return new HttpError(405, "method_not_allowed", detail, { allow });
}
