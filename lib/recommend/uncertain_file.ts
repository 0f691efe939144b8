import { decodeVersionFile, encodeVersionFile, magicOf, type VersionFileFormat } from "./version_file.ts";

/** The name of the file of a data version with the ids of campaigns that were shown least. */
export const UNCERTAIN_FILE = "uncertain";

const FORMAT: VersionFileFormat = { title: "campaigns to explore", magic: magicOf("PUC", 1), arrays: [] };

export function encodeUncertain(campaign_ids: readonly string[]): Uint8Array {
  return encodeVersionFile(FORMAT, { arrays: [], texts: [campaign_ids], json: null });
}

/** The ids in a file. Throws `mismatch` if the file has another format or is damaged. */
export async function decodeUncertain(file: Uint8Array): Promise<readonly string[]> {
  return (await decodeVersionFile(FORMAT, file)).texts[0]!;
}
