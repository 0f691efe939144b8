import { DAY_MS } from "../../core/clock.ts";
import type { EventType } from "../../core/types.ts";
import type { CampaignStats, EngagementCounts } from "./port.ts";

/** How many events of each type one campaign had on one UTC day. */
export interface CampaignDay extends EngagementCounts {
  readonly campaign_id: string;
  /** `YYYY-MM-DD`; null for a campaign without events, which has one such row. */
  readonly day: string | null;
}

/** What one event says about a campaign: an impression says little, a click or conversion much, a dismissal the opposite. */
const WEIGHTS: Readonly<Record<EventType, number>> = {
  impression: 0.05,
  click: 1,
  conversion: 3,
  dismissal: -1,
};

/** Events that the prior counts for: a campaign with ten events is judged half by itself, half as the average one. */
const PRIOR_EVENTS = 10;

interface DecayedCounts {
  readonly stats: { -readonly [key in keyof CampaignStats]: CampaignStats[key] };
  /** Sum of weights, decayed. */
  weight: number;
  /** Number of events, decayed. */
  events: number;
}

/**
 * Popularity from engagement, independent of the order of campaigns and of the time of the call.
 *
 * An event `a` whole UTC days older than the newest counts as `2^(-a / half_life_days)` events. Newest is the newest that
 * can be right: a later event counts as 1, so that one wrong clock does not make all others old. With `n` such events of
 * the weight `w`, of which all campaigns together have `N` and `W`, a campaign scores
 *
 *     rate × √n   where   rate = (w + 10 × W/N) / (n + 10), or 0 if that is negative
 *
 * and its popularity is its score as a share of the best one's. The rate is the mean weight of an event, drawn to the
 * average if a campaign has few events, so that one lucky conversion does not lead. The root is for the number of events:
 * the rate alone says nothing if all events are conversions, and with `n` itself a campaign would lead for being shown
 * most. A campaign without events has popularity 0.
 */
export class Popularity {
  private readonly campaigns = new Map<string, DecayedCounts>();
  private readonly newest: string | null;
  private readonly half_life_days: number;

  /** `newest` is the day of the newest event that can be right, or null without one. */
  constructor(options: { newest: string | null; half_life_days: number }) {
    this.newest = options.newest;
    this.half_life_days = options.half_life_days;
  }

  /** Adds a day. Days of one campaign come in ascending order, so that sums are the same each time. */
  add(row: CampaignDay): void {
    const counts = this.countsOf(row.campaign_id);
    const { stats } = counts;
    stats.impressions += row.impressions;
    stats.clicks += row.clicks;
    stats.conversions += row.conversions;
    stats.dismissals += row.dismissals;
    const decay = this.decay(row.day);
    counts.weight += decay * weightOf(row);
    counts.events += decay * (row.impressions + row.clicks + row.conversions + row.dismissals);
  }

  private countsOf(campaign_id: string): DecayedCounts {
    let counts = this.campaigns.get(campaign_id);
    if (counts === undefined) {
      const zeros = { impressions: 0, clicks: 0, conversions: 0, dismissals: 0, popularity: 0 };
      counts = { stats: { campaign_id, ...zeros }, weight: 0, events: 0 };
      this.campaigns.set(campaign_id, counts);
    }
    return counts;
  }

  private decay(day: string | null): number {
    if (day === null) return 0;
    if (this.newest === null || day > this.newest) return 1;
    const age = (Date.parse(this.newest) - Date.parse(day)) / DAY_MS;
    return 2 ** (-age / this.half_life_days);
  }

  /** Stats of all campaigns, in the order in which they were first added. */
  stats(): CampaignStats[] {
    const campaigns = [...this.campaigns.values()];
    const weight = campaigns.reduce((sum, counts) => sum + counts.weight, 0);
    const events = campaigns.reduce((sum, counts) => sum + counts.events, 0);
    const prior = events === 0 ? 0 : weight / events;
    const scores = campaigns.map((counts) => scoreOf(counts, prior));
    const best = scores.reduce((a, b) => Math.max(a, b), 0);
    return campaigns.map(({ stats }, i) => ({ ...stats, popularity: best === 0 ? 0 : scores[i]! / best }));
  }
}

function weightOf(row: CampaignDay): number {
  return row.impressions * WEIGHTS.impression + row.clicks * WEIGHTS.click +
    row.conversions * WEIGHTS.conversion + row.dismissals * WEIGHTS.dismissal;
}

function scoreOf({ weight, events }: DecayedCounts, prior: number): number {
  const rate = (weight + PRIOR_EVENTS * prior) / (events + PRIOR_EVENTS);
  return Math.max(0, rate) * Math.sqrt(events);
}
