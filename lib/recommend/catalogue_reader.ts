import type { Abortable, ModelIdentity } from "../core/types.ts";
import { tryParseJson } from "../core/json.ts";
import type { CampaignStore, EventStore, ReleaseStore } from "../stores/analytics/port.ts";
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
/** The file of a data version with the catalogue's epoch before its indexes were built. */
const EPOCH_FILE = "catalogue_epoch.json";

interface CatalogueStores {
  readonly analytics:
    & Pick<CampaignStore, "campaignPage" | "campaigns" | "changedCampaigns">
    & Pick<EventStore, "epochs">
    & Pick<ReleaseStore, "file">;
  readonly vectors: Pick<VectorStores, "forModel">;
}

/** Campaigns written since a version's indexes were built, by id; null for one without a vector. */
export type NewCampaigns = ReadonlyMap<string, Float32Array | null>;
export const NO_NEW_CAMPAIGNS: NewCampaigns = new Map();

interface NewCampaignsOptions extends Abortable {
  readonly version: number;
  /** The model of the version's vectors. */
  readonly model: ModelIdentity;
}

interface NewestOf {
  readonly version: number;
  /** The catalogue's epoch when they were read; null if the version does not say what it was built from. */
  readonly epoch: number | null;
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

  private async readNames(options: Abortable): Promise<CampaignNames> {
    const { analytics } = this.stores;
    if (this.named === null) return await readCampaignNames(analytics, options);
    const { names, epoch: since } = this.named;
    const changed = await analytics.changedCampaigns({ since, limit: MAX_RENAMED + 1, ...options });
    if (changed.length > MAX_RENAMED) return await readCampaignNames(analytics, options);
    for (const row of await analytics.campaigns({ campaign_ids: changed, ...options })) names.add(row);
    return names;
  }

  /** The newest {@link MAX_NEW} campaigns written since the indexes of a version were built. */
  async newCampaigns(options: NewCampaignsOptions): Promise<NewCampaigns> {
    const epoch = await this.epoch(options);
    if (this.isNewest(options, epoch)) return this.newest!.campaigns;
    return await this.inTurn(async () => {
      if (!this.isNewest(options, epoch)) await this.readNew(options, epoch);
      return this.newest!.campaigns;
    });
  }

  private isNewest({ version }: NewCampaignsOptions, epoch: number): boolean {
    return this.newest?.version === version && (this.newest.epoch === epoch || this.newest.epoch === null);
  }

  private async readNew({ version, model, ...options }: NewCampaignsOptions, epoch: number): Promise<void> {
    const { analytics, vectors } = this.stores;
    const { epoch: since, campaigns } = this.newest?.version === version
      ? this.newest
      : { epoch: await readCatalogueEpoch(analytics, { version, ...options }), campaigns: new Map() };
    const newest = new Map(campaigns);
    if (since !== null && since !== epoch) {
      const ids = await analytics.changedCampaigns({ since, limit: MAX_NEW, ...options });
      const store = await vectors.forModel({ model, ...options });
      const found = await store.get({ collection: "campaigns", ids, ...options });
      // The newest come last.
      for (const id of ids.toReversed()) {
        newest.delete(id);
        newest.set(id, found.get(id) ?? null);
      }
      for (const id of [...newest.keys()].slice(0, -MAX_NEW)) newest.delete(id);
    }
    this.newest = { version, epoch: since === null ? null : epoch, campaigns: newest };
  }

  private async epoch({ signal }: Abortable): Promise<number> {
    return (await this.stores.analytics.epochs({ user_id: "", signal })).catalogue;
  }

  /** One read of changes at a time: concurrent requests find what the first has read. */
  private inTurn<T>(read: () => Promise<T>): Promise<T> {
    const result = this.reading.then(read);
    this.reading = result.catch(() => {});
    return result;
  }
}

/** Notes what the indexes of a version that is not published yet are built from. Call it before they are. */
export async function saveCatalogueEpoch(
  analytics: Pick<ReleaseStore, "saveFile"> & Pick<EventStore, "epochs">,
  { version, signal }: { version: number } & Abortable,
): Promise<number> {
  const { catalogue } = await analytics.epochs({ user_id: "", signal });
  const bytes = new TextEncoder().encode(JSON.stringify({ catalogue }));
  await analytics.saveFile({ version, name: EPOCH_FILE, bytes, signal });
  return catalogue;
}

/** The catalogue's epoch that a version was built from; null if the version does not say it, as one of an earlier Parley. */
export async function readCatalogueEpoch(
  analytics: Pick<ReleaseStore, "file">,
  options: { version: number } & Abortable,
): Promise<number | null> {
  const bytes = await analytics.file({ name: EPOCH_FILE, ...options });
  if (bytes === null) return null;
  const saved = tryParseJson(new TextDecoder().decode(bytes));
  if (typeof saved !== "object" || saved === null || !("catalogue" in saved)) return null;
  return typeof saved.catalogue === "number" ? saved.catalogue : null;
}
