import { bulkhead, isBulkheadRejectedError, timeout, TimeoutStrategy, z } from "../../deps.ts";
import { abortable } from "../../lib/core/abort.ts";
import type { IntentService } from "../../lib/intents/intent_service.ts";
import { jsonBody } from "../http/body.ts";
import type { Endpoint } from "../http/endpoint.ts";
import { HttpError } from "../http/problem.ts";

const MAX_BYTES = 1_048_576;
const MAX_TEXTS = 64;
const MAX_TEXT_LENGTH = 8_000;
const RULE = `texts must be a list of 1 to ${MAX_TEXTS} texts`;

/** Requests at one time: two, so that the model never waits for the next texts, and those in the queue. */
const MAX_RUNNING = 2;
const MAX_QUEUED = 8;
/** How long a request may take by default. */
const CLASSIFY_TIMEOUT_MS = 30_000;
const RETRY_AFTER_S = 5;

const Body = z.strictObject({
  texts: z.array(
    z.string("texts must be strings").max(
      MAX_TEXT_LENGTH,
      `a text must have at most ${MAX_TEXT_LENGTH} characters`,
    )
      .refine((text) => text.trim() !== "", "a text must not be blank"),
    RULE,
  ).min(1, RULE).max(MAX_TEXTS, RULE),
  top: z.int("top must be a whole number").min(1, "top must be at least 1").max(20, "top must be at most 20")
    .default(3),
}, {
  error: (issue) =>
    issue.code === "unrecognized_keys" ? "only texts and top are known" : `the body must be {"texts": [...]}`,
});

/**
 * `POST /intents/classify` with `{ texts: [..], top?: 3 }`: for each text its intent, null if it is out of scope,
 * the score of being in scope, and the most probable intents with their probabilities, as `Classifications`
 * (lib/intents/intent_service.ts). 503 with the reason if there is no classifier or no model to embed with, and with
 * `Retry-After` if there are too many requests at once or the answer takes longer than `timeout_ms`.
 */
export function classifyIntents(service: IntentService, timeout_ms = CLASSIFY_TIMEOUT_MS): Endpoint {
  const limited = limiter(timeout_ms);
  return {
    route: "/intents/classify",
    scope: "read",
    handle: async (context) => {
      const { texts, top } = Body.parse(await jsonBody(context, MAX_BYTES));
      const answer = await limited(
        (signal) => service.classify({ texts, top, signal }),
        context.req.raw.signal,
      );
      return Response.json(answer, { headers: { "cache-control": "no-store" } });
    },
  };
}

/** Limits how many requests run and wait, and ends a request that is aborted or late, which frees its slot. */
function limiter(timeout_ms: number) {
  const slots = bulkhead(MAX_RUNNING, MAX_QUEUED);
  const deadline = timeout(timeout_ms, TimeoutStrategy.Cooperative);
  return <T>(work: (signal: AbortSignal) => Promise<T>, request: AbortSignal): Promise<T> =>
    deadline.execute(async ({ signal }) => {
      const start = () => abortable(signal, () => work(signal));
      try {
        return await abortable(signal, () => slots.execute(start, signal));
      } catch (error) {
        if (isBulkheadRejectedError(error)) throw retryLater("too many requests at once: try again");
        if (!signal.aborted || request.aborted) throw error;
        throw retryLater(`it took more than ${timeout_ms / 1_000} s: try again, or with fewer texts`);
      }
    }, request);
}

function retryLater(detail: string): HttpError {
  return new HttpError(503, "unavailable", detail, { "retry-after": String(RETRY_AFTER_S) });
}
