import { hash } from "../../../deps.ts";
import { abortable, onAbort } from "../../core/abort.ts";
import { ParleyError } from "../../core/errors.ts";
import type { ModelIdentity } from "../../core/types.ts";
import { mapConcurrent } from "../../core/map_concurrent.ts";
import { type ModelConfig, readModelConfig } from "./model_config.ts";
import { type EmbeddedTexts, REQUESTS_PER_SESSION, SessionPool } from "./session_pool.ts";
import type { Embedder, EmbedOptions } from "../port.ts";
import { checkTexts, type LongTexts } from "../texts.ts";
import { type Dtype, hashFiles, hashWeights } from "./weights.ts";
import type { Job } from "./worker.ts";

/** Texts in one message to a worker: some 10 ms of work if they are short, so that the overhead is small. */
const TEXTS_PER_MESSAGE = 4;

/**
 * Opens a model folder: reads its layout and hashes its weights, but loads nothing before the first text. Each of
 * `sessions` is a worker with one single-threaded ONNX session that embeds one text at a time, because in a batch a
 * text's quantised vector depends on its neighbours, and on a CPU a batch of any dtype is no faster. A worker takes some
 * 250 MB for a model of 34 MB. Needs read, env and ffi permission. Throws what {@link readModelConfig} throws.
 */
export async function openOnnx(
  options: { folder: string; dtype: Dtype | null; sessions: number; longTexts: LongTexts },
): Promise<Embedder> {
  if (!Number.isInteger(options.sessions) || options.sessions < 1) {
    throw new ParleyError("invalid", `an embedder cannot have ${options.sessions} sessions; give 1 or more`);
  }
  const config = await readModelConfig(options.folder, options.dtype);
  const pool = new SessionPool({ config, longTexts: options.longTexts }, options.sessions);
  return new OnnxEmbedder(await identify(config, options.longTexts), pool, options.sessions);
}

/** Names the model by its folder, the hash of its weights, and a hash of how else its files say that texts are read. */
export async function identify(config: ModelConfig, longTexts: LongTexts): Promise<ModelIdentity> {
  return {
    name: config.name,
    revision: `${await hashWeights(config.onnx)}+${await hashReading(config)}`,
    dimension: config.dimension,
    pooling: longTexts === "windows" ? `${config.pooling}+windows` : config.pooling,
  };
}

/** The files that the library makes a tokeniser of. */
const TOKENISER = ["tokenizer.json", "tokenizer_config.json"];

async function hashReading({ parent, name, max_tokens, lowercase, prompts }: ModelConfig): Promise<string> {
  const tokeniser = await hashFiles(TOKENISER.map((file) => `${parent}/${name}/${file}`));
  const settings = JSON.stringify([max_tokens, lowercase, prompts.query, prompts.document, tokeniser]);
  return hash("sha256", settings).slice(0, 8);
}

class OnnxEmbedder implements Embedder {
  constructor(
    readonly model: ModelIdentity,
    private readonly pool: SessionPool,
    private readonly sessions: number,
  ) {}

  async embed(options: EmbedOptions): Promise<Float32Array[]> {
    options.signal?.throwIfAborted();
    checkTexts(options.texts);
    const vectors = new Map<string, Float32Array>();
    let tooLong = 0;
    // The longest first, so that the sessions end at about the same time.
    const distinct = [...new Set(options.texts)].toSorted((a, b) => b.length - a.length);
    await mapConcurrent({
      items: chunks(distinct, TEXTS_PER_MESSAGE),
      concurrency: this.sessions * REQUESTS_PER_SESSION,
      signal: options.signal,
      work: async (texts, signal) => {
        const embedded = await this.runJob({ texts, as: options.as ?? "query" }, signal);
        const rows = chunks(embedded.vectors, this.model.dimension);
        texts.forEach((text, at) => vectors.set(text, rows[at]!));
        tooLong += embedded.tooLong;
      },
    });
    if (tooLong > 0) options.onLong?.(tooLong);
    return options.texts.map((text) => vectors.get(text)!);
  }

  /** Does not wait for the window that a worker is at when the signal aborts: after that it takes up the next job. */
  private async runJob(job: Omit<Job, "stop">, signal: AbortSignal): Promise<EmbeddedTexts> {
    const stop = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
    const stopListening = onAbort(signal, () => Atomics.store(stop, 0, 1));
    try {
      return await abortable(signal, () => this.pool.embed({ ...job, stop }));
    } finally {
      stopListening();
    }
  }

  close(): Promise<void> {
    this.pool.close();
    return Promise.resolve();
  }
}

function chunks<T extends { readonly length: number; slice(from: number, to: number): T }>(
  all: T,
  size: number,
): T[] {
  return Array.from(
    { length: Math.ceil(all.length / size) },
    (_, at) => all.slice(at * size, (at + 1) * size),
  );
}
