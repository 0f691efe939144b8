import { DAY_MS, iso } from "../../../lib/core/clock.ts";
import type { Campaign } from "../../../lib/core/types.ts";
import { type Rate, wilson } from "../../../lib/ml/wilson.ts";
import type {
  CampaignEngagement,
  EngagementDay,
  StrategyEngagement,
} from "../../../lib/stores/analytics/port.ts";
import type { PageContext, PageStores } from "../../http/page.ts";
import { cachedRead, type ReadResult } from "../../http/try_read.ts";

/** Campaigns that are read, those with the most events. */
const MAX_CAMPAIGNS = 1_000;
const MAX_STRATEGIES = 20;

type Counts = Omit<CampaignEngagement, "campaign_id">;

/** Counts with the rate of clicks among impressions; null if there are more clicks than impressions, or no impressions. */
export interface CampaignRate extends Counts {
  readonly rate: Rate | null;
}
export interface EngagementData {
  readonly days: readonly (EngagementDay & CampaignRate)[];
  /** Most events first. `campaign` is null for a deleted one. */
  readonly campaigns: readonly (CampaignEngagement & CampaignRate & { readonly campaign: Campaign | null })[];
  /** Most impressions first; a campaign counts for each of its intents. */
  readonly intents: readonly (CampaignRate & { readonly intent: string; readonly campaigns: number })[];
  /** Most events first; null for events without a strategy. */
  readonly strategies: readonly (StrategyEngagement & CampaignRate)[];
  /** Whether there are more campaigns than were read. */
  readonly cut: boolean;
}

/** Engagement of the last `days` UTC days, with today. */
export function readEngagement(
  context: PageContext,
  { days, now }: { days: number; now: number },
): Promise<ReadResult<EngagementData>> {
  return cachedRead(context, `engagement ${days}`, () => read(context.stores.analytics, days, now));
}

async function read(analytics: PageStores["analytics"], days: number, now: number): Promise<EngagementData> {
  const span = spanOf(days, now);
  const [daily, found, strategies] = await Promise.all([
    analytics.daily(span),
    analytics.byCampaign({ ...span, limit: MAX_CAMPAIGNS }),
    analytics.byStrategy({ ...span, limit: MAX_STRATEGIES }),
  ]);
  const rows = await analytics.campaigns({ campaign_ids: found.map(({ campaign_id }) => campaign_id) });
  const byId = new Map(rows.map((row) => [row.campaign_id, row]));
  const campaigns = found.map((each) => ({
    ...withRate(each),
    campaign: byId.get(each.campaign_id) ?? null,
  }));
  return {
    days: everyDay(daily, { days, now }),
    campaigns,
    intents: byIntent(campaigns),
    strategies: strategies.map(withRate),
    cut: found.length === MAX_CAMPAIGNS,
  };
}

const NONE: Counts = Object.freeze({ impressions: 0, clicks: 0, conversions: 0, dismissals: 0 });

export function totalOf(counts: readonly Counts[]): CampaignRate {
  return withRate(counts.reduce(plus, NONE));
}

export function withRate<Row extends Counts>(row: Row): Row & CampaignRate {
  return { ...row, rate: wilson(row.clicks, row.impressions) };
}

function plus(a: Counts, b: Counts): Counts {
  return {
    impressions: a.impressions + b.impressions,
    clicks: a.clicks + b.clicks,
    conversions: a.conversions + b.conversions,
    dismissals: a.dismissals + b.dismissals,
  };
}

/** The last `days` UTC days, with today. */
export function spanOf(days: number, now: number): { since: string; until: string } {
  const today = Math.floor(now / DAY_MS) * DAY_MS;
  return { since: iso(today - (days - 1) * DAY_MS), until: iso(today + DAY_MS) };
}

/** Each of those days with its rate, also if it has no events. */
export function everyDay(
  known: readonly EngagementDay[],
  { days, now }: { days: number; now: number },
): EngagementData["days"] {
  const byDay = new Map(known.map((each) => [each.day, each]));
  const today = Math.floor(now / DAY_MS) * DAY_MS;
  return Array.from({ length: days }, (_, i) => {
    const day = iso(today - (days - 1 - i) * DAY_MS).slice(0, 10);
    return withRate(byDay.get(day) ?? { day, ...NONE });
  });
}

function byIntent(campaigns: EngagementData["campaigns"]): EngagementData["intents"] {
  const totals = new Map<string, { campaigns: number; counts: Counts }>();
  for (const each of campaigns) {
    for (const intent of each.campaign?.intents ?? []) {
      const { campaigns, counts } = totals.get(intent) ?? { campaigns: 0, counts: NONE };
      totals.set(intent, { campaigns: campaigns + 1, counts: plus(counts, each) });
    }
  }
  return Array.from(totals, ([intent, { campaigns, counts }]) => ({ intent, campaigns, ...withRate(counts) }))
    .sort((a, b) => b.impressions - a.impressions || (a.intent < b.intent ? -1 : 1));
}
