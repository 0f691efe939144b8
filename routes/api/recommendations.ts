import { type Context, z } from "../../deps.ts";
import { causeOf } from "../../lib/core/errors.ts";
import type { RecommendationRequest } from "../../lib/recommend/answer.ts";
import type { Recommender, ServedAnswer } from "../../lib/recommend/recommender.ts";
import { parseId } from "../../lib/schema/ids.ts";
import type { ServingMetrics } from "../../lib/telemetry/serving_metrics.ts";
import type { Endpoint } from "../http/endpoint.ts";
import { UNKNOWN_PARAMETERS } from "../http/problem.ts";

const DEFAULT_K = 10;
const K_RULE = "k must be a whole number from 1 to 100, given once";

const INTENT_RULE = "intent must be given once";

/** Parameters by name, each with all its values. Transforms would add a tenth to the time of a cached answer. */
const Query = z.strictObject({
  k: z.array(z.string().regex(/^([1-9]\d?|100)$/, K_RULE)).length(1, K_RULE).optional(),
  intent: z.array(z.string()).length(1, INTENT_RULE).optional(),
}, UNKNOWN_PARAMETERS);

/**
 * `GET /recommendations/:user_id?k=10&intent=x`: campaigns worth showing to this user, each with its reasons, as an
 * `Answer` (lib/recommend/answer.ts); with `intent` only those that target it. An unknown user gets the popular ones.
 * `degraded` names stores that are down; without analytics the answer is a cached one or the last known popular campaigns.
 * `Server-Timing` has the stages cache, vectors, graph, analytics, rank in milliseconds; `X-Cache` is `hit`, `stale` while
 * another request computes it again or analytics is down, `miss`, or `bypass` if it was computed without the cache or
 * analytics. 400 for a bad id or query, 503 before the first publish.
 *
 * `Cache-Control: no-store`, since a write for this user must be in the next answer. Parley has its own cache.
 */
export function recommendations(options: { recommender: Recommender; metrics: ServingMetrics }): Endpoint {
  return {
    route: "/recommendations/:user_id",
    scope: "read",
    answers: true,
    handle: async (context, note) => {
      const served = await options.recommender.serve(requestOf(context));
      options.metrics.recordAnswer(served);
      note.cache = served.cache;
      if (served.failures.size + served.degraded.length > 0) note.degraded = causes(served);
      return respond(served);
    },
  };
}

function requestOf(context: Context): RecommendationRequest {
  const user_id = parseId("user_id", context.req.param("user_id")!);
  const { k, intent } = Query.parse(context.req.queries());
  const request = { user_id, k: k === undefined ? DEFAULT_K : Number(k[0]) };
  return intent === undefined ? request : { ...request, intent: parseId("intent", intent[0]!) };
}

/** Headers are set one by one: in the constructor they take Deno 2.9 several times as long. */
function respond(served: ServedAnswer): Response {
  const response = new Response(served.body, { headers: { "content-type": "application/json" } });
  response.headers.set("cache-control", "no-store");
  response.headers.set("server-timing", serverTiming(served.timings));
  response.headers.set("x-cache", served.cache);
  return response;
}

function serverTiming(timings: ServedAnswer["timings"]): string {
  let text = "";
  for (const [stage, ms] of timings) {
    text += `${text === "" ? "" : ", "}${stage};dur=${Math.round(100 * ms) / 100}`;
  }
  return text;
}

/** By store, why its part is missing; in a cached answer it was missing when that was computed. */
function causes({ failures, degraded }: ServedAnswer): Record<string, string> {
  const cached = degraded.map((store) => [store, "cached"]);
  return Object.fromEntries([
    ...cached,
    ...Array.from(failures, ([store, error]) => [store, causeOf(error)]),
  ]);
}
