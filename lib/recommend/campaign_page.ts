import type { Abortable, Campaign, Published } from "../core/types.ts";
import type { AnalyticsStore, CampaignSearch, CampaignStats } from "../stores/analytics/port.ts";

/** Campaigns that one page reads at most to find those that pass a condition. */
const MAX_READ = 2_000;
const BATCH = 200;

/** A campaign with its stats under the published version; null before the first one. */
export interface CampaignWithStats {
  readonly campaign: Campaign;
  readonly stats: CampaignStats | null;
}

export interface CampaignPage {
  /** The published version; null before the first. */
  readonly version: number | null;
  /** In ascending id. */
  readonly rows: readonly CampaignWithStats[];
  /** The campaign that the next page begins after; null if there are no more. */
  readonly next: string | null;
}

interface CampaignPageOptions extends Abortable {
  readonly analytics: Pick<AnalyticsStore, "campaignPage" | "published" | "stats">;
  readonly search: CampaignSearch;
  readonly after: string | null;
  readonly limit: number;
  /** A condition that a search cannot express. */
  readonly passes?: ((campaign: Campaign) => boolean) | undefined;
}

/**
 * Campaigns of the catalogue that match a search and pass a condition. If hardly any campaigns pass, a page has fewer than `limit`, and still a
 * `next`, because one page reads a bounded number of them.
 */
export async function readCampaignPage(
  { analytics, search, after: from, limit, passes, signal }: CampaignPageOptions,
): Promise<CampaignPage> {
  const published = await analytics.published({ signal });
  const found: Campaign[] = [];
  let [after, read, isComplete] = [from, 0, false];
  while (found.length <= limit && read < MAX_READ && !isComplete) {
    const batch = passes === undefined ? limit + 1 : BATCH;
    const campaigns = await analytics.campaignPage({ after, limit: batch, search, signal });
    found.push(...passes === undefined ? campaigns : campaigns.filter(passes));
    after = campaigns.at(-1)?.campaign_id ?? after;
    read += campaigns.length;
    isComplete = campaigns.length < batch;
  }
  const campaigns = found.slice(0, limit);
  const hasMore = found.length > limit || !isComplete;
  const last = found.length > limit ? campaigns.at(-1)!.campaign_id : after;
  const rows = await withStats(campaigns, { analytics, published, signal });
  return { version: published?.version ?? null, rows, next: hasMore ? last : null };
}

/** These campaigns with their stats under the published version. */
export async function withStats(
  campaigns: readonly Campaign[],
  { analytics, published, signal }: {
    analytics: Pick<AnalyticsStore, "stats">;
    published: Pick<Published, "version"> | null;
  } & Abortable,
): Promise<CampaignWithStats[]> {
  if (published === null) return campaigns.map((campaign) => ({ campaign, stats: null }));
  const campaign_ids = campaigns.map(({ campaign_id }) => campaign_id);
  const stats = await analytics.stats({ version: published.version, campaign_ids, signal });
  const byId = new Map(stats.map((row) => [row.campaign_id, row]));
  return campaigns.map((campaign) => ({ campaign, stats: byId.get(campaign.campaign_id)! }));
}
