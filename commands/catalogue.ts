import type { Config } from "../lib/config.ts";
import { type Catalogue, parseCatalogue } from "../lib/intents/catalogue.ts";
import { isSample, SAMPLE_INTENTS } from "./sample.ts";
import { readSettingFile } from "./setting_file.ts";

const FILE = { setting: "PARLEY_INTENTS", noun: "catalogue" };

/**
 * The catalogue that is set; else the sample's where all data are the sample's, for intents of one shop say nothing of
 * another's; else null.
 */
export async function readCatalogue(
  config: Pick<Config, "intents">,
  sources: readonly string[],
): Promise<Catalogue | null> {
  const sampleIntents = sources.length > 0 && sources.every(isSample) ? SAMPLE_INTENTS : null;
  const source = config.intents ?? sampleIntents;
  if (source === null) return null;
  return parseCatalogue({ source, text: await readSettingFile({ path: source, ...FILE }) });
}
