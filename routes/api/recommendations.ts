import { type Context, z } from "../../deps.ts";
import { causeOf } from "../../lib/core/errors.ts";
import type { RecommendationRequest } from "../../lib/recommend/answer.ts";
import type { Recommender, ServedAnswer } from "../../lib/recommend/recommender.ts";
import { parseId } from "../../lib/schema/ids.ts";
import type { ServingMetrics } from "../../lib/telemetry/serving_metrics.ts";
import type { Endpoint } from "../http/endpoint.ts";
import { NO_OTHERS } from "../http/query.ts";

const DEFAULT_K = 10;
const K_RULE = "k must be a whole number from 1 to 100, given once";

const INTENT_RULE = "intent must be given once";

/** Parameters by name, each with all its values. No transforms: they would cost a cached answer a tenth of its time. */
const Query = z.strictObject({
  k: z.array(z.string().regex(/^([1-9]\d?|100)$/, K_RULE)).length(1, K_RULE).optional(),
  intent: z.array(z.string()).length(1, INTENT_RULE).optional(),
}, NO_OTHERS);

/**
 * `GET /recommendations/:user_id?k=10&intent=x`: campaigns worth showing to this user, each with its reasons, as an
 * `Answer` (lib/recommend/answer.ts); with `intent` only those that target it. An unknown user gets the popular ones.
 * Stores that are down are named in `degraded`; without analytics that is a cached answer, else the last known popular campaigns.
 * `Server-Timing` tells the stages cache, vectors, graph, analytics, rank in milliseconds; `X-Cache` is `hit`, `stale` while
 * another request computes it again or analytics is down, `miss`, or `bypass` if it was computed without the cache or
 * analytics. 400 for a bad id or query, 503 before the first publish.
 *
 * `Cache-Control: no-store`, since a write for this user must show in the next answer and Parley keeps its own cache.
 */
export function recommendations(options: { recommender: Recommender; metrics: ServingMetrics }): Endpoint {
  return {
    route: "/recommendations/:user_id",
    scope: "read",
    answers: true,
    handle: async (context, note) => {
      const served = await options.recommender.serve(questionOf(context));
      options.metrics.recordAnswer(served);
      note.cache = served.cache;
      if (served.failures.size + served.degraded.length > 0) note.degraded = causes(served);
      return respond(served);
    },
  };
}

function questionOf(context: Context): RecommendationRequest {
  const user_id = parseId("user_id", context.req.param("user_id")!);
  const { k, intent } = Query.parse(context.req.queries());
  const question = { user_id, k: k === undefined ? DEFAULT_K : Number(k[0]) };
  return intent === undefined ? question : { ...question, intent: parseId("intent", intent[0]!) };
}

/** Headers are set one by one: given to the constructor together, they take Deno 2.9 several times as long. */
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

/** By store, why an answer lacks its part; a cached one lacked it when it was made. */
function causes({ failures, degraded }: ServedAnswer): Record<string, string> {
  const cached = degraded.map((store) => [store, "cached"]);
  return Object.fromEntries([
    ...cached,
    ...Array.from(failures, ([store, error]) => [store, causeOf(error)]),
  ]);
}
