import type { Abortable } from "../../core/types.ts";
import type { AnalyticsStore, CampaignStats } from "../../stores/analytics/port.ts";

/** Campaigns read at least; most answers need fewer. */
const LEAST = 400;

/** The popular campaigns of the newest version asked for. A version's list never changes, so it is read once. */
export class PopularReader {
  private version: number | null = null;
  private list: readonly CampaignStats[] = [];
  private whole = false;

  constructor(private readonly analytics: Pick<AnalyticsStore, "popular">) {}

  /** The `limit` most popular campaigns under a version, best first; fewer where there are fewer. */
  async top(o: { version: number; limit: number } & Abortable): Promise<readonly CampaignStats[]> {
    const held = o.version === this.version && (this.whole || this.list.length >= o.limit);
    const list = held ? this.list : await this.read(o);
    return list.slice(0, o.limit);
  }

  private async read(o: { version: number; limit: number } & Abortable): Promise<readonly CampaignStats[]> {
    const limit = Math.max(LEAST, o.limit);
    const list = await this.analytics.popular({ version: o.version, limit, signal: o.signal });
    [this.version, this.list, this.whole] = [o.version, list, list.length < limit];
    return list;
  }
}
