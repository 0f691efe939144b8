import { DAY_MS } from "../../core/clock.ts";
import type { EventType } from "../../core/types.ts";
import type { CampaignStats } from "./port.ts";

/** How many events of each type one campaign had on one UTC day. */
export interface CampaignDay {
  readonly campaign_id: string;
  /** `YYYY-MM-DD`; null for a campaign without events, which has one such row. */
  readonly day: string | null;
  readonly impressions: number;
  readonly clicks: number;
  readonly conversions: number;
  readonly dismissals: number;
}

/** What one event says about a campaign: being shown says little, being chosen much, being waved off the opposite. */
const WORTH: Readonly<Record<EventType, number>> = {
  impression: 0.05,
  click: 1,
  conversion: 3,
  dismissal: -1,
};

/** Meetings that the prior counts for: a campaign met ten times is judged half by itself, half as the average one. */
const PRIOR_MEETINGS = 10;

interface Tally {
  readonly stats: { -readonly [key in keyof CampaignStats]: CampaignStats[key] };
  /** Sum of worth, decayed. */
  worth: number;
  /** Number of events, decayed. */
  meetings: number;
}

/**
 * Popularity from engagement, independent of the order of campaigns and of the time of the call.
 *
 * An event `a` whole UTC days older than the newest weighs `2^(-a / half_life_days)`. Newest is the newest that can be
 * right: an event from after that weighs 1, so that one wrong clock does not make all others old. Each event is one
 * meeting of a user with the campaign, since not every source records impressions. With `n` weighed meetings of worth `w`, of
 * which all campaigns together have `N` and `W`, a campaign scores
 *
 *     rate × √n   where   rate = (w + 10 × W/N) / (n + 10), or 0 where that is negative
 *
 * and its popularity is its score as a share of the best one's. The rate is what a meeting is worth, drawn to the
 * average if few have met the campaign, so that one lucky conversion does not lead. The root is for how many met it: alone, the
 * rate says nothing in data that holds nothing but conversions; with n itself, what was shown most would lead whatever came
 * of it. A campaign nobody met has popularity 0.
 */
export class Popularity {
  private readonly tallies = new Map<string, Tally>();
  private readonly newest: string | null;
  private readonly half_life_days: number;

  /** `newest` is the day of the newest event that can be right, or null without one. */
  constructor(options: { newest: string | null; half_life_days: number }) {
    this.newest = options.newest;
    this.half_life_days = options.half_life_days;
  }

  /** Adds a day. Days of one campaign come in ascending order, so that sums are the same each time. */
  add(row: CampaignDay): void {
    const tally = this.tally(row.campaign_id);
    const { stats } = tally;
    stats.impressions += row.impressions;
    stats.clicks += row.clicks;
    stats.conversions += row.conversions;
    stats.dismissals += row.dismissals;
    const weight = this.weight(row.day);
    tally.worth += weight * worthOf(row);
    tally.meetings += weight * (row.impressions + row.clicks + row.conversions + row.dismissals);
  }

  private tally(campaign_id: string): Tally {
    let tally = this.tallies.get(campaign_id);
    if (tally === undefined) {
      const zeros = { impressions: 0, clicks: 0, conversions: 0, dismissals: 0, popularity: 0 };
      tally = { stats: { campaign_id, ...zeros }, worth: 0, meetings: 0 };
      this.tallies.set(campaign_id, tally);
    }
    return tally;
  }

  private weight(day: string | null): number {
    if (day === null) return 0;
    if (this.newest === null || day > this.newest) return 1;
    const age = (Date.parse(this.newest) - Date.parse(day)) / DAY_MS;
    return 2 ** (-age / this.half_life_days);
  }

  /** Stats of all campaigns added, in the order in which they first came. */
  stats(): CampaignStats[] {
    const tallies = [...this.tallies.values()];
    const worth = tallies.reduce((sum, tally) => sum + tally.worth, 0);
    const meetings = tallies.reduce((sum, tally) => sum + tally.meetings, 0);
    const prior = meetings === 0 ? 0 : worth / meetings;
    const scores = tallies.map((tally) => scoreOf(tally, prior));
    const best = scores.reduce((a, b) => Math.max(a, b), 0);
    return tallies.map(({ stats }, i) => ({ ...stats, popularity: best === 0 ? 0 : scores[i]! / best }));
  }
}

function worthOf(row: CampaignDay): number {
  return row.impressions * WORTH.impression + row.clicks * WORTH.click +
    row.conversions * WORTH.conversion + row.dismissals * WORTH.dismissal;
}

function scoreOf(tally: Tally, prior: number): number {
  const rate = (tally.worth + PRIOR_MEETINGS * prior) / (tally.meetings + PRIOR_MEETINGS);
  return Math.max(0, rate) * Math.sqrt(tally.meetings);
}
