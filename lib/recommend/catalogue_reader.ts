import { type Abortable, parseModelKey } from "../core/types.ts";
import type { CampaignStore, EventStore } from "../stores/analytics/port.ts";
import type { VectorStores } from "../stores/vectors/port.ts";
import type { CampaignNames } from "./mentions.ts";
import { readCampaignNames } from "./words.ts";

/**
 * Campaigns written since the indexes were built that are compared one by one; an older change is found with the next version.
 * Some milliseconds a search, and 8 MB of memory with 384 dimensions.
 */
const MAX_NEW = 5_000;
/** Changed campaigns whose names are added; if there are more, all names are read again. */
const MAX_RENAMED = 1_000;

interface CatalogueStores {
  readonly analytics:
    & Pick<CampaignStore, "campaignPage" | "campaigns" | "changedCampaigns">
    & Pick<EventStore, "epochs">;
  readonly vectors: Pick<VectorStores, "forModel">;
}

/** Campaigns written since a version's indexes were built, by id; null for one without a vector. */
export type NewCampaigns = ReadonlyMap<string, Float32Array | null>;
export const NO_NEW_CAMPAIGNS: NewCampaigns = new Map();

interface NewCampaignsOptions extends Abortable {
  readonly version: number;
  /** The catalogue's epoch before the version's indexes were built, and now. */
  readonly built_from: number;
  readonly epoch: number;
  /** The model of the version's vectors, as the published row names it. */
  readonly model: string;
}

interface NewestOf {
  readonly version: number;
  /** The catalogue's epoch when they were read. */
  readonly epoch: number;
  readonly campaigns: NewCampaigns;
}

/**
 * What changes with the catalogue's epoch, in memory: the names of all campaigns, and the vectors of those that are newer than the
 * indexes of the published version. Each call reads the epoch, and no more unless it has changed.
 */
export class CatalogueReader {
  private newest: NewestOf | null = null;
  private named: { readonly names: CampaignNames; readonly epoch: number } | null = null;
  private reading: Promise<unknown> = Promise.resolve();

  constructor(private readonly stores: CatalogueStores) {}

  /** The names of all campaigns; the first call reads the whole catalogue. A name that a campaign no longer has stays. */
  async names(options: Abortable = {}): Promise<CampaignNames> {
    const epoch = await this.epoch(options);
    if (this.named?.epoch === epoch) return this.named.names;
    return await this.inTurn(async () => {
      if (this.named?.epoch !== epoch) this.named = { names: await this.readNames(options), epoch };
      return this.named.names;
    });
  }

  /** The names as they were last read; null before the first time. */
  lastNames(): CampaignNames | null {
    return this.named?.names ?? null;
  }

  private async readNames(options: Abortable): Promise<CampaignNames> {
    const { analytics } = this.stores;
    if (this.named === null) return await readCampaignNames(analytics, options);
    const { names, epoch: since } = this.named;
    const changed = await analytics.changedCampaigns({ since, limit: MAX_RENAMED + 1, ...options });
    if (changed.length > MAX_RENAMED) return await readCampaignNames(analytics, options);
    for (const row of await analytics.campaigns({ campaign_ids: changed, ...options })) names.add(row);
    return names;
  }

  async epoch({ signal }: Abortable = {}): Promise<number> {
    return (await this.stores.analytics.epochs({ user_id: "", signal })).catalogue;
  }

  /** The newest {@link MAX_NEW} campaigns written since the indexes of a version were built. */
  async newCampaigns(options: NewCampaignsOptions): Promise<NewCampaigns> {
    if (this.isNewest(options)) return this.newest!.campaigns;
    return await this.inTurn(async () => {
      if (!this.isNewest(options)) await this.readNew(options);
      return this.newest!.campaigns;
    });
  }

  private isNewest({ version, epoch }: NewCampaignsOptions): boolean {
    return this.newest?.version === version && this.newest.epoch === epoch;
  }

  private async readNew({ version, built_from, epoch, model, signal }: NewCampaignsOptions): Promise<void> {
    const { analytics, vectors } = this.stores;
    const before = this.newest?.version === version ? this.newest : { epoch: built_from, campaigns: [] };
    const campaigns = new Map(before.campaigns);
    const changed = before.epoch === epoch
      ? []
      : await analytics.changedCampaigns({ since: before.epoch, limit: MAX_NEW, signal });
    if (changed.length > 0) {
      const store = await vectors.forModel({ model: parseModelKey(model), signal });
      const found = await store.get({ collection: "campaigns", ids: changed, signal });
      // The newest come last.
      for (const id of changed.toReversed()) {
        campaigns.delete(id);
        campaigns.set(id, found.get(id) ?? null);
      }
      for (const id of [...campaigns.keys()].slice(0, -MAX_NEW)) campaigns.delete(id);
    }
    this.newest = { version, epoch, campaigns };
  }

  /** One read of changes at a time: concurrent requests find what the first has read. */
  private inTurn<T>(read: () => Promise<T>): Promise<T> {
    const result = this.reading.then(read);
    this.reading = result.catch(() => {});
    return result;
  }
}
