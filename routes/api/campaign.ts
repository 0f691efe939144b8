import { z } from "../../deps.ts";
import { ParleyError } from "../../lib/core/errors.ts";
import { withStats } from "../../lib/recommend/campaign_page.ts";
import type { AnalyticsStore } from "../../lib/stores/analytics/port.ts";
import { apiEndpoint } from "../http/api_endpoint.ts";
import { idParameter } from "../http/parameters.ts";
import { CAMPAIGN, campaignBody, VERSION } from "./campaign_schemas.ts";

export const campaign = apiEndpoint({
  method: "GET",
  route: "/campaigns/:campaign_id",
  scope: "read",
  operation: "getCampaign",
  tag: "campaigns",
  summary: "One campaign",
  params: z.object({ campaign_id: idParameter("campaign_id", "The campaign.") }),
  responses: {
    200: {
      description: "The campaign.",
      schema: z.lazy(() => z.object({ version: VERSION, campaign: CAMPAIGN })),
    },
  },
  errors: [404, 503],
  handler: (
    { stores: { analytics } }: {
      stores: { analytics: Pick<AnalyticsStore, "campaigns" | "published" | "stats"> };
    },
  ) =>
  async ({ params: { campaign_id }, context }) => {
    const { signal } = context.req.raw;
    const [published, campaigns] = await Promise.all([
      analytics.published({ signal }),
      analytics.campaigns({ campaign_ids: [campaign_id], signal }),
    ]);
    const [row] = await withStats(campaigns, { analytics, published, signal });
    if (row === undefined) throw new ParleyError("not_found", "the catalogue has no campaign with this id");
    const body = { version: published?.version ?? null, campaign: campaignBody(row) };
    return Response.json(body, { headers: { "cache-control": "no-store", vary: "accept" } });
  },
});
