/** Files that settings name. */
import type { Config } from "../lib/config.ts";
import { messageOf, ParleyError } from "../lib/core/errors.ts";
import { type Experiment, parseExperiments } from "../lib/experiments/experiment_file.ts";
import { type Catalogue, parseCatalogue } from "../lib/intents/catalogue.ts";
import { isSample, SAMPLE_INTENTS } from "./sample.ts";

/** The experiments that are set. Throws `invalid` if their file cannot be read or used. */
export async function readExperiments(
  { experiments: path }: Pick<Config, "experiments">,
): Promise<Experiment[]> {
  if (path === null) return [];
  const text = await readSettingFile({ path, setting: "PARLEY_EXPERIMENTS", noun: "file of experiments" });
  return parseExperiments({ text, source: path });
}

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
  const text = await readSettingFile({ path: source, setting: "PARLEY_INTENTS", noun: "catalogue" });
  return parseCatalogue({ source, text });
}

/** The text of a file that a setting names. Throws `invalid` with a sentence that names the setting if it cannot be read. */
async function readSettingFile(
  { path, setting, noun }: { path: string; setting: string; noun: string },
): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) {
      throw new ParleyError("invalid", `the ${noun} of ${setting} cannot be read: ${messageOf(error)}`, {
        cause: error,
      });
    }
    throw new ParleyError("invalid", `there is no ${noun} ${path}: correct ${setting}, or unset it`);
  }
}
