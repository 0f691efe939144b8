import type { ItemWeights } from "./item_item.ts";
import { decodeVersionFile, encodeVersionFile, magicOf, type VersionFileFormat } from "./version_file.ts";

/** Item–item weights with the campaigns of their indexes. */
export interface CampaignWeights extends ItemWeights {
  /** By index. */
  readonly campaign_ids: readonly string[];
}

/** The name of their file in a data version. They are sums over users and hold no data of a single one. */
export const ITEM_WEIGHTS_FILE = "item_weights";

const FORMAT: VersionFileFormat = {
  title: "item–item weights",
  magic: magicOf("PIW", 3),
  arrays: ["uint32", "uint32", "float32"],
};

export function encodeItemWeights({ campaign_ids, offsets, targets, weights }: CampaignWeights): Uint8Array {
  return encodeVersionFile(FORMAT, {
    arrays: [offsets, targets, weights],
    texts: [campaign_ids],
    json: null,
  });
}

/**
 * The weights in a file, read without blocking the event loop. Throws `mismatch` if the file has another format or is damaged.
 */
export async function decodeItemWeights(file: Uint8Array): Promise<CampaignWeights> {
  const { arrays: [offsets, targets, weights], texts: [campaign_ids] } = await decodeVersionFile(
    FORMAT,
    file,
  );
  return {
    campaign_ids: campaign_ids!,
    offsets: offsets as Uint32Array,
    targets: targets as Uint32Array,
    weights: weights as Float32Array,
  };
}
