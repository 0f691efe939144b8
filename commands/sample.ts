import { KINDS } from "../lib/core/types.ts";
import type { Sources } from "../lib/config.ts";

/** The folder of the bundled sample, whatever the working directory is. */
const FOLDER = decodeURIComponent(new URL("../sample", import.meta.url).pathname);

/** The bundled sample's files, by kind. */
export function sampleSources(): Sources {
  const [messages, campaigns, events] = KINDS.map((kind) => [`${FOLDER}/${kind}.ndjson`]);
  return { messages: messages!, campaigns: campaigns!, events: events! };
}

/** The sample's own catalogue of intents. */
export const SAMPLE_INTENTS = `${FOLDER}/intents.json`;

/** Whether a source is one of the sample's files. */
export function isSample(uri: string): boolean {
  return uri.startsWith(`${FOLDER}/`);
}
