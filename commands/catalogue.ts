import type { Config } from "../lib/config.ts";
import { messageOf, ParleyError } from "../lib/core/errors.ts";
import { type Catalogue, parseCatalogue } from "../lib/intents/catalogue.ts";
import { isSample, SAMPLE_INTENTS } from "./sample.ts";

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
  return parseCatalogue({ source, text: await read(source) });
}

async function read(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) {
      throw new ParleyError(
        "invalid",
        `the catalogue of PARLEY_INTENTS cannot be read: ${messageOf(error)}`,
        {
          cause: error,
        },
      );
    }
    throw new ParleyError(
      "invalid",
      `there is no catalogue ${path}: correct PARLEY_INTENTS, or unset it`,
    );
  }
}
