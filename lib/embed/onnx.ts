import { ParleyError } from "../core/errors.ts";
import type { ModelIdentity } from "../core/types.ts";
import { identify, readLayout } from "./layout.ts";
import { SessionPool } from "./pool.ts";
import type { Embedder } from "./port.ts";
import { checkTexts } from "./texts.ts";

/** Texts in one message to a worker: some 20 ms of work, so that aborting is prompt and messages cost little. */
const TEXTS_PER_MESSAGE = 8;

/**
 * Opens a model folder: reads its layout and hashes its weights, but loads nothing before the first text. Each of
 * `sessions` is a worker with one single-threaded ONNX session that embeds one text at a time, because in a batch a
 * text's quantised vector depends on its neighbours. A worker takes some 250 MB for a model of 34 MB. Needs read,
 * env and ffi permission. Throws what {@link readLayout} throws.
 */
export async function openOnnx(o: { folder: string; sessions: number }): Promise<Embedder> {
  if (!Number.isInteger(o.sessions) || o.sessions < 1) {
    throw new ParleyError("invalid", `an embedder cannot have ${o.sessions} sessions; give 1 or more`);
  }
  const layout = await readLayout(o.folder);
  return new OnnxEmbedder(await identify(layout), new SessionPool(layout, o.sessions));
}

class OnnxEmbedder implements Embedder {
  constructor(readonly model: ModelIdentity, private readonly pool: SessionPool) {}

  async embed(o: { texts: readonly string[]; signal?: AbortSignal }): Promise<Float32Array[]> {
    o.signal?.throwIfAborted();
    checkTexts(o.texts);
    const vectors = new Map<string, Float32Array>();
    await this.pool.each({
      items: chunks([...new Set(o.texts)], TEXTS_PER_MESSAGE),
      signal: o.signal ?? null,
      work: async (session, texts) => {
        const rows = chunks(await session.request(texts), this.model.dimension);
        texts.forEach((text, at) => vectors.set(text, rows[at]!));
      },
    });
    return o.texts.map((text) => vectors.get(text)!);
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
