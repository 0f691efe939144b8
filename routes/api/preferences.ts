import { z } from "../../deps.ts";
import { setPreferences } from "../../lib/privacy/preferences.ts";
import type { UserStores } from "../../lib/privacy/stores.ts";
import { apiEndpoint } from "../http/api_endpoint.ts";
import { idParameter } from "../http/parameters.ts";

const MAX_BYTES = 4_096;
const BODY_RULE = 'the body must be {"personalisation": true or false}';

const PREFERENCES = z.strictObject({
  personalisation: z.boolean("personalisation must be true or false").describe(
    "Whether answers are made from what the user said and did, and count it for others.",
  ),
}, BODY_RULE).meta({ id: "Preferences" });

export const putPreferences = apiEndpoint({
  method: "PUT",
  route: "/users/:user_id/preferences",
  scope: "admin",
  operation: "setPreferences",
  tag: "users",
  summary: "Whether a user wants personalisation",
  description:
    "Without personalisation the user gets popular answers from the next request on, and nothing is derived from the " +
    "user's messages and events, which stay stored. With it again, the next write or nightly run derives them. 409 for an erased user.",
  params: z.object({ user_id: idParameter("user_id", "The user, who may be unknown.") }),
  body: { schema: PREFERENCES, max_bytes: MAX_BYTES },
  responses: { 200: { description: "The preferences as they are now.", schema: PREFERENCES } },
  errors: [409, 503],
  handler: ({ stores }: { stores: UserStores }) => async ({ params: { user_id }, body, note, report }) => {
    const log = (line: string) => report(new Error(line));
    await setPreferences({ stores, user_id, preferences: body, log });
    note.facts = { ...body };
    return Response.json(body, { headers: { "cache-control": "no-store" } });
  },
});
