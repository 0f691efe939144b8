import { type Context, type Hono, loadHono } from "../deps.ts";
import type { Clock } from "../lib/core/clock.ts";
import type { ApiKey, ServingSpan } from "../lib/core/types.ts";
import type { Embedder } from "../lib/embed/port.ts";
import { IntentService, type IntentStores } from "../lib/intents/service.ts";
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
  /** Opens the embedding model, for `POST /intents/classify`; the first such request calls it. None: 503. */
  readonly embedder?: () => Promise<Embedder>;
  readonly clock: Clock;
  /** Parley's own version, as `/healthz` tells it. */
  readonly version: string;
  /** Empty: everything is open. */
  readonly keys: readonly ApiKey[];
  /** How long an answer may take in all, in milliseconds. Default 250. */
  readonly answer_ms?: number;
  /** How long a request to classify may take in all, in milliseconds. Default 30,000. */
  readonly classify_ms?: number;
  /** Answers. Default: one of the app's own. */
  readonly recommender?: Recommender;
  /** How far the start is. Default: over. */
  readonly warm_up?: () => WarmUpStatus;
  /** Counts what is asked; its `window` has the answers of the last two hours. Default: one of the app's own. */
  readonly metrics?: ServingMetrics;
  /** Whether attempts are sent on to a lineage sink, so that `/metrics` tells how many wait. Default false. */
  readonly lineage?: boolean;
  /** Gets one entry a request; null logs nothing. */
  readonly log: Log | null;
  /** What the pages show and change; no pages without. */
  readonly dashboard?: Dashboard;
}

/** What the endpoints and the pages share. `serving` gives the answers of the last two hours, as they are judged. */
interface Serving extends AppOptions {
  readonly serving: () => readonly ServingSpan[];
  readonly metrics: ServingMetrics;
  readonly lineage: boolean;
  readonly recommender: Recommender;
}

/** The HTTP interface as a value: `app.fetch` for a listener, `app.request` for tests. It never listens itself. */
export async function createApp(options: AppOptions): Promise<Hono> {
  const { Hono } = await loadHono();
  const app = new Hono();
  const authorize = createAuthorize(options.keys);
  const checkHost = createHostCheck({ open: options.keys.length === 0 });
  const { metrics = new ServingMetrics(options.clock), lineage = false } = options;
  const spans = () => metrics.window.spans(options.clock.now(), SPAN_MINUTES);
  const { recommender = new Recommender(options) } = options;
  const serving: Serving = { ...options, serving: spans, metrics, lineage, recommender };
  const handler = (endpoint: Endpoint) =>
    handlerOf(endpoint, { checkHost, authorize, log: options.log, metrics });
  const failure = options.dashboard &&
    await mountPages(app, { ...serving, dashboard: options.dashboard }, handler);
  for (const endpoint of readEndpoints(serving)) app.get(endpoint.route, handler(endpoint));
  const classify = classifyIntents(new IntentService(options), options.classify_ms);
  const acknowledge = acknowledgeAnomaly(serving);
  for (const endpoint of [classify, acknowledge]) app.post(endpoint.route, handler(endpoint));
  const handle = (context: Context) => refuse(app, context);
  const problem = handler({ route: "*", scope: null, handle });
  const page = failure && handler({ route: "*", scope: null, handle, failure });
  app.notFound((context) => page && wantsHtml(context) ? page(context) : problem(context));
  return app;
}

/** The pages come before the API: of the two at `GET /`, a browser gets the page. Their modules load only here. */
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

/** 405 where another method would have found the path, else 404. Neither quotes the path: it may name a user. */
function refuse(app: Hono, context: Context): never {
  const found = METHODS.filter((method) => app.router.match(method, context.req.path)[0].length > 0);
  if (found.length === 0) throw new HttpError(404, "not_found", "nothing is here; GET / lists what is");
  const allow = found.flatMap((method) => method === "GET" ? ["GET", "HEAD"] : [method]).join(", ");
  const detail = `${context.req.method} is not possible here; ${allow} is`;
  throw new HttpError(405, "method_not_allowed", detail, { allow });
}
