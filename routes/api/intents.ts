import { z } from "../../deps.ts";
import type { Embedder } from "../../lib/embed/port.ts";
import { IntentService, type IntentStores } from "../../lib/intents/intent_service.ts";
import { apiEndpoint } from "../http/api_endpoint.ts";
import { limiter } from "../http/limiter.ts";

const MAX_BYTES = 1_048_576;
const MAX_TEXTS = 64;
const MAX_TEXT_LENGTH = 8_000;
const RULE = `texts must be a list of 1 to ${MAX_TEXTS} texts`;

/** Requests at one time: two, so that the model never waits for the next texts, and those in the queue. */
const LIMITS = Object.freeze({ max_running: 2, max_queued: 8, remedy: "try again, or with fewer texts" });
/** How long a request may take by default. */
const CLASSIFY_TIMEOUT_MS = 30_000;

const Body = z.strictObject({
  texts: z.array(
    z.string("texts must be strings").max(
      MAX_TEXT_LENGTH,
      `a text must have at most ${MAX_TEXT_LENGTH} characters`,
    )
      .regex(/\S/, "a text must not be blank"),
    RULE,
  ).min(1, RULE).max(MAX_TEXTS, RULE),
  top: z.int("top must be a whole number").min(1, "top must be at least 1").max(20, "top must be at most 20")
    .default(3),
}, {
  error: (issue) =>
    issue.code === "unrecognized_keys" ? "only texts and top are known" : `the body must be {"texts": [...]}`,
});

const SHARE = z.number().min(0).max(1);

/** `Classifications` of lib/intents/intent_service.ts. */
const CLASSIFICATIONS = z.lazy(() =>
  z.object({
    classifier: z.string(),
    model: z.string().describe("The embedding model that the classifier was learnt with."),
    threshold: SHARE.describe("From this score on a text is in scope."),
    results: z.array(z.object({
      intent: z.string().nullable().describe("The best intent; null if the text is out of scope."),
      score: SHARE.describe("How well the text fits any intent at all."),
      intents: z.array(z.object({ intent: z.string(), probability: SHARE })).describe(
        "The most probable intents, best first, with the probability of each if the text is in scope.",
      ),
    })).describe("One for each text, in their order."),
  }).meta({ id: "Classifications" })
);

/** What the endpoint needs; `classify_ms` is how long a request may take, by default {@link CLASSIFY_TIMEOUT_MS}. */
interface ClassifyOptions {
  readonly stores: IntentStores;
  readonly embedder?: () => Promise<Embedder>;
  readonly classify_ms?: number;
}

export const classifyIntents = apiEndpoint({
  method: "POST",
  route: "/intents/classify",
  scope: "read",
  operation: "classifyIntents",
  tag: "intents",
  summary: "The intents of texts",
  description:
    "For each text its intent, as the pipeline classifies messages. 503 with the reason if there is no classifier " +
    "or no model to embed with, and with `Retry-After` if there are too many requests at once or the answer takes too long.",
  body: { schema: Body, max_bytes: MAX_BYTES },
  responses: { 200: { description: "The classifications.", schema: CLASSIFICATIONS } },
  errors: [503],
  handler: (options: ClassifyOptions) => {
    const service = new IntentService(options);
    const limited = limiter({ ...LIMITS, timeout_ms: options.classify_ms ?? CLASSIFY_TIMEOUT_MS });
    return async ({ body, context }) => {
      const answer = await limited(
        (signal) => service.classify({ ...body, signal }),
        context.req.raw.signal,
      );
      return Response.json(answer, { headers: { "cache-control": "no-store" } });
    };
  },
});
