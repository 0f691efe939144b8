import type { ItemWeights } from "./item_item.ts";
import { decodeVersionFile, encodeVersionFile, magicOf, type VersionFileFormat } from "./version_file.ts";

/** Item–item weights with the campaigns that their indexes mean. */
export interface CampaignWeights extends ItemWeights {
  /** By index. */
  readonly campaign_ids: readonly string[];
}

/** The file of a data version that holds them: summed over users, nothing of any one of them. */
export const ITEM_WEIGHTS_FILE = "item_weights";

const FORMAT: VersionFileFormat = {
  title: "item–item weights",
  magic: magicOf("PIW", 3),
  arrays: ["uint32", "uint32", "float32"],
};

export function encodeItemWeights({ campaign_ids, starts, targets, weights }: CampaignWeights): Uint8Array {
  return encodeVersionFile(FORMAT, { arrays: [starts, targets, weights], texts: [campaign_ids], json: null });
}

/** The weights in a file, read in turns with other work. Throws `mismatch` if it is of another format, or not what was written. */
export async function decodeItemWeights(file: Uint8Array): Promise<CampaignWeights> {
  const { arrays: [starts, targets, weights], texts: [campaign_ids] } = await decodeVersionFile(FORMAT, file);
  return {
    campaign_ids: campaign_ids!,
    starts: starts as Uint32Array,
    targets: targets as Uint32Array,
    weights: weights as Float32Array,
  };
}
