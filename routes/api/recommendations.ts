import { z } from "../../deps.ts";
import { causeOf } from "../../lib/core/errors.ts";
import { SOURCES } from "../../lib/recommend/answer.ts";
import type { Recommender, ServedAnswer } from "../../lib/recommend/recommender.ts";
import type { ServingMetrics } from "../../lib/telemetry/serving_metrics.ts";
import { apiEndpoint } from "../http/api_endpoint.ts";
import { idParameter, queryOf, wholeNumber } from "../http/parameters.ts";

const DEFAULT_K = 10;

/** Its `facts` are what the sentence states; neither names another user or quotes a message. */
const REASON = z.lazy(() => {
  const text = z.string();
  const count = z.int().min(0);
  return z.discriminatedUnion("code", [
    z.object({ code: z.literal("mention"), facts: z.object({}), text }),
    z.object({
      code: z.literal(["similar_conversations", "wording"]),
      facts: z.object({ converted: count, clicked: count, shown: count })
        .meta({ description: "Other users, each counted once, by their furthest step." }),
      text,
    }),
    z.object({
      code: z.literal("co_engagement"),
      facts: z.object({
        campaign_id: z.string(),
        title: z.string().nullable(),
        engagement: z.enum(["conversion", "click", "mention"]),
      }).meta({ description: "The campaign that the user engaged with or named, and how." }),
      text,
    }),
    z.object({
      code: z.literal("intent"),
      facts: z.object({ intents: z.array(z.string()), share: z.number().min(0).max(1) }).meta({
        description:
          "The user's own intents that the campaign answers, and their share of all that user's intents.",
      }),
      text,
    }),
    z.object({
      code: z.literal("similarity"),
      facts: z.object({ rank: z.int().min(1) })
        .meta({ description: "Place of the campaign among those nearest to the user's profile." }),
      text,
    }),
    z.object({
      code: z.literal("popular"),
      facts: z.object({ conversions: count, clicks: count, impressions: count })
        .meta({ description: "All users' events with the campaign." }),
      text,
    }),
  ]).meta({
    id: "Reason",
    description: "Why an item is shown. It neither names another user nor quotes a message.",
  });
});

const ITEM = z.lazy(() =>
  z.object({
    campaign_id: z.string(),
    title: z.string(),
    category: z.string().nullable(),
    score: z.number().min(0).max(1)
      .meta({ description: "Items are not strictly in its order: variety counts too." }),
    sources: z.record(z.enum(SOURCES), z.number().min(0).max(1))
      .meta({
        description: "The evidence of each source, on a scale of its own that is the same for all users.",
      }),
    fatigue: z.number().min(0).max(1)
      .meta({ description: "Above 0 if it was shown to the user repeatedly and never clicked." }),
    reasons: z.array(REASON).min(1).max(3).meta({ description: "The weightiest first." }),
  }).meta({ id: "Item" })
);

/** `Answer` of lib/recommend/answer.ts. */
const ANSWER = z.lazy(() =>
  z.object({
    user_id: z.string(),
    strategy: z.enum(["personal", "popular"])
      .meta({ description: "`popular` if nothing is known of the user." }),
    led_by: z.enum(SOURCES).nullable()
      .meta({ description: "The source that contributes most to the items; null without items." }),
    version: z.int().nullable()
      .meta({
        description: "The data version that it was computed from; null if analytics did not respond.",
      }),
    generated_at: z.iso.datetime()
      .meta({ description: "When it was computed, which for a cached answer is in the past." }),
    degraded: z.array(z.enum(["vectors", "graph", "analytics"]))
      .meta({ description: "Stores whose part is missing." }),
    items: z.array(ITEM).meta({ description: "The most worth showing first." }),
  }).meta({ id: "Answer" })
);

/**
 * `GET /recommendations/:user_id?k=10&intent=x`. `Cache-Control: no-store`, since a write for this user must be in the next
 * answer. Parley has its own cache.
 */
export const recommendations = apiEndpoint({
  method: "GET",
  route: "/recommendations/:user_id",
  scope: "read",
  answers: true,
  operation: "getRecommendations",
  tag: "recommendations",
  summary: "Campaigns worth showing to a user",
  description:
    "Campaigns worth showing to this user, each with its reasons. An unknown user gets the popular ones. A store " +
    "that is down causes no error: `degraded` names it, and without analytics the answer is a cached one or the last known " +
    "popular campaigns. 503 before the first publish.",
  params: z.object({ user_id: idParameter("user_id", "The user, who may be unknown.") }),
  query: queryOf({
    k: wholeNumber("k", { min: 1, max: 100, default: DEFAULT_K, description: "At most so many items." }),
    intent: idParameter("intent", "Only campaigns that target this intent.").exactOptional(),
  }),
  responses: {
    200: {
      description: "The answer.",
      schema: ANSWER,
      headers: {
        "Server-Timing": "The stages cache, vectors, graph, analytics and rank, in milliseconds.",
        "X-Cache":
          "`hit`, `stale` while another request computes it again or analytics is down, `miss`, or `bypass` if it was " +
          "computed without the cache or analytics.",
      },
    },
  },
  errors: [503],
  handler:
    (options: { recommender: Recommender; metrics: ServingMetrics }) => async ({ params, query, note }) => {
      const served = await options.recommender.serve({ ...params, ...query });
      options.metrics.recordAnswer(served);
      note.cache = served.cache;
      if (served.failures.size + served.degraded.length > 0) note.degraded = causes(served);
      return respond(served);
    },
});

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
