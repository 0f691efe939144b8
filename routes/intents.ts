import { z } from "../deps.ts";
import type { IntentService } from "../lib/intents/service.ts";
import { jsonBody } from "./body.ts";
import type { Endpoint } from "./endpoint.ts";

const MAX_BYTES = 1_048_576;
const MAX_TEXTS = 64;
const MAX_TEXT = 8_000;
const RULE = `texts must be a list of 1 to ${MAX_TEXTS} texts`;

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
 * (lib/intents/service.ts). 503 with the reason where there is no classifier, or no model to embed with.
 */
export function classifyIntents(service: IntentService): Endpoint {
  return {
    route: "/intents/classify",
    scope: "read",
    handle: async (context) => {
      const { texts, top } = Body.parse(await jsonBody(context, MAX_BYTES));
      const answer = await service.classify({ texts, top, signal: context.req.raw.signal });
      return Response.json(answer, { headers: { "cache-control": "no-store" } });
    },
  };
}
