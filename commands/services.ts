import { systemClock } from "../lib/core/clock.ts";
import { type Config, parseUrl } from "../lib/config.ts";
import { ParleyError } from "../lib/core/errors.ts";
import type { Published } from "../lib/core/types.ts";
import { isDeterministic } from "../lib/embed/deterministic.ts";
import { type EmbedderOptions, isEmbedder, noEmbedder, openEmbedder } from "../lib/embed/open.ts";
import type { Embedder } from "../lib/embed/port.ts";
import {
  datasetName,
  openAnalytics,
  openArtifacts,
  openCache,
  openDocuments,
  openGraph,
  openRuns,
  openVectors,
} from "../lib/stores/open.ts";
import type { Services } from "../tasks/services.ts";
import { readCatalogue } from "./catalogue.ts";

/** What is open, and the one way to close it. */
export interface Opened<T> {
  readonly value: T;
  close(): Promise<void>;
}

interface Closable {
  close(): Promise<void>;
}

/** Opens in order; where one fails, what was open is closed again. */
export async function openAll<T extends Record<string, Closable>>(
  openers: { readonly [K in keyof T]: () => Promise<T[K]> },
): Promise<Opened<T>> {
  const opened: Partial<T> = {};
  const close = async () => {
    for (const each of Object.values(opened).reverse()) await each?.close();
  };
  try {
    for (const name of Object.keys(openers) as (keyof T)[]) opened[name] = await openers[name]();
    return { value: opened as T, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** What is opened when it is first asked for, and closed if it was. A failure is not kept. */
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

/** Everything that the tasks of the nightly dag work with. The model loads when a task first asks for it. */
export async function openServices(config: Config): Promise<Opened<Services>> {
  const stores = await openAll({
    documents: () => openDocuments(config.documents),
    analytics: () => openAnalytics(config.analytics),
    vectors: () => openVectors(config.vectors),
    graph: () => openGraph(config.graph),
    artifacts: () => openArtifacts(config.artifacts),
    runs: () => openRuns(config.runs),
  });
  const embedders = new Map<string, Promise<Embedder>>();
  const embedder = (url = embedderUrl(config)) => {
    const opened = embedders.get(url) ?? openEmbedder({ ...embedderOptions(config), url });
    embedders.set(url, opened);
    return opened;
  };
  const { max_bad_share, retention_days, half_life_days } = config;
  const value: Services = {
    ...stores.value,
    clock: systemClock,
    settings: { embeddings: embedderUrl(config), max_bad_share, retention_days, half_life_days },
    embedder,
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
  return { value, close };
}

/** The stores that answers are made from, and the run store, whose scheduler `/readyz` tells of. */
export function openServing(config: Config) {
  return openAll({
    analytics: () => openAnalytics(config.analytics),
    vectors: () => openVectors(config.vectors),
    graph: () => openGraph(config.graph),
    documents: () => openDocuments(config.documents),
    cache: () => openCache(config.cache),
    runs: () => openRuns(config.runs),
  });
}

export type ServingStores = Awaited<ReturnType<typeof openServing>>["value"];

/** The param `model` as a run keeps it, checked as the setting is; a relative folder is seen from here. */
export function resolveModel(text: string): string {
  const name = "the param model";
  if (!isEmbedder(text)) throw noEmbedder(name);
  const problems: string[] = [];
  const embeddings = parseUrl(name, text, Deno.cwd(), problems);
  if (problems.length > 0) throw new ParleyError("invalid", problems.join("; "));
  return embedderUrl({ embeddings });
}

/** What the configured embedder is opened with. */
export function embedderOptions(config: Config): EmbedderOptions {
  return {
    url: embedderUrl(config),
    sessions: config.embed_sessions,
    long: config.embed_long,
    key: config.embeddings_key,
    hub: { ...config.hub, cache: `${config.data}/models` },
  };
}

/** Without the escapes that a URL puts into a path. */
export function embedderUrl({ embeddings }: Pick<Config, "embeddings">): string {
  const { protocol, pathname, search, href } = embeddings;
  return protocol === "onnx:" ? `${protocol}${decodeURIComponent(pathname)}${search}` : href;
}

/** Throws `invalid` where answers would come from the embedder that only tests may use, unless that is wanted. */
export function refuseTestEmbedder({ embeddings, allow_test_embedder }: Config): void {
  if (embeddings.protocol !== "test:" || allow_test_embedder) return;
  throw new ParleyError(
    "invalid",
    `PARLEY_EMBEDDINGS=${embeddings.href} knows no meanings and is for tests: set a model, or leave it out for the ` +
      "bundled one; PARLEY_ALLOW_TEST_EMBEDDER=1 serves it all the same",
  );
}

/** The same for what is published already, whichever embedder is set. */
export function refusePublishedTest(config: Config, { model }: Published): void {
  if (!isDeterministic(model) || config.allow_test_embedder) return;
  throw new ParleyError(
    "invalid",
    `what is published was embedded by ${model}, which knows no meanings and is for tests: change over to a model by ` +
      `\`deno task pipeline run reembed --param model=${
        embedderUrl(config)
      }\`, or serve it all the same by ` +
      "PARLEY_ALLOW_TEST_EMBEDDER=1",
  );
}
