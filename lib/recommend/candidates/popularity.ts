import type { Abortable } from "../../core/types.ts";
import type { CampaignStats, ReleaseStore } from "../../stores/analytics/port.ts";

/** The fewest campaigns that are read; most answers need fewer. */
const MIN_READ = 400;

/** The popular campaigns of the version that was read last. The list of a version never changes, so it is read once. */
export class PopularReader {
  private version: number | null = null;
  private list: readonly CampaignStats[] = [];
  private isComplete = false;

  constructor(private readonly analytics: Pick<ReleaseStore, "popular">) {}

  /** The `limit` most popular campaigns under a version, best first; fewer if there are fewer. */
  async top(options: { version: number; limit: number } & Abortable): Promise<readonly CampaignStats[]> {
    const isCached = options.version === this.version &&
      (this.isComplete || this.list.length >= options.limit);
    const list = isCached ? this.list : await this.read(options);
    return list.slice(0, options.limit);
  }

  private async read(
    options: { version: number; limit: number } & Abortable,
  ): Promise<readonly CampaignStats[]> {
    const limit = Math.max(MIN_READ, options.limit);
    const list = await this.analytics.popular({ version: options.version, limit, signal: options.signal });
    [this.version, this.list, this.isComplete] = [options.version, list, list.length < limit];
    return list;
  }
}
