import { z } from "../../deps.ts";
import type { Recommender } from "../../lib/recommend/recommender.ts";
import { apiEndpoint } from "../http/api_endpoint.ts";
import { causesByStore } from "../http/endpoint.ts";
import { idParameter, queryOf, wholeNumber } from "../http/parameters.ts";
import { DEGRADED, LISTED, STATS, statsBody, VERSION } from "./campaign_schemas.ts";

const DEFAULT_K = 10;

export const popularCampaigns = apiEndpoint({
  method: "GET",
  route: "/popular",
  scope: "read",
  operation: "getPopularCampaigns",
  tag: "campaigns",
  summary: "The popular campaigns that may be shown now",
  description:
    "If analytics is down, `degraded` names it, and the campaigns are those that were popular last. 503 before the first publish.",
  query: queryOf({
    k: wholeNumber("k", { min: 1, max: 100, description: "At most so many items." }).default(DEFAULT_K),
    category: idParameter("category", "Only campaigns of this category.").exactOptional(),
    intent: idParameter("intent", "Only campaigns that target this intent.").exactOptional(),
  }),
  responses: {
    200: {
      description: "The popular campaigns.",
      schema: z.lazy(() =>
        z.object({
          version: VERSION,
          degraded: DEGRADED,
          items: z.array(z.object({ ...LISTED, stats: STATS })).describe("The most popular first."),
        }).meta({ id: "PopularCampaigns" })
      ),
    },
  },
  errors: [503],
  handler: ({ recommender }: { recommender: Recommender }) => async ({ query, note }) => {
    const { version, degraded, rows, failures } = await recommender.popular(query);
    if (failures.size > 0) note.degraded = causesByStore(failures);
    const items = rows.map(({ campaign: { campaign_id, title, category }, stats }) => ({
      campaign_id,
      title,
      category,
      stats: statsBody(stats),
    }));
    return Response.json({ version, degraded, items }, { headers: { "cache-control": "no-store" } });
  },
});
