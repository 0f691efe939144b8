import { DAY_MS, iso } from "../core/clock.ts";
import type { FinalEngagement } from "../stores/analytics/port.ts";

/**
 * A campaign that is not shown to a user because of what they did, and from when it may be shown again (ISO 8601); null: never.
 */
export interface SuppressedCampaign {
  readonly campaign_id: string;
  /** A mention suppresses only if users name what they know; a negation until its conversation is over. */
  readonly by: "conversion" | "dismissal" | "negation" | "mention";
  readonly until: string | null;
}

/** The last day that ISO 8601 writes with four digits for the year. */
const MAX_TIME = Date.UTC(9999, 11, 31);

/**
 * Campaigns that are not to be shown at `now` (epoch milliseconds): dismissed ones permanently, and those converted on until the
 * campaign's own `repurchase_days` after the last conversion, or if it has none these; null is never.
 */
export function suppressedCampaigns(
  rows: readonly FinalEngagement[],
  { now, repurchase_days }: { now: number; repurchase_days: number | null },
): SuppressedCampaign[] {
  return rows.flatMap<SuppressedCampaign>(
    ({ campaign_id, converted_at, dismissals, repurchase_days: own_days }) => {
      const days = own_days ?? repurchase_days;
      if (dismissals > 0) return [{ campaign_id, by: "dismissal", until: null }];
      if (converted_at === null || days === null) return [{ campaign_id, by: "conversion", until: null }];
      const until = Math.min(MAX_TIME, Date.parse(converted_at) + days * DAY_MS);
      return until <= now ? [] : [{ campaign_id, by: "conversion", until: iso(until) }];
    },
  );
}
