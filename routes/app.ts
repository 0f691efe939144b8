import { type Context, type Hono, loadHono } from "../deps.ts";
import type { Clock } from "../lib/core/clock.ts";
import type { ApiKey } from "../lib/core/types.ts";
import type { Embedder } from "../lib/embed/port.ts";
import { IntentService, type IntentStores } from "../lib/intents/service.ts";
import { Recommender, type RecommenderStores } from "../lib/recommend/recommender.ts";
import { createAuthorize } from "./auth.ts";
import { type Endpoint, handlerOf, type Log } from "./endpoint.ts";
import { healthz, type ReadyStores, readyz } from "./health.ts";
import { index } from "./index.ts";
import { classifyIntents } from "./intents.ts";
import { HttpError } from "./problem.ts";
import { recommendations } from "./recommendations.ts";

export interface AppOptions {
  readonly stores: RecommenderStores & ReadyStores & IntentStores;
  /** Opens the embedding model, for `POST /intents/classify`; the first such request calls it. None: 503. */
  readonly embedder?: () => Promise<Embedder>;
  readonly clock: Clock;
  /** Parley's own version, as `/healthz` tells it. */
  readonly version: string;
  /** Empty: everything is open. */
  readonly keys: readonly ApiKey[];
  /** How long an answer may take in all, in milliseconds. Default 250. */
  readonly answer_ms?: number;
  /** Gets one entry a request; null logs nothing. */
  readonly log: Log | null;
}

/** The HTTP interface as a value: `app.fetch` for a listener, `app.request` for tests. It never listens itself. */
export async function createApp(o: AppOptions): Promise<Hono> {
  const { Hono } = await loadHono();
  const app = new Hono();
  const authorize = createAuthorize(o.keys);
  const handler = (endpoint: Endpoint) => handlerOf(endpoint, { authorize, log: o.log });
  for (const endpoint of readEndpoints(o)) app.get(endpoint.route, handler(endpoint));
  const classify = classifyIntents(new IntentService(o));
  app.post(classify.route, handler(classify));
  app.notFound(handler({ route: "*", scope: null, handle: (context) => refuse(app, context) }));
  return app;
}

function readEndpoints(o: AppOptions): Endpoint[] {
  const recommender = new Recommender(o);
  return [index(o.version), healthz(o), readyz(o), recommendations(recommender)];
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
