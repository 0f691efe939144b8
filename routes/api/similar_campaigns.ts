import { z } from "../../deps.ts";
import { round } from "../../lib/core/round.ts";
import type { Recommender } from "../../lib/recommend/recommender.ts";
import { apiEndpoint } from "../http/api_endpoint.ts";
import { causesByStore } from "../http/endpoint.ts";
import { idParameter, queryOf, wholeNumber } from "../http/parameters.ts";
import { DEGRADED, LISTED, STATS, statsBody } from "./campaign_schemas.ts";

const DEFAULT_K = 10;

export const similarCampaigns = apiEndpoint({
  method: "GET",
  route: "/campaigns/:campaign_id/similar",
  scope: "read",
  operation: "getSimilarCampaigns",
  tag: "campaigns",
  summary: "Campaigns like one",
  description:
    "Campaigns that may be shown now and are alike in meaning, or that users engage with who engage with this one. Those of " +
    "which neither is known are left out, so there may be fewer than `k`. Without the vectors, which `degraded` names then, it is " +
    "co-engagement alone. 503 before the first publish and without analytics.",
  params: z.object({ campaign_id: idParameter("campaign_id", "The campaign.") }),
  query: queryOf({
    k: wholeNumber("k", { min: 1, max: 100, description: "At most so many items." }).default(DEFAULT_K),
  }),
  responses: {
    200: {
      description: "The similar campaigns.",
      schema: z.lazy(() =>
        z.object({
          campaign_id: z.string(),
          version: z.int(),
          degraded: DEGRADED,
          items: z.array(z.object({
            ...LISTED,
            score: z.number().min(0).max(1),
            sources: z.object({
              similarity: z.number().min(0).max(1),
              co_engagement: z.number().min(0).max(1),
            }),
            stats: STATS,
          })).describe("The most similar first."),
        }).meta({ id: "SimilarCampaigns" })
      ),
    },
  },
  errors: [404, 503],
  handler:
    ({ recommender }: { recommender: Recommender }) =>
    async ({ params: { campaign_id }, query: { k }, note }) => {
      const { version, degraded, rows, failures } = await recommender.similar({ campaign_id, k });
      if (failures.size > 0) note.degraded = causesByStore(failures);
      const items = rows.map(({ campaign, score, sources: { similarity, co_engagement }, stats }) => ({
        campaign_id: campaign.campaign_id,
        title: campaign.title,
        category: campaign.category,
        score: round(score),
        sources: { similarity, co_engagement },
        stats: statsBody(stats),
      }));
      const body = { campaign_id, version, degraded, items };
      return Response.json(body, { headers: { "cache-control": "no-store" } });
    },
});
