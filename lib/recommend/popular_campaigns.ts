import { compareText } from "../core/text.ts";
import type { Abortable } from "../core/types.ts";
import type { AnalyticsStore } from "../stores/analytics/port.ts";
import type { PopularReader } from "./candidates/popularity.ts";
import { type CampaignRow, loadShowable, matchesFilter } from "./showable.ts";

/** How far down the popular list is read, past campaigns that may not be shown. */
const READ_LIMITS = Object.freeze([400, 1_600, 6_400]);
/** Campaigns that are read at a time, as a multiple of `k` and at least. */
const PAGE = Object.freeze({ times: 4, least: 40 });
/** Campaigns of a category or an intent that are compared with each other, if few of them are at the head of the list. */
const MAX_OF_FILTER = 1_000;

export interface PopularRequest {
  /** At most so many. */
  readonly k: number;
  readonly category?: string | undefined;
  readonly intent?: string | undefined;
}

/**
 * The most popular campaigns under a data version that may be shown at `now` (ISO 8601), best first, ties by id; with a category or an
 * intent only those. There are fewer than `k` if no more may be shown, or if they are further down than 6,400 of the list and more
 * than 1,000 have that category or intent.
 */
export async function popularCampaigns(
  { analytics, popular, version, now, k, signal, ...filter }:
    & {
      analytics: Pick<AnalyticsStore, "campaigns" | "campaignPage" | "stats">;
      popular: PopularReader;
      version: number;
      now: string;
    }
    & PopularRequest
    & Abortable,
): Promise<CampaignRow[]> {
  const load = async (campaign_ids: readonly string[]) =>
    (await loadShowable({ analytics, version, campaign_ids, now, signal }))
      .filter(({ campaign }) => matchesFilter(campaign, filter)).sort(byPopularity);
  const rows: CampaignRow[] = [];
  const page = Math.max(PAGE.least, PAGE.times * k);
  let at = 0;
  for (const limit of READ_LIMITS) {
    const list = await popular.top({ version, limit, signal });
    while (at < list.length && rows.length < k) {
      const part = list.slice(at, at + page);
      rows.push(...await load(part.map(({ campaign_id }) => campaign_id)));
      at += part.length;
    }
    if (rows.length >= k || list.length < limit) break;
    if (limit > READ_LIMITS[0]! || Object.values(filter).every((value) => value === undefined)) continue;
    const own = await analytics.campaignPage({
      after: null,
      limit: MAX_OF_FILTER + 1,
      search: { ...filter, status: "active" },
      signal,
    });
    if (own.length > MAX_OF_FILTER) continue;
    return (await load(own.map(({ campaign_id }) => campaign_id))).slice(0, k);
  }
  return rows.slice(0, k);
}

function byPopularity(a: CampaignRow, b: CampaignRow): number {
  return b.stats.popularity - a.stats.popularity ||
    compareText(a.campaign.campaign_id, b.campaign.campaign_id);
}
