import type { Config, Sources } from "../lib/config.ts";
import { iso } from "../lib/core/clock.ts";
import { FILE_MODE, FOLDER_MODE } from "../lib/core/file_modes.ts";
import { type Kind, KINDS } from "../lib/core/types.ts";
import type { RunRecord, RunStore } from "../lib/stores/runs/port.ts";

/** The folder of the bundled sample, whatever the working directory is. */
const FOLDER = decodeURIComponent(new URL("../sample", import.meta.url).pathname);
/** The folder in the data directory that it is loaded from. No other folder should be called so. */
export const SAMPLE_NAME = "parley-sample";
const IS_SAMPLE = new RegExp(`/${SAMPLE_NAME}/(?:${KINDS.join("|")})\\.ndjson$`);
const TIME = /"(timestamp|starts_at|ends_at)": "([^"]+)"/g;
/** How long before it is written its newest row lies. */
const AGE_MS = 60_000;

/** The bundled sample's files, by kind. */
export function sampleSources(): Sources {
  return filesIn(FOLDER);
}

/**
 * The sample in the data directory. The first call writes it, with all times moved by the same amount so that the newest
 * message or event lies just before `now` (epoch milliseconds); later calls do not change it.
 */
export async function writeSample({ data, now }: { data: string; now: number }): Promise<Sources> {
  const folder = sampleFolder(data);
  if (!await exists(folder)) {
    const partial = `${folder}.part`;
    await Deno.mkdir(partial, { recursive: true, mode: FOLDER_MODE });
    const texts = new Map(
      await Promise.all(
        KINDS.map(async (kind) => [kind, await Deno.readTextFile(fileOf(FOLDER, kind))] as const),
      ),
    );
    const shift = Math.floor((now - AGE_MS - newestOf([...texts.values()].join(""))) / 1_000) * 1_000;
    for (const [kind, text] of texts) {
      await Deno.writeTextFile(fileOf(partial, kind), shiftTimes(text, shift), { mode: FILE_MODE });
    }
    await Deno.rename(partial, folder);
  }
  return filesIn(folder);
}

export function sampleFolder(data: string): string {
  return `${data}/${SAMPLE_NAME}`;
}

function newestOf(text: string): number {
  return Array.from(text.matchAll(TIME), ([, field, time]) => field === "timestamp" ? Date.parse(time!) : 0)
    .reduce((a, b) => Math.max(a, b));
}

function shiftTimes(text: string, shift: number): string {
  return text.replaceAll(TIME, (_, field, time) => `"${field}": "${iso(Date.parse(time) + shift)}"`);
}

function filesIn(folder: string): Sources {
  return Object.fromEntries(KINDS.map((kind) => [kind, [fileOf(folder, kind)]])) as Record<Kind, string[]>;
}

function fileOf(folder: string, kind: Kind): string {
  return `${folder}/${kind}.ndjson`;
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** The sample's own catalogue of intents. */
export const SAMPLE_INTENTS = `${FOLDER}/intents.json`;

/** Whether a source is one of the sample's files, of any data directory. */
export function isSample(uri: string): boolean {
  return uri.startsWith(`${FOLDER}/`) || IS_SAMPLE.test(uri);
}

/** The sources that a run was given. */
export function sourcesOfRun({ params }: Pick<RunRecord, "params">): string[] {
  return KINDS.flatMap((kind) => (params[kind] ?? []) as string[]);
}

/** Open runs that are looked through for a source. */
const MAX_OPEN_RUNS = 1_000;

/** Whether a run loads the sample alone, while the settings or another open run name sources of the user's own. */
export async function mixesInSample(
  { sources }: Pick<Config, "sources">,
  runs: RunStore,
  run: RunRecord,
): Promise<boolean> {
  const own = sourcesOfRun(run);
  if (own.length === 0 || !own.every(isSample)) return false;
  const open = await runs.runs({ states: ["queued", "running"], limit: MAX_OPEN_RUNS });
  const otherSources = [...sourcesOfRun({ params: { ...sources } }), ...open.flatMap(sourcesOfRun)];
  return !otherSources.every(isSample);
}
