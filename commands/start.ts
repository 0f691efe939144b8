import { styleText } from "../deps.ts";
import type { Config, Sources } from "../lib/config.ts";
import { systemClock } from "../lib/core/clock.ts";
import { reasonOf } from "../lib/core/errors.ts";
import { KINDS } from "../lib/core/types.ts";
import { openAnalytics } from "../lib/stores/open.ts";
import { readExperiments } from "./setting_files.ts";
import { announceStop, EXIT, shutdownSignal, warn } from "./exit.ts";
import { isSample, sourcesOfRun, writeSample } from "./sample.ts";
import { INTERRUPTED, nextRunText, startScheduler } from "./schedule.ts";
import { aborted, listen } from "./serve.ts";
import { openAll, openServices, readOptions, refuseTestEmbedder } from "./services.ts";
import { spawnPipeline } from "./spawn.ts";
import { surviveUncaught } from "./uncaught.ts";

/** A user of the sample whose answer shows what Parley does. */
const SAMPLE_USER = "keziah-boateng";

/** Everything in one process: loads sources or the sample, then answers and runs the schedule until a signal stops it. */
export async function start(config: Config): Promise<number> {
  refuseTestEmbedder(config);
  await readExperiments(config);
  surviveUncaught(config);
  const shutdown = shutdownSignal();
  try {
    const sources = await sourcesToLoad(config);
    if (sources !== null) {
      const code = await load(config, sources, shutdown.signal);
      if (shutdown.signal.aborted) return EXIT.interrupted;
      if (code !== EXIT.ok) {
        console.error(
          "The run failed, or left out a source: see above. Answers use the published version.",
        );
      }
    }
    const api = await listen(config);
    await Promise.race([api.value.ready, aborted(shutdown.signal)]);
    const scheduler = await startScheduler(config);
    await greet(config, api.value.url);
    announceStop(shutdown.signal, () => `requests in progress finish first, and a run ${INTERRUPTED}`);
    await aborted(shutdown.signal);
    await Promise.all([scheduler.close(), api.value.drain()]);
    await api.close();
    return EXIT.ok;
  } finally {
    shutdown.dispose();
  }
}

/** Configured sources; else the sample, if nothing else was ever loaded; null if there is nothing to load. */
export async function sourcesToLoad(config: Config): Promise<Sources | null> {
  if (KINDS.some((kind) => config.sources[kind].length > 0)) return config.sources;
  if (await isPublished(config)) return null;
  const isFresh = await isNew(config).catch((error) => {
    warn(reasonOf(error));
    return false;
  });
  if (isFresh) return await writeSample({ data: config.data, now: systemClock.now() });
  console.log(
    "Nothing is published yet, and the sample is not mixed with your data: `deno task pipeline` publishes what is stored, and " +
      "`deno task pipeline runs` shows the outcome of your runs.",
  );
  return null;
}

/** Also if it cannot be read: then there is something, and the sample has no place in it. */
async function isPublished(config: Config): Promise<boolean> {
  await using opened = await openAnalyticsOnly(config);
  return await opened.value.analytics.published().then((published) => published !== null, (error) => {
    warn(reasonOf(error));
    return true;
  });
}

async function openAnalyticsOnly(config: Config) {
  const options = await readOptions(config);
  return await openAll({ analytics: () => openAnalytics(config.analytics, options) });
}

/** Runs that are looked through for a source; without a publish there are few. */
const MAX_RUNS = 1_000;

/** Whether no store holds anything, and no run was given a source, but the sample's. */
async function isNew(config: Config): Promise<boolean> {
  await using opened = await openServices(config);
  const { runs, documents, analytics, vectors, graph } = opened.value;
  const history = await runs.history({ dag_id: "nightly", since: "", limit: MAX_RUNS });
  const sources = history.flatMap(({ run }) => sourcesOfRun(run));
  if (sources.length > 0) return sources.every(isSample);
  const counts = [await documents.counts(), await analytics.counts(), await graph.counts()];
  const unreadable: string[] = [];
  const models = await vectors.models({ log: (line) => unreadable.push(line) });
  for (const line of unreadable) warn(line);
  return models.length + unreadable.length === 0 &&
    counts.every((storeCounts) => Object.values(storeCounts).every((count) => count === 0));
}

async function load(config: Config, sources: Sources, signal: AbortSignal): Promise<number> {
  const subject = KINDS.some((kind) => sources[kind].some(isSample))
    ? "the bundled sample"
    : "the configured sources";
  console.log(
    `Parley loads ${subject} through the nightly pipeline into ${config.data}, then answers over HTTP.`,
  );
  const args = KINDS.flatMap((kind) => sources[kind].length === 0 ? [] : [`--${kind}`, ...sources[kind]]);
  return await spawnPipeline(config, args, signal);
}

async function greet(config: Config, url: string): Promise<void> {
  const { value: { analytics }, close } = await openAnalyticsOnly(config);
  // A store that cannot be read was reported before listening.
  const sample = await analytics.sources().then((all) => all.some(({ uri }) => isSample(uri)), () => false);
  await close();
  console.log(`\nParley answers at ${styleText("bold", url)}. ${nextRunText(config)} Ctrl-C stops it.`);
  const user = sample ? SAMPLE_USER : "USER_ID";
  console.log(`Try:  ${styleText("cyan", `curl -s "${url}/recommendations/${user}?k=5"`)}`);
}
