import { systemClock } from "../lib/core/clock.ts";
import type { Config } from "../lib/config.ts";
import { ParleyError, reasonOf } from "../lib/core/errors.ts";
import { groupShared } from "../lib/core/shared_server.ts";
import { type Abortable, parseModelKey, type Published } from "../lib/core/types.ts";
import { isDeterministic } from "../lib/embed/deterministic_embedder.ts";
import { openEmbedder } from "../lib/embed/open.ts";
import type { Embedder } from "../lib/embed/port.ts";
import {
  datasetName,
  filesOf,
  hasFiles,
  openAnalytics,
  openArtifacts,
  openCache,
  openDocuments,
  openGraph,
  type OpenOptions,
  openRuns,
  openVectors,
} from "../lib/stores/open.ts";
import type { AnalyticsStore, ReleaseStore } from "../lib/stores/analytics/port.ts";
import type { VectorStores } from "../lib/stores/vectors/port.ts";
import type { Cache } from "../lib/stores/cache/port.ts";
import { ExportFolder } from "../lib/exports/export_folder.ts";
import { Arms } from "../lib/recommend/arms.ts";
import { Recommender } from "../lib/recommend/recommender.ts";
import { emptiedStore } from "../lib/monitoring/emptied_store.ts";
import { STORE_NAMES } from "../lib/telemetry/store_metrics.ts";
import type { Services } from "../tasks/services.ts";
import { readCatalogue, readExperiments } from "./setting_files.ts";
import { embedderOptions, modelName } from "./models.ts";
import { warn } from "./exit.ts";

/** An open resource, and the only way to close it, which `await using` does at the end of a block. */
export interface Opened<T> extends AsyncDisposable {
  readonly value: T;
  close(): Promise<void>;
}

export function opened<T>(value: T, close: () => Promise<void>): Opened<T> {
  return { value, close, [Symbol.asyncDispose]: close };
}

interface Closable {
  close(): Promise<void>;
}

/** Opens in order; if one fails, those already open are closed again. */
export async function openAll<T extends Record<string, Closable>>(
  openers: { readonly [K in keyof T]: () => Promise<T[K]> },
): Promise<Opened<T>> {
  const resources: Partial<T> = {};
  const close = async () => {
    for (const resource of Object.values(resources).reverse()) await resource?.close();
  };
  try {
    for (const name of Object.keys(openers) as (keyof T)[]) resources[name] = await openers[name]();
    return opened(resources as T, close);
  } catch (error) {
    await close();
    throw error;
  }
}

/** Opens on first use, and closes if it was opened. A failure is not cached. */
export function lazy<T extends Closable>(
  opener: () => Promise<T>,
): { open(): Promise<T>; close(): Promise<void> } {
  let opened: Promise<T> | null = null;
  const open = () =>
    opened ??= opener().catch((error) => {
      opened = null;
      throw error;
    });
  const close = async () => await (await opened?.catch(() => null))?.close();
  return { open, close };
}

/** A task asks for whole answers, not for quick ones. */
const WHOLE_ANSWER_MS = 60_000;
/** Each answer of a task is computed. */
const NO_CACHE: Pick<Cache, "get" | "set" | "tryLock"> = Object.freeze({
  get: () => Promise.resolve(null),
  set: () => Promise.resolve(),
  tryLock: () => Promise.resolve(true),
});

/** Everything that the tasks of the nightly dag work with. The model loads when a task first asks for it. */
export async function openServices(config: Config): Promise<Opened<Services>> {
  const stores = await openAll({
    documents: () => openDocuments(config.documents),
    analytics: () => openAnalytics(config.analytics),
    vectors: () => openVectors(config.vectors),
    graph: () => openGraph(config.graph),
    artifacts: () => openArtifacts(config.artifacts, { scratch: `${config.data}/artifacts` }),
    runs: () => openRuns(config.runs),
  });
  const embedders = new Map<string, Promise<Embedder>>();
  const embedder = (name = modelName(config.embeddings), onNote?: (line: string) => void) => {
    const options = { ...embedderOptions(config, name), ...onNote && { onNote } };
    const opened = embedders.get(name) ?? openEmbedder(options);
    embedders.set(name, opened);
    return opened;
  };
  const { inbox, max_source_bytes, max_bad_share, earliest, retention_days } = config;
  const secret = () => readSecret(config, stores.value);
  const { half_life_days, weights, conversation_gap_minutes, embed_long, missing_campaigns } = config;
  let recommender: Recommender | null = null;
  /** Later than the other services: a wrong file of experiments stops tasks that make answers, and no others. */
  const openRecommender = async () =>
    new Recommender({
      stores: { ...stores.value, cache: NO_CACHE },
      clock: systemClock,
      answer_ms: WHOLE_ANSWER_MS,
      secret,
      repurchase_days: config.repurchase_days,
      conversation_gap_minutes: config.conversation_gap_minutes,
      arms: new Arms({ ...config, splits: await readExperiments(config) }),
      warn,
    });
  const value: Services = {
    ...stores.value,
    clock: systemClock,
    fetch: globalThis.fetch,
    dag_secrets: config.dag_secrets,
    secret,
    settings: {
      model: modelName(config.embeddings),
      inbox,
      max_source_bytes,
      max_bad_share,
      earliest,
      retention_days,
      half_life_days,
      weights,
      conversation_gap_minutes,
      embed_long,
      missing_campaigns,
    },
    embedder,
    recommender: {
      explain: async (request) => await (recommender ??= await openRecommender()).explain(request),
    },
    exports: new ExportFolder(`${config.data}/exports`),
    catalogue: ({ sources }) => readCatalogue(config, sources),
    dataset: (store, table) => datasetName(config[store], table),
    artifact: ({ uri, rows, bytes, sha256 }) => ({
      ...datasetName(config.artifacts, uri.replace(/^artifact:/, "")),
      rows,
      bytes,
      version: sha256,
    }),
  };
  const close = async () => {
    for (const opened of embedders.values()) await (await opened.catch(() => null))?.close();
    await stores.close();
  };
  return opened(value, close);
}

/** The secret that signs ids and keys hashes: the configured one, else the one that analytics keeps. Throws if that is down. */
export async function readSecret(
  { secret }: Pick<Config, "secret">,
  { analytics, signal }: { analytics: Pick<AnalyticsStore, "secret"> } & Abortable,
): Promise<Uint8Array> {
  return secret === null ? await analytics.secret({ signal }) : new TextEncoder().encode(secret);
}

/**
 * How a process opens stores that others write: next to other data a file that is missing is a store that is missing, and no
 * empty one takes its place.
 */
export async function openOptions(config: Config): Promise<OpenOptions> {
  const { documents, analytics, vectors, graph } = config;
  return { create: !hasFiles([documents, analytics, vectors, graph]) && await isUnpublished(config) };
}

/** Whether no run has published yet, which only a server can tell. It is not asked if no store is embedded. */
async function isUnpublished({ documents, analytics, vectors, graph, runs }: Config): Promise<boolean> {
  if (filesOf(analytics) !== null) return true;
  if ([documents, vectors, graph, runs].every((url) => filesOf(url) === null)) return false;
  try {
    const store = await openAnalytics(analytics);
    return await store.published().finally(() => store.close()) === null;
  } catch (error) {
    // Its health says it.
    if (error instanceof ParleyError) return false;
    throw error;
  }
}

/** The same for a command that only reads: before the first run stores are empty, and it leaves none on disk. */
export async function readOptions(config: Config): Promise<OpenOptions> {
  return (await openOptions(config)).create ? { create: "in_memory" } : { create: false };
}

/** How long a cached answer may miss what another process has written, in milliseconds. */
const NOTICE_MS = 5;

/**
 * The stores that answers are made from, and the run store, whose scheduler `/readyz` reports. A damaged or missing file
 * is an error of its store's calls, not of opening.
 */
export async function openServing(config: Config, { inMemory = false } = {}) {
  const runs = await openOptions(config);
  const options = inMemory && runs.create ? { create: "in_memory" } as const : runs;
  return await openAll({
    analytics: () => openAnalytics(config.analytics, { ...options, durable: true, notice_ms: NOTICE_MS }),
    vectors: () => openVectors(config.vectors, options),
    graph: () => openGraph(config.graph, options),
    documents: () => openDocuments(config.documents, { ...options, durable: true }),
    cache: () => openCache(config.cache),
    runs: () => openRuns(config.runs, runs),
  });
}

export type ServingStores = Awaited<ReturnType<typeof openServing>>["value"];

/**
 * Asks for the vectors that answers are made from: the health of `vectors` is theirs, and not that of other models' files.
 * Returns the published version; also null if it cannot be read.
 */
export async function readPublished(
  { analytics, vectors }: { analytics: Pick<ReleaseStore, "published">; vectors?: VectorStores },
): Promise<Published | null> {
  try {
    const published = await analytics.published();
    if (published !== null) await vectors?.forModel({ model: parseModelKey(published.model) });
    return published;
  } catch (error) {
    // Each store's health says it.
    if (error instanceof ParleyError) return null;
    throw error;
  }
}

/**
 * Reports on stderr the stores that do not respond, or are empty although they are part of the published version. What is wrong
 * with a server of several stores is said once.
 */
export async function logMissing(stores: ServingStores, shared: readonly string[]): Promise<void> {
  await readPublished(stores);
  const reasons = new Map(
    await Promise.all(STORE_NAMES.map(async (name) => {
      const emptied = async () => (await emptiedStore(name, stores))?.message ?? null;
      return [name, await stores[name].health().then(emptied, reasonOf)] as const;
    })),
  );
  for (const names of groupShared(STORE_NAMES, shared, (name) => String(reasons.get(name)))) {
    const reason = reasons.get(names[0]!)!;
    if (reason !== null) warn(`${names.join(", ")}: ${reason}`);
  }
}

/** Throws `invalid` where answers would come from the embedder that only tests may use, unless that is wanted. */
export function refuseTestEmbedder({ embeddings, allow_test_embedder }: Config): void {
  if (embeddings.protocol !== "test:" || allow_test_embedder) return;
  throw new ParleyError(
    "invalid",
    `PARLEY_EMBEDDINGS=${
      modelName(embeddings)
    } knows no meanings and is for tests: set a model, or leave it out for the ` +
      "bundled one; PARLEY_ALLOW_TEST_EMBEDDER=1 serves it anyway",
  );
}

/** The same for the published version, whichever embedder is configured. */
export function refusePublishedTest(
  config: Pick<Config, "allow_test_embedder" | "embeddings">,
  { model }: Published,
): void {
  if (!isDeterministic(model) || config.allow_test_embedder) return;
  throw new ParleyError(
    "invalid",
    `the published data were embedded by ${model}, which is for tests and knows no meanings: switch to a model by ` +
      `\`deno task pipeline run reembed --param model=${
        modelName(config.embeddings)
      }\`, or serve them anyway by ` +
      "PARLEY_ALLOW_TEST_EMBEDDER=1",
  );
}
