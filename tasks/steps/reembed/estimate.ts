import { batches } from "../../../lib/core/batches.ts";
import { type ModelIdentity, modelKey } from "../../../lib/core/types.ts";
import type { Embedder } from "../../../lib/embed/port.ts";
import type { VectorStore } from "../../../lib/stores/vectors/port.ts";
import type { StepContext } from "../../step.ts";
import { readTexts } from "../../../lib/derive/derive_users.ts";
import { USERS } from "../conversations.ts";
import { keyOf, liveVectors } from "../../../lib/derive/embed_items.ts";
import { sha256 } from "../../../lib/core/hash.ts";
import { corpus, speakers } from "./corpus.ts";

export type ReembedParams = {
  /** As PARLEY_EMBEDDINGS names it. */
  readonly model: string;
  readonly drop_old: boolean;
};

export type EstimateOutput = {
  readonly model: ModelIdentity;
  /** Messages, campaigns, conversations and profiles. */
  readonly rows: number;
  /** Distinct texts, and how many of them have no vector by this model yet. */
  readonly texts: number;
  readonly missing: number;
  /** By the characters of texts that were measured; null if nothing is missing. */
  readonly texts_per_second: number | null;
};

/** Texts that the speed is measured on: half of them messages, half conversations, which are longer. */
const SAMPLE = 64;

/** Says what is to be done and how long that will take, before anything is written. */
export async function estimate(context: StepContext): Promise<EstimateOutput> {
  const { services, signal, run } = context;
  const embedder = await services.embedder((run.params as ReembedParams).model, context.log);
  const { model } = embedder;
  context.version("model", modelKey(model));
  const survey = await corpusSizeOf(context, await services.vectors.forModel({ model, signal }));
  const { rows, texts, missing, characters } = survey;
  const speed = await charactersPerSecond(embedder, survey.sample, signal);
  const texts_per_second = speed === null ? null : speed * missing / characters;
  context.log(`${rows} rows, ${texts} distinct texts; ${missing} have no vector by ${modelKey(model)} yet`);
  if (texts_per_second !== null) context.log(forecast({ missing, texts_per_second, model }));
  context.rows({ in: rows, out: missing });
  context.reads(services.dataset("documents", "messages"));
  for (const table of ["campaigns", "events"]) context.reads(services.dataset("analytics", table));
  return { model, rows, texts, missing, texts_per_second };
}

interface CorpusSize {
  readonly rows: number;
  readonly texts: number;
  readonly missing: number;
  /** Of the missing texts. */
  readonly characters: number;
  readonly sample: readonly string[];
}

async function corpusSizeOf(context: StepContext, store: VectorStore): Promise<CorpusSize> {
  const sample: string[] = [];
  let rows = 0, texts = 0, missing = 0, characters = 0;
  const register = await context.services.artifacts.register();
  try {
    for await (const page of textPages(context, store)) {
      context.signal.throwIfAborted();
      for (const [key, { text, live }] of page.texts) {
        if (register.putIfAbsent(key, "") !== null) continue;
        texts++;
        if (live) continue;
        missing++;
        characters += text.length;
        if (sample.length < page.sample) sample.push(text);
      }
      context.progress({ done: rows += page.rows, total: null });
    }
  } finally {
    register.close();
  }
  return { rows, texts, missing, characters, sample };
}

/** Some rows, and by key their texts, each with whether its vector is there. */
interface TextPage {
  readonly rows: number;
  readonly texts: ReadonlyMap<string, { readonly text: string; readonly live: boolean }>;
  /** Texts that the sample may have after this page. */
  readonly sample: number;
}

async function* textPages(context: StepContext, store: VectorStore): AsyncGenerator<TextPage> {
  const { services: { settings }, signal } = context;
  const gap_ms = settings.conversation_gap_minutes * 60_000;
  for await (const { items } of corpus(context)) {
    const vectors = await liveVectors(store, items, signal);
    const texts = items.map((item) => {
      const key = keyOf(item);
      return [key, { text: item.text, live: vectors.has(key) }] as const;
    });
    yield { rows: items.length, texts: new Map(texts), sample: SAMPLE / 2 };
  }
  for await (const user_ids of batches(speakers(context), USERS)) {
    const { items } = await readTexts(
      { stores: context.services, gap_ms, log: context.log, signal },
      user_ids,
    );
    const vectors = await liveVectors(store, items, signal);
    // The vector of a message with the same text will do.
    const key = (text: string) => keyOf({ collection: "messages", content_hash: sha256(text) });
    const texts = items.flatMap((item) => {
      const live = vectors.has(keyOf(item));
      return item.texts.map((text) => [key(text), { text, live }] as const);
    });
    yield { rows: items.length, texts: new Map(texts), sample: SAMPLE };
  }
}

export async function rowsToEmbed({ services, signal }: StepContext): Promise<number> {
  const { messages } = await services.documents.counts({ signal });
  const { campaigns } = await services.analytics.counts({ signal });
  return messages + campaigns;
}

/** The first text, which loads the model, is not timed. */
async function charactersPerSecond(
  embedder: Embedder,
  texts: readonly string[],
  signal: AbortSignal,
): Promise<number | null> {
  if (texts.length === 0) return null;
  await embedder.embed({ texts: texts.slice(0, 1), signal });
  const start = performance.now();
  await embedder.embed({ texts, signal });
  const characters = texts.reduce((sum, { length }) => sum + length, 0);
  return characters * 1_000 / Math.max(1, performance.now() - start);
}

function forecast(
  options: { missing: number; texts_per_second: number; model: ModelIdentity },
): string {
  const seconds = Math.ceil(options.missing / options.texts_per_second);
  const [h, m, s] = [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60, seconds % 60];
  const time = [...h > 0 ? [`${h} h`] : [], ...h + m > 0 ? [`${m} min`] : [], `${s} s`].join(" ");
  const megabytes = (options.missing * options.model.dimension * 4 / 1e6).toFixed(1);
  return `at ${options.texts_per_second.toFixed(0)} texts/s, measured just now, that takes about ${time}; ` +
    `their vectors take ${megabytes} MB`;
}
