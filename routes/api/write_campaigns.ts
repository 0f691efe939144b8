import { z } from "../../deps.ts";
import type { OnlineWriter } from "../../lib/online/online_writer.ts";
import { campaignFields, campaignInput } from "../../lib/schema/campaign.ts";
import { apiEndpoint } from "../http/api_endpoint.ts";
import { batchEndpoint } from "../http/batch.ts";
import { idParameter } from "../http/parameters.ts";
import { BODY_ERRORS } from "../http/problem.ts";
import { STORED_CAMPAIGN } from "./campaign_schemas.ts";

const MAX_BYTES = 1_048_576;
const ROUTE = "/campaigns/:campaign_id";
const PATCH = z.lazy(() =>
  campaignFields.omit({ campaign_id: true }).partial().strict().meta({
    id: "CampaignPatch",
    examples: [{ status: "paused" }],
  })
);
/** Fields by name; what each may be, the whole campaign decides. An unknown name would be taken for metadata. */
const CHANGES = z.strictObject(
  Object.fromEntries(Object.keys(campaignFields.shape).map((name) => [name, z.unknown().optional()])),
  BODY_ERRORS,
);
const Params = z.object({ campaign_id: idParameter("campaign_id", "The campaign's id.") });

export const writeCampaigns = batchEndpoint({
  kind: "campaigns",
  operation: "writeCampaigns",
  summary: "Store campaigns",
  description: "Stores campaigns, new ones or whole replacements. They can be in answers within a second.",
  row: campaignInput.meta({
    id: "CampaignInput",
    examples: [{
      campaign_id: "trail-shoes-grip",
      title: "Trail shoes for wet rock and bog",
      category: "shoes",
    }],
  }),
});

export const changeCampaign = apiEndpoint({
  method: "PATCH",
  route: ROUTE,
  scope: "write",
  operation: "changeCampaign",
  tag: "writing",
  summary: "Change a campaign",
  description:
    "A JSON merge patch (RFC 7396): the given fields replace those of the campaign, null removes one.",
  params: Params,
  body: {
    schema: CHANGES,
    documented: { "application/merge-patch+json": PATCH, "application/json": PATCH },
    types: ["application/merge-patch+json", "application/json"],
    max_bytes: MAX_BYTES,
  },
  responses: {
    200: {
      description: "The campaign as it is now.",
      schema: STORED_CAMPAIGN,
    },
  },
  errors: [404, 503],
  handler:
    ({ writer }: { writer: OnlineWriter }) => async ({ params: { campaign_id }, body, context, note }) => {
      const campaign = await writer.changeCampaign(campaign_id, body, { signal: context.req.raw.signal });
      note.facts = { campaign_ids: [campaign_id] };
      return Response.json(campaign, { headers: { "cache-control": "no-store" } });
    },
});

export const deleteCampaign = apiEndpoint({
  method: "DELETE",
  route: ROUTE,
  scope: "write",
  operation: "deleteCampaign",
  tag: "writing",
  summary: "Delete a campaign",
  description:
    "No answer has it from then on. Its events stay. If a source of the nightly run has it, it comes back when that source is " +
    "read again: give it the status `ended` there.",
  params: Params,
  responses: { 204: { description: "It is deleted." } },
  errors: [404, 503],
  handler: ({ writer }: { writer: OnlineWriter }) => async ({ params: { campaign_id }, context, note }) => {
    await writer.deleteCampaign(campaign_id, { signal: context.req.raw.signal });
    note.facts = { campaign_ids: [campaign_id] };
    return new Response(null, { status: 204 });
  },
});
