import { bulkhead, isBulkheadRejectedError, timeout, TimeoutStrategy, z } from "../../deps.ts";
import { abortable } from "../../lib/core/abort.ts";
import type { IntentService } from "../../lib/intents/service.ts";
import { jsonBody } from "../http/body.ts";
import type { Endpoint } from "../http/endpoint.ts";
import { HttpError } from "../http/problem.ts";

const MAX_BYTES = 1_048_576;
const MAX_TEXTS = 64;
const MAX_TEXT = 8_000;
const RULE = `texts must be a list of 1 to ${MAX_TEXTS} texts`;

/** Requests that are worked on at one time, so that the session has its next texts at hand, and that wait for those. */
const AT_ONCE = 2;
const WAITING = 8;
/** How long a request may take in all, in milliseconds, where nothing else is set. */
const CLASSIFY_MS = 30_000;
const RETRY_AFTER_S = 5;

const Body = z.strictObject({
  texts: z.array(
    z.string("texts must be strings").max(MAX_TEXT, `a text must have at most ${MAX_TEXT} characters`)
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
 * `POST /intents/classify` with `{ texts: [..], top?: 3 }`: for each text its intent, null where it is out of scope,
 * the score of being in scope, and the likeliest intents with their probabilities, as `Classifications`
 * (lib/intents/service.ts). 503 with the reason where there is no classifier, or no model to embed with, and with
 * `Retry-After` where too many ask at once or the answer takes longer than `within_ms`.
 */
export function classifyIntents(service: IntentService, within_ms = CLASSIFY_MS): Endpoint {
  const inTurn = turns(within_ms);
  return {
    route: "/intents/classify",
    scope: "read",
    handle: async (context) => {
      const { texts, top } = Body.parse(await jsonBody(context, MAX_BYTES));
      const answer = await inTurn(
        (signal) => service.classify({ texts, top, signal }),
        context.req.raw.signal,
      );
      return Response.json(answer, { headers: { "cache-control": "no-store" } });
    },
  };
}

/** Takes so many requests at one time, and ends each that is aborted or late, waiting or not: its place is free then. */
function turns(within_ms: number) {
  const places = bulkhead(AT_ONCE, WAITING);
  const patience = timeout(within_ms, TimeoutStrategy.Cooperative);
  return <T>(work: (signal: AbortSignal) => Promise<T>, request: AbortSignal): Promise<T> =>
    patience.execute(async ({ signal }) => {
      const started = () => abortable(signal, () => work(signal));
      try {
        return await abortable(signal, () => places.execute(started, signal));
      } catch (error) {
        if (isBulkheadRejectedError(error)) throw later("too many ask at once: try again");
        if (!signal.aborted || request.aborted) throw error;
        throw later(`it took more than ${within_ms / 1_000} s: try again, or with fewer texts`);
      }
    }, request);
}

function later(detail: string): HttpError {
  return new HttpError(503, "unavailable", detail, { "retry-after": String(RETRY_AFTER_S) });
}
