import { type Context, type Hono, loadHono } from "../deps.ts";
import type { Clock } from "../lib/core/clock.ts";
import type { ApiKey, ServingSpan } from "../lib/core/types.ts";
import type { Embedder } from "../lib/embed/port.ts";
import { IntentService, type IntentStores } from "../lib/intents/intent_service.ts";
import { Recommender, type RecommenderStores } from "../lib/recommend/recommender.ts";
import type { WarmUpStatus } from "../lib/recommend/warm_up.ts";
import { SPAN_MINUTES } from "../lib/monitoring/serving_anomalies.ts";
import { ServingMetrics } from "../lib/telemetry/serving_metrics.ts";
import { createAuthorize } from "./http/auth.ts";
import { type Endpoint, handlerOf, type Log } from "./http/endpoint.ts";
import { healthz, readyz } from "./api/health.ts";
import { createHostCheck } from "./http/host.ts";
import { index } from "./api/index.ts";
import { metrics, type MetricsOptions } from "./api/metrics.ts";
import { classifyIntents } from "./api/intents.ts";
import { acknowledgeAnomaly, pipelineAnomalies, pipelineSummary, type PipelineView } from "./api/pipeline.ts";
import { HttpError } from "./http/problem.ts";
import { recommendations } from "./api/recommendations.ts";
import { wantsHtml } from "./http/guard.ts";
import type { Dashboard, PageStores } from "./http/page.ts";

export interface AppOptions extends Pick<PipelineView, "dags"> {
  readonly stores: RecommenderStores & PageStores & IntentStores & MetricsOptions["stores"];
  /** Opens the embedding model for the first `POST /intents/classify`. Without it the answer is 503. */
  readonly embedder?: () => Promise<Embedder>;
  readonly clock: Clock;
  /** Parley's version, for `/healthz`. */
  readonly version: string;
  /** If empty, everything is open. */
  readonly keys: readonly ApiKey[];
  /** How long an answer may take, in milliseconds. Default 250. */
  readonly answer_ms?: number;
  /** How long a request to classify may take, in milliseconds. Default 30,000. */
  readonly classify_ms?: number;
  /** Default: a new one. */
  readonly recommender?: Recommender;
  /** How far the start is. Default: complete. */
  readonly warm_up?: () => WarmUpStatus;
  /** Counts requests; its `window` has the answers of the last two hours. Default: a new one. */
  readonly metrics?: ServingMetrics;
  /** Whether attempts are sent to a lineage sink, so that `/metrics` says how many wait. Default false. */
  readonly lineage?: boolean;
  /** The stores that are on one server, and shown as one. Default: none. */
  readonly shared_stores?: readonly string[];
  /** Gets one entry per request; null logs nothing. */
  readonly log: Log | null;
  /** What the pages show and change; without it there are no pages. */
  readonly dashboard?: Dashboard;
}

/** What the endpoints and the pages share. `serving` gives the answers of the last two hours. */
interface Serving extends AppOptions {
  readonly serving: () => readonly ServingSpan[];
  readonly metrics: ServingMetrics;
  readonly lineage: boolean;
  readonly shared_stores: readonly string[];
  readonly recommender: Recommender;
}

/** The HTTP interface as a value: `app.fetch` is for a listener, `app.request` for tests. */
export async function createApp(options: AppOptions): Promise<Hono> {
  const { Hono } = await loadHono();
  const app = new Hono();
  const authorize = createAuthorize(options.keys);
  const checkHost = createHostCheck({ open: options.keys.length === 0 });
  const { metrics = new ServingMetrics(options.clock), lineage = false, shared_stores = [] } = options;
  const spans = () => metrics.window.spans(options.clock.now(), SPAN_MINUTES);
  const { recommender = new Recommender(options) } = options;
  const shared: Serving = { ...options, serving: spans, metrics, lineage, shared_stores, recommender };
  const handler = (endpoint: Endpoint) =>
    handlerOf(endpoint, { checkHost, authorize, log: options.log, metrics });
  const failure = options.dashboard &&
    await mountPages(app, { ...shared, dashboard: options.dashboard }, handler);
  for (const endpoint of readEndpoints(shared)) app.get(endpoint.route, handler(endpoint));
  const classify = classifyIntents(new IntentService(options), options.classify_ms);
  const acknowledge = acknowledgeAnomaly(shared);
  for (const endpoint of [classify, acknowledge]) app.post(endpoint.route, handler(endpoint));
  const handle = (context: Context) => refuse(app, context);
  const problem = handler({ route: "*", scope: null, handle });
  const page = failure && handler({ route: "*", scope: null, handle, failure });
  app.notFound((context) => page && wantsHtml(context) ? page(context) : problem(context));
  return app;
}

/** Before the API, so that a browser gets the page at `GET /`. The modules of the pages load only here. */
async function mountPages(
  app: Hono,
  { dashboard, ...rest }: Serving & { dashboard: Dashboard },
  handler: (endpoint: Endpoint) => (context: Context) => Promise<Response>,
) {
  const { mount } = await import("./http/mount.ts");
  return mount(app, { ...rest, ...dashboard }, handler);
}

function readEndpoints(options: Serving): Endpoint[] {
  return [
    index(options.version),
    healthz(options),
    readyz(options),
    metrics(options),
    recommendations(options),
    pipelineSummary(options),
    pipelineAnomalies(options),
  ];
}

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/** Throws 405 if another method has this path, otherwise 404. Neither quotes the path, which may name a user. */
function refuse(app: Hono, context: Context): never {
  const methods = METHODS.filter((method) => app.router.match(method, context.req.path)[0].length > 0);
  if (methods.length === 0) throw new HttpError(404, "not_found", "nothing is here; GET / lists what is");
  const allow = methods.flatMap((method) => method === "GET" ? ["GET", "HEAD"] : [method]).join(", ");
  const detail = `${context.req.method} is not possible here; ${allow} is`;
  throw new HttpError(405, "method_not_allowed", detail, { allow });
}
