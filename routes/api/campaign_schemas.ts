import { z } from "../../deps.ts";
import { round } from "../../lib/core/round.ts";
import type { CampaignWithStats } from "../../lib/recommend/campaign_page.ts";
import type { CampaignStats } from "../../lib/stores/analytics/port.ts";

export const STATUSES = ["active", "paused", "ended"] as const;

const count = z.int().min(0);

/** All users' events with one campaign, and its popularity. */
export const STATS = z.lazy(() =>
  z.object({
    impressions: count,
    clicks: count,
    conversions: count,
    dismissals: count,
    popularity: z.number().min(0).max(1).describe("Of the most popular campaign it is 1."),
  }).meta({
    id: "CampaignStats",
    description: "All users' events with the campaign up to the published version.",
  })
);

/** The data version of a response; null before the first one is published. */
export const VERSION = z.int().nullable().describe("The published data version; null before the first.");

/** A campaign as the catalogue has it. */
const STORED = z.lazy(() =>
  z.object({
    campaign_id: z.string(),
    title: z.string(),
    description: z.string().nullable(),
    aliases: z.array(z.string()),
    intents: z.array(z.string()),
    category: z.string().nullable(),
    tags: z.array(z.string()),
    starts_at: z.iso.datetime().nullable(),
    ends_at: z.iso.datetime().nullable(),
    status: z.enum(STATUSES),
    repurchase_days: z.number().nullable(),
    metadata: z.record(z.string(), z.unknown()).nullable(),
  })
);
export const STORED_CAMPAIGN = z.lazy(() => STORED.unwrap().meta({ id: "StoredCampaign" }));

/** The same with its stats. */
export const CAMPAIGN = z.lazy(() =>
  STORED.unwrap().extend({
    stats: STATS.nullable().describe("Null if nothing has been published yet."),
  }).meta({ id: "Campaign" })
);

export function campaignBody({ campaign, stats }: CampaignWithStats) {
  return { ...campaign, stats: stats && statsBody(stats) };
}

export function statsBody({ campaign_id: _, ...stats }: CampaignStats): Omit<CampaignStats, "campaign_id"> {
  return { ...stats, popularity: round(stats.popularity) };
}

/** What lists show of a campaign. */
export const LISTED = {
  campaign_id: z.string(),
  title: z.string(),
  category: z.string().nullable(),
};

export const DEGRADED = z.array(z.enum(["vectors", "graph", "analytics"])).describe(
  "Stores whose part is missing.",
);
