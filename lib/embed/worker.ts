/**
 * The module of one embedding worker. The first message it gets is the model's layout, each later one a list of
 * texts; each is answered by one {@link Reply}, in order.
 */
/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
import { loadTransformers } from "../../deps.ts";
import { messageOf } from "../core/errors.ts";
import type { ModelLayout } from "./layout.ts";

/**
 * `vectors` are the unit vectors of the texts, one after another; empty in answer to the layout. `error` is what the
 * model did, to follow its name.
 */
export type Reply = { readonly vectors: Float32Array<ArrayBuffer> } | { readonly error: string };

type Embed = (text: string) => Promise<Float32Array>;

/** What the models here give, as transformers.js hands it over: one row of states for each token. */
interface Output {
  readonly last_hidden_state?: { readonly data: Float32Array };
}

/**
 * Characters for each token that a text may have before it is cut unread: tokens average four to five, and only the
 * first `max_tokens` count, but the tokeniser would read a text of any length to its end.
 */
const CHARACTERS_PER_TOKEN = 32;

let embed: Embed | null = null;

self.onmessage = async ({ data }: MessageEvent<ModelLayout | readonly string[]>) => {
  const reply = "dtype" in data ? await start(data) : await answer(data);
  self.postMessage(reply, "vectors" in reply ? [reply.vectors.buffer] : []);
};

async function start(layout: ModelLayout): Promise<Reply> {
  try {
    embed = await load(layout);
    return { vectors: new Float32Array() };
  } catch (error) {
    return { error: `did not load: ${messageOf(error).replace(/\s+/g, " ")}` };
  }
}

async function answer(texts: readonly string[]): Promise<Reply> {
  if (embed === null) return { error: "is not loaded" };
  try {
    const vectors: Float32Array[] = [];
    for (const text of texts) vectors.push(await embed(text));
    return { vectors: concat(vectors) };
  } catch (error) {
    // The library's own sentence may quote the text; its name cannot.
    return { error: `failed with ${error instanceof Error ? error.name : "an unknown error"}` };
  }
}

async function load(layout: ModelLayout): Promise<Embed> {
  // In a worker the library takes `location` for its base and fails on the blob or file URL that it finds there.
  Object.defineProperty(globalThis, "location", { value: undefined, configurable: true });
  const { AutoModel, AutoTokenizer, env } = await loadTransformers();
  Object.assign(env, {
    allowLocalModels: true,
    allowRemoteModels: false,
    localModelPath: `${layout.parent}/`,
  });
  const tokenizer = await AutoTokenizer.from_pretrained(layout.name);
  const model = await AutoModel.from_pretrained(layout.name, {
    dtype: layout.dtype,
    session_options: { intraOpNumThreads: 1, interOpNumThreads: 1 },
  });
  return async (text) => {
    const tokens = tokenizer(prepare(text, layout), { truncation: true, max_length: layout.max_tokens });
    restoreEnd(tokens.input_ids.data as BigInt64Array, layout.max_tokens, tokenizer.sep_token_id);
    const output: Output = await model(tokens);
    return pool(output.last_hidden_state?.data ?? new Float32Array(), layout);
  };
}

/** Trims and lower-cases as sentence-transformers does, and leaves no lone surrogate for the tokeniser. */
function prepare(text: string, layout: ModelLayout): string {
  const cut = text.trim().slice(0, layout.max_tokens * CHARACTERS_PER_TOKEN).toWellFormed();
  return layout.lowercase ? cut.toLowerCase() : cut;
}

/** The library cuts after the special tokens were set, and so loses the one that ends the text. */
function restoreEnd(ids: BigInt64Array, max_tokens: number, end: number | undefined): void {
  if (ids.length === max_tokens && end !== undefined) ids[max_tokens - 1] = BigInt(end);
}

function pool(states: Float32Array, { dimension, pooling }: ModelLayout): Float32Array {
  const rows = states.length / dimension;
  if (rows < 1 || !Number.isInteger(rows)) {
    throw new RangeError("the model gave other states than its files say");
  }
  const used = (pooling === "cls" ? 1 : rows) * dimension;
  const sums = new Float64Array(dimension);
  for (let at = 0; at < used; at++) sums[at % dimension]! += states[at]!;
  const norm = Math.hypot(...sums);
  if (!(norm > 0)) throw new RangeError("the model gave no direction");
  return Float32Array.from(sums, (sum) => sum / norm);
}

function concat(vectors: readonly Float32Array[]): Float32Array<ArrayBuffer> {
  const size = vectors[0]?.length ?? 0;
  const all = new Float32Array(vectors.length * size);
  vectors.forEach((vector, at) => all.set(vector, at * size));
  return all;
}
