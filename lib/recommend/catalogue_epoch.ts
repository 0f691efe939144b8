import { tryParseJson } from "../core/json.ts";
import type { Abortable } from "../core/types.ts";
import type { CampaignStore, EventStore, ReleaseStore } from "../stores/analytics/port.ts";

/** The file of a data version with the catalogue's epoch before its indexes were built. */
export const CATALOGUE_EPOCH_FILE = "catalogue_epoch.json";

/** Notes what the indexes of a version that is not published yet are built from. Call it before they are. */
export async function saveCatalogueEpoch(
  analytics: Pick<ReleaseStore, "saveFile"> & Pick<EventStore, "epochs">,
  { version, signal }: { version: number } & Abortable,
): Promise<number> {
  const { catalogue } = await analytics.epochs({ user_id: "", signal });
  const bytes = new TextEncoder().encode(JSON.stringify({ catalogue }));
  await analytics.saveFile({ version, name: CATALOGUE_EPOCH_FILE, bytes, signal });
  return catalogue;
}

/** The catalogue's epoch that a version was built from; null if the version does not say it, as one of an earlier Parley. */
async function readCatalogueEpoch(
  analytics: Pick<ReleaseStore, "file">,
  options: { version: number } & Abortable,
): Promise<number | null> {
  const bytes = await analytics.file({ name: CATALOGUE_EPOCH_FILE, ...options });
  return bytes === null ? null : decodeCatalogueEpoch(bytes);
}

export function decodeCatalogueEpoch(bytes: Uint8Array): number | null {
  const saved = tryParseJson(new TextDecoder().decode(bytes));
  if (typeof saved !== "object" || saved === null || !("catalogue" in saved)) return null;
  return typeof saved.catalogue === "number" ? saved.catalogue : null;
}

/** More than are written between two runs. */
const MAX_CHANGED = 1_000_000;

/**
 * Ids of campaigns that were written since the published version's indexes were built: all of them if nothing is published, or
 * if the version does not say it.
 */
export async function campaignsSincePublished(
  analytics: Pick<ReleaseStore, "file" | "published"> & Pick<CampaignStore, "changedCampaigns">,
  { signal }: Abortable = {},
): Promise<string[]> {
  const published = await analytics.published({ signal });
  const epoch = published && await readCatalogueEpoch(analytics, { version: published.version, signal });
  return await analytics.changedCampaigns({ since: epoch ?? -1, limit: MAX_CHANGED, signal });
}
