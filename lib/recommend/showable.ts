import type { Abortable, Campaign } from "../core/types.ts";
import type { AnalyticsStore, CampaignStats } from "../stores/analytics/port.ts";
import { parseFilter } from "./filter.ts";

/** A campaign as analytics holds it. */
export interface CampaignRow {
  readonly campaign: Campaign;
  readonly stats: CampaignStats;
}

/** Those of these campaigns that exist and may be shown at `now` (ISO 8601), with their stats. */
export async function loadShowable(
  { now, ...options }: LoadOptions & { now: string },
): Promise<CampaignRow[]> {
  return (await loadRows(options)).filter(({ campaign }) => isShowable(campaign, now));
}

interface LoadOptions extends Abortable {
  readonly analytics: Pick<AnalyticsStore, "campaigns" | "stats">;
  readonly version: number;
  readonly campaign_ids: readonly string[];
}

/** Those of these campaigns that exist, with their stats, in ascending id. */
export async function loadRows(
  { analytics, version, campaign_ids, signal }: LoadOptions,
): Promise<CampaignRow[]> {
  const [campaigns, stats] = await Promise.all([
    analytics.campaigns({ campaign_ids, signal }),
    analytics.stats({ version, campaign_ids, signal }),
  ]);
  const byId = new Map(stats.map((row) => [row.campaign_id, row]));
  return campaigns.map((campaign) => ({
    campaign,
    stats: byId.get(campaign.campaign_id) ?? newCampaign(campaign.campaign_id),
  }));
}

/** Active, begun and not ended. ISO times in UTC with milliseconds compare as text. */
export function isShowable(campaign: Campaign, now: string): boolean {
  return campaign.status === "active" &&
    (campaign.starts_at === null || campaign.starts_at <= now) &&
    (campaign.ends_at === null || now < campaign.ends_at);
}

/** What a request asks of the campaigns in its answer. */
export interface CampaignConditions {
  readonly intent?: string | undefined;
  readonly category?: string | undefined;
  /** An expression as `parseFilter()` takes it. */
  readonly filter?: string | undefined;
}

/** Whether a campaign meets all conditions. Throws `invalid` if the filter is wrong. */
export function conditionOf({ filter, ...rest }: CampaignConditions): (campaign: Campaign) => boolean {
  if (filter === undefined) return (campaign) => matchesFilter(campaign, rest);
  const passes = parseFilter(filter);
  return (campaign) => matchesFilter(campaign, rest) && passes(campaign);
}

/** Whether the campaign targets the requested intent and has the requested category, if there are any. */
export function matchesFilter(
  campaign: Campaign,
  { intent, category }: Omit<CampaignConditions, "filter">,
): boolean {
  return (intent === undefined || campaign.intents.includes(intent)) &&
    (category === undefined || campaign.category === category);
}

/** The stats of a campaign without any event. */
export function newCampaign(campaign_id: string): CampaignStats {
  return { campaign_id, impressions: 0, clicks: 0, conversions: 0, dismissals: 0, popularity: 0 };
}
