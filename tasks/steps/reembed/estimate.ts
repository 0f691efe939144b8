import { type ModelIdentity, modelKey } from "../../../lib/core/types.ts";
import type { TaskContext } from "../../../lib/dag/types.ts";
import type { Embedder } from "../../../lib/embed/port.ts";
import type { VectorStore } from "../../../lib/stores/vectors/port.ts";
import type { Services } from "../../services.ts";
import { keyOf, liveVectors } from "../texts.ts";
import { corpus } from "./corpus.ts";

export type ReembedParams = {
  /** As PARLEY_EMBEDDINGS names it. */
  readonly model: string;
  readonly drop_old: boolean;
};

export type EstimateOutput = {
  readonly model: ModelIdentity;
  /** Messages and campaigns. */
  readonly rows: number;
  /** Distinct texts, and how many of them have no vector by this model yet. */
  readonly texts: number;
  readonly missing: number;
  /** Measured; null where nothing is missing. */
  readonly texts_per_second: number | null;
};

/** Texts that the speed is measured on. */
const SAMPLE = 64;

/** Says what is to be done and how long that will take, before anything is written. */
export async function estimate(context: TaskContext<Services>): Promise<EstimateOutput> {
  const { services, signal, run } = context;
  const embedder = await services.embedder((run.params as ReembedParams).model, context.log);
  const { model } = embedder;
  context.version("model", modelKey(model));
  const survey = await surveyOf(context, await services.vectors.of({ model, signal }));
  const texts_per_second = await speed(embedder, survey.sample, signal);
  const { rows, texts, missing } = survey;
  context.log(`${rows} rows, ${texts} distinct texts; ${missing} have no vector by ${modelKey(model)} yet`);
  if (texts_per_second !== null) context.log(forecast({ missing, texts_per_second, model }));
  context.rows({ in: rows, out: missing });
  context.reads(services.dataset("documents", "messages"));
  context.reads(services.dataset("analytics", "campaigns"));
  return { model, rows, texts, missing, texts_per_second };
}

interface Survey {
  readonly rows: number;
  readonly texts: number;
  readonly missing: number;
  readonly sample: readonly string[];
}

async function surveyOf(context: TaskContext<Services>, store: VectorStore): Promise<Survey> {
  const { services, signal } = context;
  const total = await rowsToEmbed(context);
  const sample: string[] = [];
  let rows = 0, texts = 0, missing = 0;
  const register = await services.artifacts.register();
  try {
    for await (const { items } of corpus(context)) {
      signal.throwIfAborted();
      const distinct = items.filter((item) => register.claim(keyOf(item), "") === null);
      const live = await liveVectors(store, distinct, signal);
      const without = distinct.filter((item) => !live.has(keyOf(item)));
      sample.push(...without.slice(0, SAMPLE - sample.length).map(({ text }) => text));
      rows += items.length;
      texts += distinct.length;
      missing += without.length;
      context.progress({ done: rows, total });
    }
  } finally {
    register.close();
  }
  return { rows, texts, missing, sample };
}

export async function rowsToEmbed({ services, signal }: TaskContext<Services>): Promise<number> {
  const { messages } = await services.documents.counts({ signal });
  const { campaigns } = await services.analytics.counts({ signal });
  return messages + campaigns;
}

/** Texts a second; the first text, which loads the model, is not timed. */
async function speed(
  embedder: Embedder,
  texts: readonly string[],
  signal: AbortSignal,
): Promise<number | null> {
  if (texts.length === 0) return null;
  await embedder.embed({ texts: texts.slice(0, 1), signal });
  const start = performance.now();
  await embedder.embed({ texts, signal });
  return texts.length * 1_000 / Math.max(1, performance.now() - start);
}

function forecast(
  o: { missing: number; texts_per_second: number; model: ModelIdentity },
): string {
  const seconds = Math.ceil(o.missing / o.texts_per_second);
  const [h, m, s] = [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60, seconds % 60];
  const time = [...h > 0 ? [`${h} h`] : [], ...h + m > 0 ? [`${m} min`] : [], `${s} s`].join(" ");
  const megabytes = (o.missing * o.model.dimension * 4 / 1e6).toFixed(1);
  return `at ${o.texts_per_second.toFixed(0)} texts/s, measured just now, that takes about ${time}; ` +
    `their vectors take ${megabytes} MB`;
}
