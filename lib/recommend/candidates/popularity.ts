import type { Abortable } from "../../core/types.ts";
import type { CampaignStats, ReleaseStore } from "../../stores/analytics/port.ts";

/** Campaigns read at least; most answers need fewer. */
const MIN_READ = 400;

/** The popular campaigns of the newest version asked for. A version's list never changes, so it is read once. */
export class PopularReader {
  private version: number | null = null;
  private list: readonly CampaignStats[] = [];
  private whole = false;

  constructor(private readonly analytics: Pick<ReleaseStore, "popular">) {}

  /** The `limit` most popular campaigns under a version, best first; fewer where there are fewer. */
  async top(options: { version: number; limit: number } & Abortable): Promise<readonly CampaignStats[]> {
    const held = options.version === this.version && (this.whole || this.list.length >= options.limit);
    const list = held ? this.list : await this.read(options);
    return list.slice(0, options.limit);
  }

  private async read(
    options: { version: number; limit: number } & Abortable,
  ): Promise<readonly CampaignStats[]> {
    const limit = Math.max(MIN_READ, options.limit);
    const list = await this.analytics.popular({ version: options.version, limit, signal: options.signal });
    [this.version, this.list, this.whole] = [options.version, list, list.length < limit];
    return list;
  }
}
