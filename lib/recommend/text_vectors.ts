import { bulkhead, isBulkheadRejectedError, LRUCache } from "../../deps.ts";
import { sleep, yieldToEventLoop } from "../core/abort.ts";
import { ParleyError } from "../core/errors.ts";
import { sha256 } from "../core/hash.ts";
import { type Abortable, modelKey } from "../core/types.ts";
import type { Embedder } from "../embed/port.ts";

/** Vectors in memory: 15 MB at 384 dimensions. */
const MAX_VECTORS = 10_000;
/** How long a vector stays that is not used, in milliseconds: conversations pause. */
const TTL_MS = 30 * 60_000;
/** Requests that are embedded at one time, so that the model never waits for the next text, and those that wait. */
const MAX_RUNNING = 2;
const MAX_QUEUED = 4;

/** New texts that are embedded however long that takes: the newest of a conversation, which mostly grows by one or two. */
const MIN_EMBEDDED = 2;
/** Texts that wait at most for the model while no request does, with those of the newest requests; some seconds of its work. */
const MAX_LATER = 1_000;
/** How long such a text lets requests go first, in milliseconds: about as long as the model takes for one. */
const GIVE_WAY_MS = 10;

interface VectorsOptions extends Abortable {
  readonly texts: readonly string[];
  /** The key of the model whose vectors are wanted. */
  readonly model: string;
  /** Vectors that a store has, by the hash of their text. */
  readonly stored: (hashes: readonly string[]) => Promise<ReadonlyMap<string, Float32Array>>;
  /** Whether another text is to be embedded after the first {@link MIN_EMBEDDED}. Default: all are. */
  readonly hasTime?: () => boolean;
}

/**
 * Vectors of what users say: of texts that were seen before from memory or from a store, of others from the model. What is in
 * memory are hashes and vectors, and the text only of what is still to be embedded.
 */
export class TextVectors {
  private readonly cache = new LRUCache<string, Float32Array>({
    max: MAX_VECTORS,
    ttl: TTL_MS,
    // Without it, a timer would keep the process alive.
    ttlResolution: 0,
    updateAgeOnGet: true,
  });
  private readonly slots = bulkhead(MAX_RUNNING, MAX_QUEUED);
  /** Texts that their request had no time for, by their key in the cache. */
  private readonly later = new Map<string, string>();
  private isWorking = false;

  /** `embedder` opens the model for the first text; the caller that passes it closes what it opened. */
  constructor(private readonly embedder: () => Promise<Embedder>) {}

  /**
   * One vector for each text, in order; null for one that there was no time for. Texts are embedded in their order. Throws `unavailable` if the model cannot be opened, is another one or has too much to do, and the
   * signal's reason when aborted; what was embedded until then stays in memory, and the rest is embedded later.
   */
  async of(options: VectorsOptions): Promise<(Float32Array | null)[]> {
    const { texts, model, stored, hasTime = () => true, signal } = options;
    const hashes = texts.map(sha256);
    const vectors = new Map<string, Float32Array>();
    const missing = new Map<string, string>();
    for (const [i, hash] of hashes.entries()) {
      const vector = this.cache.get(`${model} ${hash}`);
      if (vector === undefined) missing.set(hash, texts[i]!);
      else vectors.set(hash, vector);
    }
    const keep = (hash: string, vector: Float32Array) => {
      vectors.set(hash, vector);
      this.keep(`${model} ${hash}`, vector);
      missing.delete(hash);
    };
    if (missing.size > 0) {
      for (const [hash, vector] of await stored([...missing.keys()])) {
        keep(hash, vector);
      }
    }
    if (missing.size > 0) {
      await this.inSlot(() => this.embed(missing, { model, hasTime, signal, keep }), signal);
    }
    return hashes.map((hash) => vectors.get(hash) ?? null);
  }

  private async inSlot(work: () => Promise<void>, signal: AbortSignal | undefined): Promise<void> {
    try {
      await this.slots.execute(work, signal);
    } catch (error) {
      if (!isBulkheadRejectedError(error)) throw error;
      // Not `unavailable`: the model is not down, and the next request may find a slot.
      throw new ParleyError("conflict", "the embedding model has too many requests at once");
    }
  }

  private async embed(
    texts: ReadonlyMap<string, string>,
    { model, hasTime, signal, keep }:
      & Required<Pick<VectorsOptions, "model" | "hasTime">>
      & { keep: (hash: string, vector: Float32Array) => void }
      & Abortable,
  ): Promise<void> {
    const embedder = await this.embedder();
    if (modelKey(embedder.model) !== model) {
      throw new ParleyError(
        "unavailable",
        "PARLEY_EMBEDDINGS is another model than the published data are of",
      );
    }
    for (const [n, [hash, text]] of [...texts].entries()) {
      if (signal?.aborted || (n >= MIN_EMBEDDED && !hasTime())) {
        this.embedLater(embedder, texts);
        signal?.throwIfAborted();
        return;
      }
      // Without the signal: what the model has begun is not lost, and the next request of the conversation finds it.
      const [vector] = await embedder.embed({ texts: [text] });
      keep(hash, vector!);
    }
  }

  private keep(key: string, vector: Float32Array): void {
    this.cache.set(key, vector);
    this.later.delete(key);
  }

  /** Embeds the other texts between requests, for the next request of the conversation. */
  private embedLater(embedder: Embedder, texts: ReadonlyMap<string, string>): void {
    for (const [hash, text] of texts) this.later.set(`${modelKey(embedder.model)} ${hash}`, text);
    for (const key of this.later.keys()) {
      if (this.later.size <= MAX_LATER) break;
      this.later.delete(key);
    }
    if (this.isWorking) return;
    this.isWorking = true;
    // A model that fails here fails for the next request too, which reports it.
    this.drainLater(embedder).catch(() => this.later.clear()).finally(() => this.isWorking = false);
  }

  /** One text at a time, after requests that need the model, but not after all of them: else a busy process would never get to it. */
  private async drainLater(embedder: Embedder): Promise<void> {
    // After the request that calls this has left its slot.
    await yieldToEventLoop();
    while (this.later.size > 0) {
      if (this.slots.executionSlots < MAX_RUNNING) await sleep(GIVE_WAY_MS);
      const [next] = this.later;
      if (next === undefined) return;
      const [key, text] = next;
      const [vector] = await embedder.embed({ texts: [text] });
      this.keep(key, vector!);
    }
  }
}
