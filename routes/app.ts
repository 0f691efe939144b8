import { type Context, type Hono, loadHono } from "../deps.ts";
import { IntentService } from "../lib/intents/intent_service.ts";
import { SPAN_MINUTES } from "../lib/monitoring/serving_anomalies.ts";
import { OnlineWriter } from "../lib/online/online_writer.ts";
import { Recommender } from "../lib/recommend/recommender.ts";
import type { Cache } from "../lib/stores/cache/port.ts";
import { ServingMetrics } from "../lib/telemetry/serving_metrics.ts";
import { ENDPOINTS, type Serving } from "./api/mod.ts";
import { mcpEndpoint } from "./mcp.ts";
import { METHODS } from "./http/api_endpoint.ts";
import { AuditLog } from "./http/audit_log.ts";
import { createAuthorize } from "./http/auth.ts";
import { corsFor } from "./http/cors.ts";
import { type Endpoint, handlerOf, type Log } from "./http/endpoint.ts";
import { wantsHtml } from "./http/guard.ts";
import { createHostCheck } from "./http/host.ts";
import { openApiDocument } from "./http/openapi.ts";
import { RateLimiter } from "./http/rate_limiter.ts";
import type { Dashboard, PageStores } from "./http/page.ts";
import { HttpError } from "./http/problem.ts";

/** What endpoints use if it is not given: new ones, no lineage, no notifications, and no shared stores. */
type Defaults = Partial<
  Pick<Serving, "recommender" | "writer" | "metrics" | "lineage" | "sinks" | "shared_stores">
>;

export interface AppOptions
  extends Omit<Serving, keyof Defaults | "serving" | "document" | "stores" | "arm_settings">, Defaults {
  readonly stores: Serving["stores"] & PageStores & { readonly cache: Pick<Cache, "evaluate"> };
  /** How long an answer may take, in milliseconds. Default 250. */
  readonly answer_ms?: number;
  /** How many requests each key may send in a minute; null for any number. Default null. */
  readonly rate_limit?: number | null;
  /** Sites whose pages may call the API; `*` is any. Default none. */
  readonly cors_origins?: readonly string[];
  /** Gets one entry per request; null logs nothing. */
  readonly log: Log | null;
  /** What the pages show and change; without it there are no pages. */
  readonly dashboard?: Dashboard;
}

/** The HTTP interface as a value: `app.fetch` is for a listener, `app.request` for tests. */
export async function createApp(options: AppOptions): Promise<Hono> {
  const { Hono } = await loadHono();
  const app = new Hono();
  const authorize = createAuthorize(options.keys);
  const checkHost = createHostCheck({ open: options.keys.length === 0 });
  const { metrics = new ServingMetrics(options.clock), lineage = false } = options;
  const { sinks = [], shared_stores = [] } = options;
  const spans = () => metrics.window.spans(options.clock.now(), SPAN_MINUTES);
  const recommender: Recommender = options.recommender ?? new Recommender({
    ...options,
    classifier: new IntentService(options),
    derived: (user_id) => writer.derived(user_id),
  });
  const document = () => openApiDocument(ENDPOINTS, options.version);
  const writer: OnlineWriter = options.writer ?? new OnlineWriter({
    ...options,
    names: (abort) => recommender.names(abort),
    onCampaignsChanged: (ids) => recommender.forgetPopular(ids),
  });
  const shared = {
    ...options,
    writer,
    serving: spans,
    metrics,
    lineage,
    sinks,
    shared_stores,
    recommender,
    arm_settings: options.dashboard?.arms,
    document,
  };
  const audit = new AuditLog(options);
  const { rate_limit = null, stores: { cache } } = options;
  const rateLimiter = rate_limit === null ? null : new RateLimiter({ per_minute: rate_limit, cache });
  const handler = (endpoint: Endpoint) =>
    handlerOf(endpoint, { checkHost, authorize, audit, rateLimiter, log: options.log, metrics });
  const failure = options.dashboard &&
    await mountPages(app, { ...shared, dashboard: options.dashboard }, handler);
  const { cors_origins = [] } = options;
  if (cors_origins.length > 0) {
    const cors = await corsFor(cors_origins);
    // By method, since `refuse()` asks the router which methods a path has.
    for (const { method, route } of ENDPOINTS) app.on([method, "OPTIONS"], route, cors);
  }
  for (const { method, route, open } of ENDPOINTS) app.on(method, route, handler(open(shared)));
  app.on(["GET", "POST", "DELETE"], "/mcp", handler(mcpEndpoint({ ...options, app })));
  const handle = (context: Context) => refuse(app, context);
  const problem = handler({ route: "*", scope: null, handle });
  const page = failure && handler({ route: "*", scope: null, handle, failure });
  app.notFound((context) => page && wantsHtml(context) ? page(context) : problem(context));
  return app;
}

/** Before the API, so that a browser gets the page at `GET /`. The modules of the pages load only here. */
async function mountPages(
  app: Hono,
  { dashboard, ...rest }: Serving & { stores: PageStores; dashboard: Dashboard },
  handler: (endpoint: Endpoint) => (context: Context) => Promise<Response>,
) {
  const { mount } = await import("./http/mount.ts");
  return mount(app, { ...rest, ...dashboard }, handler);
}

/** Throws 405 if another method has this path, otherwise 404. Neither quotes the path, which may name a user. */
function refuse(app: Hono, context: Context): never {
  const methods = METHODS.filter((method) => app.router.match(method, context.req.path)[0].length > 0);
  if (methods.length === 0) throw new HttpError(404, "not_found", "nothing is here; GET / lists what is");
  const allow = methods.flatMap((method) => method === "GET" ? ["GET", "HEAD"] : [method]).join(", ");
  const detail = `${context.req.method} is not possible here; ${allow} is`;
  throw new HttpError(405, "method_not_allowed", detail, { allow });
}
