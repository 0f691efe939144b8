import { z } from "../../deps.ts";
import { type Clock, iso } from "../../lib/core/clock.ts";
import { causeOf } from "../../lib/core/errors.ts";
import { type PostedRows, SOURCES } from "../../lib/recommend/answer.ts";
import { NO_USER } from "../../lib/recommend/posted_user.ts";
import type { Recommender, ServedAnswer } from "../../lib/recommend/recommender.ts";
import { eventInput, toEvent } from "../../lib/schema/event.ts";
import { id, idText } from "../../lib/schema/ids.ts";
import { messageInput, toMessage } from "../../lib/schema/message.ts";
import { text } from "../../lib/schema/text.ts";
import type { ServingMetrics } from "../../lib/telemetry/serving_metrics.ts";
import { apiEndpoint } from "../http/api_endpoint.ts";
import type { Note } from "../http/endpoint.ts";
import { filterText, idParameter, queryOf, wholeNumber } from "../http/parameters.ts";
import { BODY_ERRORS } from "../http/problem.ts";

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
        .describe("Other users, each counted once, by their furthest step."),
      text,
    }),
    z.object({
      code: z.literal("co_engagement"),
      facts: z.object({
        campaign_id: z.string(),
        title: z.string().nullable(),
        engagement: z.enum(["conversion", "click", "mention"]),
      }).describe("The campaign that the user engaged with or named, and how."),
      text,
    }),
    z.object({
      code: z.literal("intent"),
      facts: z.object({ intents: z.array(z.string()), share: z.number().min(0).max(1) }).describe(
        "The user's own intents that the campaign answers, and their share of all that user's intents.",
      ),
      text,
    }),
    z.object({
      code: z.literal("similarity"),
      facts: z.object({ rank: z.int().min(1) })
        .describe("Place of the campaign among those nearest to the user's profile."),
      text,
    }),
    z.object({
      code: z.literal("exploration"),
      facts: z.object({ impressions: count, clicks: count })
        .describe("All users' events with the campaign, too few to know how good it is."),
      text,
    }),
    z.object({
      code: z.literal("popular"),
      facts: z.object({ conversions: count, clicks: count, impressions: count })
        .describe("All users' events with the campaign."),
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
      .describe("Items are not strictly in its order: variety counts too."),
    sources: z.record(z.enum(SOURCES), z.number().min(0).max(1))
      .describe("The evidence of each source, on a scale of its own that is the same for all users."),
    fatigue: z.number().min(0).max(1)
      .describe(
        "Above 0 if it was shown to the user repeatedly and never clicked, or if they did not want it in an earlier conversation.",
      ),
    reasons: z.array(REASON).min(1).max(3).describe("The weightiest first."),
  }).meta({ id: "Item" })
);

const NEGATION = z.lazy(() =>
  z.object({
    of: z.enum(["campaign", "category", "tag"]),
    name: z.string().describe("The `campaign_id`, or the category or tag as the catalogue has it."),
    until: z.iso.datetime().describe("When the conversation is over if nothing more is said in it."),
  }).meta({ id: "Negation" })
);

/** `Answer` of lib/recommend/answer.ts. */
const ANSWER = z.lazy(() =>
  z.object({
    user_id: z.string().nullable().describe("Null for a posted conversation of no stored user."),
    recommendation_id: z.string().nullable().describe(
      "Names what the answer was made from, signed. Events may carry it, and it asks for the next page. Null if it could " +
        "not be signed.",
    ),
    strategy: z.enum(["personal", "popular"])
      .describe("`popular` if nothing is known of the user, or if the user is in the control share."),
    arm: z.string().describe(
      "The part of the users that this one is in: `control` in the control share, `EXPERIMENT/ARM` in an experiment, else `default`.",
    ),
    led_by: z.enum(SOURCES).nullable()
      .describe("The source that contributes most to the items; null without items."),
    version: z.int().nullable()
      .describe("The data version that it was computed from; null if analytics did not respond."),
    generated_at: z.iso.datetime()
      .describe("When it was computed, which for a cached answer is in the past."),
    vetoes: z.array(NEGATION).describe(
      "What the user said that they do not want in a conversation that is not over: its campaigns are left out.",
    ),
    degraded: z.array(z.enum(["vectors", "graph", "analytics", "documents", "embeddings", "time"]))
      .describe(
        "Stores whose part is missing, `embeddings` if the model did not take part, `time` if too many requests came at once.",
      ),
    items: z.array(ITEM).describe("The most worth showing first."),
  }).meta({ id: "Answer" })
);

const K = { min: 1, max: 100, description: "At most so many items." } as const;
const K_RULE = `k must be a whole number from ${K.min} to ${K.max}`;
const MAX_EXCLUDED = 1_000;
const MAX_CURSOR_CHARACTERS = 8_192;
/** What an answer's id is made of: other characters would make of the longest one more than a URL may have. */
const ANSWER_ID = /^[A-Za-z0-9_.-]+$/;
/** Bounds of a posted conversation. */
const MAX_MESSAGES = 200;
const MAX_EVENTS = 1_000;
const MAX_MESSAGE_CHARACTERS = 8_000;
const MAX_BODY_BYTES = 2_097_152;

const ID_RULE = "this is not the recommendation_id of an answer of this service";
const cursorText = z.string("cursor must be a string, given once")
  .max(MAX_CURSOR_CHARACTERS, "cursor is too long")
  .regex(ANSWER_ID, ID_RULE)
  .describe(
    "The `recommendation_id` of the page before: what that and the pages before it showed is left out.",
  );
const DIVERSITY_RULE = "diversity must be a number from 0 to 1";
const DIVERSITY_ABOUT =
  "How much the score of a campaign is lowered for others of its category and intents before it. Default 0.1.";
const CATEGORY_ABOUT = "Only campaigns of this category.";
const INTENT_ABOUT = "Only campaigns that target this intent.";
const EXCLUDE_ABOUT = "Campaigns that are not wanted, such as those in a basket.";
const EXCLUDE_RULE = `exclude must be a list of at most ${MAX_EXCLUDED} ids, of 1 to 256 characters each`;

const SERVER_TIMING = "The stages cache, vectors, graph, analytics and rank, in milliseconds.";
const ANSWERED = {
  200: {
    description: "The answer.",
    schema: ANSWER,
    headers: {
      "Server-Timing": SERVER_TIMING,
      "X-Cache":
        "`hit`, `stale` while another request computes it again or analytics is down, `miss`, or `bypass` if it was " +
        "computed without the cache or analytics.",
    },
  },
} as const;
const POSTED_ANSWERED = {
  200: {
    ...ANSWERED[200],
    headers: {
      ...ANSWERED[200].headers,
      "Server-Timing": SERVER_TIMING.replace(",", ", documents, embeddings,"),
    },
  },
} as const;

interface RecommendationOptions {
  readonly recommender: Recommender;
  readonly metrics: ServingMetrics;
  readonly clock: Clock;
}

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
    k: wholeNumber("k", { ...K, default: DEFAULT_K }),
    intent: idParameter("intent", INTENT_ABOUT).exactOptional(),
    category: idParameter("category", CATEGORY_ABOUT).exactOptional(),
    exclude: z.union([
      idText("exclude", EXCLUDE_RULE),
      z.array(idText("exclude", EXCLUDE_RULE)).max(MAX_EXCLUDED),
    ], EXCLUDE_RULE)
      .transform((ids) => [ids].flat())
      .meta({
        description: `${EXCLUDE_ABOUT} May be given more than once.`,
        override: { type: "array", items: { type: "string" }, maxItems: MAX_EXCLUDED },
      })
      .exactOptional(),
    filter: filterText.exactOptional(),
    diversity: z.string(DIVERSITY_RULE).regex(/^(0?\.\d{1,6}|[01](\.0*)?)$/, DIVERSITY_RULE)
      .transform(Number)
      .meta({ description: DIVERSITY_ABOUT, override: { type: "number", minimum: 0, maximum: 1 } })
      .exactOptional(),
    cursor: cursorText.exactOptional(),
  }),
  responses: ANSWERED,
  errors: [503],
  handler: (options: RecommendationOptions) => async ({ params, query, note }) =>
    respond(options, note, await options.recommender.serve({ ...params, ...query })),
});

/** Rows without their user, who is that of the request; unknown fields of a row are ignored. */
const POSTED_MESSAGE = messageInput.omit({ user_id: true }).extend({
  message: text(MAX_MESSAGE_CHARACTERS),
  timestamp: messageInput.shape.timestamp.optional()
    .describe("If it is absent, the message was said now, after those before it in the list."),
});
const POSTED_EVENT = eventInput.omit({ user_id: true }).extend({
  timestamp: eventInput.shape.timestamp.optional().describe("If it is absent, now."),
});
const POSTED_ROWS = {
  messages: z.array(POSTED_MESSAGE, "messages must be a list").max(
    MAX_MESSAGES,
    `at most ${MAX_MESSAGES} messages`,
  )
    .optional().describe("What was said, in order. Nothing of it is stored."),
  events: z.array(POSTED_EVENT, "events must be a list").max(MAX_EVENTS, `at most ${MAX_EVENTS} events`)
    .optional().describe("What the user did. Nothing of it is stored."),
  exclude: z.array(id, EXCLUDE_RULE).max(MAX_EXCLUDED, EXCLUDE_RULE).optional().describe(EXCLUDE_ABOUT),
};
const POSTED_K = z.int(K_RULE).min(K.min, K_RULE).max(K.max, K_RULE).describe(K.description);

const PostedBody = z.strictObject({
  user_id: id.nullish().describe(
    "A stored user, whose own rows count too, before the posted ones. Without it the posted rows count alone.",
  ),
  ...POSTED_ROWS,
  k: POSTED_K.default(DEFAULT_K),
  intent: id.optional().describe(INTENT_ABOUT),
  category: id.optional().describe(CATEGORY_ABOUT),
  filter: filterText.optional(),
  diversity: z.number(DIVERSITY_RULE).min(0, DIVERSITY_RULE).max(1, DIVERSITY_RULE).optional()
    .describe(DIVERSITY_ABOUT),
  cursor: cursorText.optional(),
}, BODY_ERRORS);

const NextBody = z.strictObject({ ...POSTED_ROWS, k: POSTED_K.optional() }, BODY_ERRORS);

/** `POST /recommendations` with a conversation. */
export const postRecommendations = apiEndpoint({
  method: "POST",
  route: "/recommendations",
  scope: "read",
  answers: true,
  operation: "postRecommendations",
  tag: "recommendations",
  summary: "Campaigns worth showing in a conversation",
  description:
    "Campaigns worth showing to who said and did this, made as for a stored user. Nothing of the request is stored. If the " +
    "embedding model is not there or too slow, the answer is made from words, named campaigns, events and given intents, and " +
    "`degraded` has `embeddings`.",
  body: { schema: PostedBody, max_bytes: MAX_BODY_BYTES },
  responses: POSTED_ANSWERED,
  errors: [503],
  handler: (options: RecommendationOptions) => async ({ body, note }) => {
    const { user_id = null, messages = [], events = [], ...page } = body;
    if (user_id !== null && messages.length + events.length === 0) {
      return respond(options, note, await options.recommender.serve({ ...page, user_id }));
    }
    const rows = rowsOf(user_id, { messages, events }, options.clock.now());
    return respond(options, note, await options.recommender.servePosted({ ...page, user_id, ...rows }));
  },
});

export const nextRecommendations = apiEndpoint({
  method: "POST",
  route: "/recommendations/:id/next",
  scope: "read",
  answers: true,
  operation: "nextRecommendations",
  tag: "recommendations",
  summary: "The next page of an answer",
  description:
    "The page after the one with this `recommendation_id`, for the same user and with the same intent, category, filter and " +
    "diversity, without anything that was shown before, even if data have changed since. A posted conversation counts if it is " +
    "sent again, and so do campaigns to be left out. An answer has 500 items at most on all its pages; after them `items` is empty.",
  params: z.object({
    id: z.string().max(MAX_CURSOR_CHARACTERS, "the id is too long").regex(ANSWER_ID, ID_RULE).describe(
      "The `recommendation_id` of an answer.",
    ),
  }),
  body: { schema: NextBody, max_bytes: MAX_BODY_BYTES, optional: true },
  responses: POSTED_ANSWERED,
  errors: [503],
  handler: (options: RecommendationOptions) => async ({ params, body, note }) => {
    const { messages = [], events = [], ...page } = body;
    const rows = (user_id: string | null) => rowsOf(user_id, { messages, events }, options.clock.now());
    return respond(options, note, await options.recommender.serveNext(params.id, { ...page, rows }));
  },
});

/** Posted rows as those of the user. Without a time they are the newest, in their order. */
export function rowsOf(
  user_id: string | null,
  { messages, events }: {
    messages: readonly z.output<typeof POSTED_MESSAGE>[];
    events: readonly z.output<typeof POSTED_EVENT>[];
  },
  now: number,
): PostedRows {
  const owner = user_id ?? NO_USER;
  const at = (list: readonly unknown[], index: number) => iso(now - list.length + 1 + index);
  return {
    messages: messages.map((row, i) =>
      toMessage({ ...row, user_id: owner, timestamp: row.timestamp ?? at(messages, i) })
    ),
    events: events.map((row, i) =>
      toEvent({ ...row, user_id: owner, timestamp: row.timestamp ?? at(events, i) })
    ),
  };
}

/** Counts the answer and puts it into the request's log entry. */
function respond({ metrics }: RecommendationOptions, note: Note, served: ServedAnswer): Response {
  metrics.recordAnswer(served);
  note.cache = served.cache;
  if (served.failures.size + served.degraded.length > 0) note.degraded = causes(served);
  return toResponse(served);
}

/** Headers are set one by one: in the constructor they take Deno 2.9 several times as long. */
function toResponse(served: ServedAnswer): Response {
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
