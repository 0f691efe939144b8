import { cursorOf, cursorParameter, NEXT, partsOf } from "../http/cursor.ts";
import { z } from "../../deps.ts";
import { wordsOf } from "../../lib/core/text.ts";
import { readCampaignPage } from "../../lib/recommend/campaign_page.ts";
import { parseFilter } from "../../lib/recommend/filter.ts";
import type { AnalyticsStore } from "../../lib/stores/analytics/port.ts";
import { apiEndpoint } from "../http/api_endpoint.ts";
import { filterText, idParameter, queryOf, wholeNumber } from "../http/parameters.ts";
import { CAMPAIGN, campaignBody, STATUSES, VERSION } from "./campaign_schemas.ts";

const DEFAULT_LIMIT = 20;
const MAX_QUERY_CHARACTERS = 200;
const STATUS_RULE = `status must be one of ${STATUSES.join(", ")}, given once`;
const QUERY_RULE = `q must have at most ${MAX_QUERY_CHARACTERS} characters, and be given once`;

export const findCampaigns = apiEndpoint({
  method: "GET",
  route: "/campaigns",
  scope: "read",
  operation: "findCampaigns",
  tag: "campaigns",
  summary: "The catalogue, or a search of it",
  description:
    "Campaigns in ascending id. `next` is the `cursor` of the next page; null on the last one. With a `filter` that hardly " +
    "any campaign passes, a page may have fewer than `limit` although it has a `next`.",
  query: queryOf({
    q: z.string(QUERY_RULE).max(MAX_QUERY_CHARACTERS, QUERY_RULE).describe(
      "Only campaigns that have all of these words, or words that begin with them, in the id, title, aliases, description, " +
        "category, tags or intents.",
    ).exactOptional(),
    category: idParameter("category", "Only campaigns of this category.").exactOptional(),
    intent: idParameter("intent", "Only campaigns that target this intent.").exactOptional(),
    status: z.enum(STATUSES, STATUS_RULE).describe("Only campaigns with this status.")
      .exactOptional(),
    filter: filterText.exactOptional(),
    limit: wholeNumber("limit", { min: 1, max: 100, description: "At most so many campaigns." })
      .default(DEFAULT_LIMIT),
    cursor: cursorParameter,
  }),
  responses: {
    200: {
      description: "A page of campaigns.",
      schema: z.lazy(() =>
        z.object({
          version: VERSION,
          campaigns: z.array(CAMPAIGN),
          next: NEXT,
        }).meta({ id: "CampaignPage" })
      ),
    },
  },
  errors: [503],
  handler: (
    { stores: { analytics } }: {
      stores: { analytics: Pick<AnalyticsStore, "campaignPage" | "published" | "stats"> };
    },
  ) =>
  async ({ query: { q = "", filter, limit, cursor, ...search }, context }) => {
    const words = wordsOf(q);
    const after = cursor === undefined ? null : partsOf(cursor, 1)[0]!;
    // Nothing has the words of a text without any.
    const isEmpty = q.trim() !== "" && words.length === 0;
    const { signal } = context.req.raw;
    const passes = filter === undefined ? undefined : parseFilter(filter);
    const page = await readCampaignPage({
      analytics,
      search: { ...search, words },
      passes,
      after,
      limit,
      signal,
    });
    const rows = isEmpty ? [] : page.rows;
    const next = page.next === null || isEmpty ? null : cursorOf([page.next]);
    const body = { version: page.version, campaigns: rows.map(campaignBody), next };
    return Response.json(body, { headers: { "cache-control": "no-store", vary: "accept" } });
  },
});
