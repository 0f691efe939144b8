/**
 * The module of one embedding worker. The first message it gets is what to load, each later one a {@link Job}; each is
 * answered by one {@link Reply}, in order.
 */
/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
import { loadTransformers } from "../../../deps.ts";
import { messageOf } from "../../core/errors.ts";
import type { ModelConfig } from "./model_config.ts";
import type { Purpose } from "../port.ts";
import { type LongTexts, MAX_WINDOWS } from "../texts.ts";
import { meanVector, normalize } from "../vectors.ts";
import { specialTokens, tokenWindows } from "./tokens.ts";

/** What a worker loads, and what it does with texts that are too long. */
export interface WorkerSetup {
  readonly config: ModelConfig;
  readonly longTexts: LongTexts;
}

export interface Job {
  readonly texts: readonly string[];
  readonly as: Purpose;
  /** Shared memory. If its number is not 0, no caller waits for the answer: work on the job ends before the next window. */
  readonly stop: Int32Array<SharedArrayBuffer>;
}

/**
 * `vectors` are the unit vectors of the texts, one after another, and `long` is how many of them were too long; nothing in
 * answer to the setup. `error` is what the model did, to follow its name.
 */
export type Reply =
  | { readonly vectors: Float32Array<ArrayBuffer>; readonly tooLong: number }
  | { readonly error: string };

type Embed = (
  text: string,
  options: Omit<Job, "texts">,
) => Promise<{ vector: Float32Array; tooLong: boolean }>;

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

let before = Promise.resolve();

self.onmessage = ({ data }: MessageEvent<WorkerSetup | Job>) => {
  before = before.then(async () => {
    const reply = "config" in data ? await start(data) : await answer(data);
    self.postMessage(reply, "vectors" in reply ? [reply.vectors.buffer] : []);
  });
};

async function start(workerSetup: WorkerSetup): Promise<Reply> {
  try {
    embed = await load(workerSetup);
    return { vectors: new Float32Array(), tooLong: 0 };
  } catch (error) {
    return { error: `did not load: ${messageOf(error).replace(/\s+/g, " ")}` };
  }
}

async function answer({ texts, ...options }: Job): Promise<Reply> {
  if (embed === null) return { error: "is not loaded" };
  try {
    const vectors: Float32Array[] = [];
    let count = 0;
    for (const text of texts) {
      const { vector, tooLong } = await embed(text, options);
      vectors.push(vector);
      if (tooLong) count++;
    }
    return { vectors: concat(vectors), tooLong: count };
  } catch (error) {
    // The library's own sentence may quote the text; its name cannot.
    return { error: `failed with ${error instanceof Error ? error.name : "an unknown error"}` };
  }
}

async function load({ config, longTexts }: WorkerSetup): Promise<Embed> {
  const { run, encode } = await loadModel(config);
  const { before, after } = specialTokens(encode);
  const windowSize = config.max_tokens - before.length - after.length;
  const maxWindows = longTexts === "windows" ? MAX_WINDOWS : 1;
  const tokensOf = (text: string) => encode(text, { add_special_tokens: false });
  return async (text, { as, stop }) => {
    throwIfStopped(stop);
    const { read, cut } = prepare(text, config, maxWindows);
    const prompt = config.prompts[as];
    const tokens = tokensOf(prompt + read);
    const promptTokens = prompt === "" ? [] : tokensOf(prompt);
    const vectors: Float32Array[] = [];
    for (const window of tokenWindows({ tokens, windowSize, promptTokens, maxWindows })) {
      throwIfStopped(stop);
      vectors.push(poolStates(await run([...before, ...window, ...after]), config));
    }
    return {
      vector: vectors.length === 1 ? vectors[0]! : meanVector(vectors),
      tooLong: cut || tokens.length > windowSize,
    };
  };
}

function throwIfStopped(stop: Job["stop"]): void {
  if (Atomics.load(stop, 0) !== 0) throw new DOMException("the caller stopped waiting", "AbortError");
}

/** The model's tokeniser, and the model as a function from the tokens of one text to its states. */
async function loadModel(config: ModelConfig) {
  // In a worker the library takes `location` for its base and fails on the blob or file URL that it finds there.
  Object.defineProperty(globalThis, "location", { value: undefined, configurable: true });
  const { AutoModel, AutoTokenizer, env, Tensor } = await loadTransformers();
  Object.assign(env, {
    allowLocalModels: true,
    allowRemoteModels: false,
    localModelPath: `${config.parent}/`,
    // Models are local: its cache would hold nothing, and two sessions that create one at once print "database is locked".
    useBrowserCache: false,
  });
  const tokenizer = await AutoTokenizer.from_pretrained(config.name);
  const model = await AutoModel.from_pretrained(config.name, {
    dtype: config.dtype,
    subfolder: config.subfolder,
    session_options: { intraOpNumThreads: 1, interOpNumThreads: 1 },
  });
  const run = async (tokens: readonly number[]): Promise<Float32Array> => {
    const tensor = (values: BigInt64Array) => new Tensor("int64", values, [1, values.length]);
    const output: Output = await model({
      input_ids: tensor(BigInt64Array.from(tokens, BigInt)),
      attention_mask: tensor(new BigInt64Array(tokens.length).fill(1n)),
    });
    return output.last_hidden_state?.data ?? new Float32Array();
  };
  const encode = (text: string, options: { add_special_tokens: boolean }) => tokenizer.encode(text, options);
  return { run, encode };
}

/** Trims and lower-cases as sentence-transformers does, and leaves no lone surrogate for the tokeniser. */
function prepare(
  text: string,
  { max_tokens, lowercase }: ModelConfig,
  windows: number,
): { read: string; cut: boolean } {
  const trimmed = text.trim();
  const length = max_tokens * CHARACTERS_PER_TOKEN * windows;
  const read = trimmed.slice(0, length).toWellFormed();
  return { read: lowercase ? read.toLowerCase() : read, cut: trimmed.length > length };
}

function poolStates(states: Float32Array, { dimension, pooling }: ModelConfig): Float32Array {
  const rows = states.length / dimension;
  if (rows < 1 || !Number.isInteger(rows)) {
    throw new RangeError("the model gave other states than its files say");
  }
  const used = (pooling === "cls" ? 1 : rows) * dimension;
  const sums = new Float64Array(dimension);
  for (let at = 0; at < used; at++) sums[at % dimension]! += states[at]!;
  return normalize(sums);
}

function concat(vectors: readonly Float32Array[]): Float32Array<ArrayBuffer> {
  const size = vectors[0]?.length ?? 0;
  const all = new Float32Array(vectors.length * size);
  vectors.forEach((vector, at) => all.set(vector, at * size));
  return all;
}
