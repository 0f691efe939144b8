import { type Clock, iso } from "../core/clock.ts";
import type { Campaign } from "../core/types.ts";
import type { CampaignStats, CampaignStore, EventStore } from "../stores/analytics/port.ts";
import type { Answer, PageOptions } from "./answer.ts";
import type { PopularReader } from "./candidates/popularity.ts";
import { diversify } from "./diversify.ts";
import { explain } from "./explain.ts";
import { Candidates, NO_SOURCE_RESULTS } from "./features.ts";
import type { Vetoes } from "./negations.ts";
import { rank, WEIGHTS, weightsFor } from "./score.ts";
import { type CampaignConditions, type CampaignRow, conditionOf, isShowable } from "./showable.ts";
import type { ShownCampaigns } from "./shown_campaigns.ts";

/** The most campaigns in memory. */
const MAX_CAMPAIGNS = 200;
/**
 * How far to read down the popular list, past campaigns that have ended: at first, by which factor further each time, and at
 * most.
 */
const READ_LIMITS = Object.freeze({ first: 400, growth: 4, most: 6_400 });
/** How long they are used before they are read again, in milliseconds. They are also read again for each version. */
const MAX_AGE_MS = 60_000;

interface LastPopularOptions {
  readonly analytics: Pick<CampaignStore, "campaigns"> & Pick<EventStore, "epochs">;
  readonly popular: PopularReader;
  readonly clock: Clock;
}

/**
 * The popular campaigns as last read from analytics, in memory for answers while analytics does not respond, and for those that no
 * time is left for. Their dates are checked when they are shown.
 */
export class LastPopular {
  private rows: readonly CampaignRow[] = [];
  private version: number | null = null;
  private readAt = -Infinity;
  /** Of the catalogue. */
  private epoch = -1;
  private pendingRead: Promise<void> | null = null;

  constructor(private readonly options: LastPopularOptions) {}

  /** Reads them again if they are of another version or too old, or the catalogue has changed. Concurrent calls share one read. */
  async refresh(version: number): Promise<void> {
    await (this.pendingRead ??= this.readIfDue(version).finally(() => this.pendingRead = null));
  }

  private async readIfDue(version: number): Promise<void> {
    const { catalogue } = await this.options.analytics.epochs({ user_id: "" });
    const isRecent = this.options.clock.now() - this.readAt < MAX_AGE_MS;
    if (version === this.version && catalogue === this.epoch && isRecent) return;
    await this.read(version);
    this.epoch = catalogue;
  }

  /** Leaves out campaigns that were changed or deleted, until they are read again: analytics may be down by then. */
  forget(campaign_ids: readonly string[]): void {
    const ids = new Set(campaign_ids);
    this.rows = this.rows.filter(({ campaign }) => !ids.has(campaign.campaign_id));
  }

  /** Their version, null before the first read, and those that may be shown now, each with its reason. */
  answer(
    { k, exclude = [], diversity, ...conditions }: PageOptions,
    shown: ShownCampaigns | null,
    vetoes: Vetoes,
  ): Pick<Answer, "version" | "items"> {
    const { version, rows: all } = this.showable(conditions);
    const left_out = new Set(exclude);
    const rows = all.filter(({ campaign }) => {
      const { campaign_id: id } = campaign;
      return !left_out.has(id) && !shown?.has(id) && vetoes.allow(campaign);
    });
    const candidates = new Candidates(NO_SOURCE_RESULTS, this.options.clock.now());
    candidates.add(rows.map(({ campaign }) => campaign.campaign_id));
    const weights = weightsFor(candidates.all(), WEIGHTS);
    const chosen = diversify(rank(rows, { weights, featuresOf: (id) => candidates.get(id)! }), k, diversity);
    return {
      version,
      items: chosen.map((ranked) => explain(ranked, { weights, causes: new Map() })),
    };
  }

  /** Their version, null before the first read, and those that may be shown now, the most popular first. */
  showable(conditions: CampaignConditions): { version: number | null; rows: CampaignRow[] } {
    const now = iso(this.options.clock.now());
    const passes = conditionOf(conditions);
    const rows = this.rows.filter(({ campaign }) => isShowable(campaign, now) && passes(campaign));
    return { version: this.version, rows };
  }

  private async read(version: number): Promise<void> {
    const { popular, clock } = this.options;
    const rows: CampaignRow[] = [];
    for (let limit = READ_LIMITS.first, read = 0; limit <= READ_LIMITS.most; limit *= READ_LIMITS.growth) {
      const list = await popular.top({ version, limit });
      rows.push(...await this.load(list.slice(read)));
      read = list.length;
      if (rows.length >= MAX_CAMPAIGNS || read < limit) break;
    }
    [this.rows, this.version, this.readAt] = [rows.slice(0, MAX_CAMPAIGNS), version, clock.now()];
  }

  /** The campaigns of a list that have not ended, in its order, without long fields that no answer shows. */
  private async load(list: readonly CampaignStats[]): Promise<CampaignRow[]> {
    const { analytics, clock } = this.options;
    const now = iso(clock.now());
    const campaigns = await analytics.campaigns({ campaign_ids: list.map(({ campaign_id }) => campaign_id) });
    const byId = new Map(campaigns.map((campaign) => [campaign.campaign_id, campaign]));
    return list.flatMap((stats) => {
      const campaign = byId.get(stats.campaign_id);
      if (campaign === undefined || isOver(campaign, now)) return [];
      return [{ campaign: { ...campaign, description: null, metadata: null }, stats }];
    });
  }
}

function isOver({ status, ends_at }: Campaign, now: string): boolean {
  return status !== "active" || (ends_at !== null && ends_at <= now);
}
