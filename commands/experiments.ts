import type { Config } from "../lib/config.ts";
import { type Experiment, parseExperiments } from "../lib/experiments/experiment_file.ts";
import { readSettingFile } from "./setting_file.ts";

/** The experiments that are set. Throws `invalid` if their file cannot be read or used. */
export async function readExperiments(
  { experiments: path }: Pick<Config, "experiments">,
): Promise<Experiment[]> {
  if (path === null) return [];
  const text = await readSettingFile({ path, setting: "PARLEY_EXPERIMENTS", noun: "file of experiments" });
  return parseExperiments({ text, source: path });
}
