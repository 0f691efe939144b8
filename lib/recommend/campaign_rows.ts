import { LRUCache } from "../../deps.ts";
import { compareText } from "../core/text.ts";
import type { Abortable } from "../core/types.ts";
import type { AnalyticsStore } from "../stores/analytics/port.ts";
import { type CampaignRow, isShowable, loadRows } from "./showable.ts";

/** Rows in memory, some 2 KB each. */
const MAX_ROWS = 5_000;

interface RowsOptions extends Abortable {
  readonly version: number;
  /** The catalogue's epoch now. */
  readonly epoch: number;
  readonly campaign_ids: readonly string[];
}

/** Campaigns with their stats, in memory while neither the data version nor the catalogue changes: most answers need the same ones. */
export class CampaignRows {
  private rows = new LRUCache<string, CampaignRow>({ max: MAX_ROWS });
  private state = "";

  constructor(private readonly analytics: Pick<AnalyticsStore, "campaigns" | "stats">) {}

  /** Those of these campaigns that exist, in ascending id. */
  async get({ version, epoch, campaign_ids, signal }: RowsOptions): Promise<CampaignRow[]> {
    const rows = this.currentRows(`${version} ${epoch}`);
    const found: CampaignRow[] = [];
    const missing: string[] = [];
    for (const id of campaign_ids) {
      const row = rows.get(id);
      if (row === undefined) missing.push(id);
      else found.push(row);
    }
    if (missing.length > 0) {
      const read = await loadRows({ analytics: this.analytics, version, campaign_ids: missing, signal });
      // Into the same map: if the catalogue has changed meanwhile, it is not used again.
      for (const row of read) rows.set(row.campaign.campaign_id, row);
      found.push(...read);
    }
    return found.sort((a, b) => compareText(a.campaign.campaign_id, b.campaign.campaign_id));
  }

  /** The same, if they may be shown at `now` (ISO 8601). */
  async showable({ now, ...options }: RowsOptions & { now: string }): Promise<CampaignRow[]> {
    return (await this.get(options)).filter(({ campaign }) => isShowable(campaign, now));
  }

  private currentRows(state: string): LRUCache<string, CampaignRow> {
    if (state !== this.state) [this.rows, this.state] = [new LRUCache({ max: MAX_ROWS }), state];
    return this.rows;
  }
}
