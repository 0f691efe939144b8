import { batches } from "../core/batches.ts";
import type { WriteCounts } from "../core/types.ts";
import type { Embedder } from "../embed/port.ts";
import type { VectorRow, VectorStore } from "../stores/vectors/port.ts";
import { NO_WRITES } from "../core/write_counts.ts";
import { type Item, keyOf, liveVectors, purposeOf, type TextRow } from "./embed_items.ts";
import { sha256 } from "../core/hash.ts";

/** What vectors are made with and written to. Both are of one model. */
export interface VectorWriter {
  readonly embedder: Embedder;
  readonly store: VectorStore;
}

/** What of a {@link VectorWriter} the functions below use. */
export interface TextWriter {
  readonly embedder: Embedder;
  readonly store: Pick<VectorStore, "byHash" | "hashes" | "upsert">;
}

export interface TextCounts {
  /** Texts that the model read. */
  readonly embedded: number;
  /** Rows whose vector was there already. */
  readonly reused: number;
  /** Of the embedded, texts that are longer than the model reads. */
  readonly long: number;
}

export const NO_TEXTS: TextCounts = Object.freeze({ embedded: 0, reused: 0, long: 0 });

export function addTexts(a: TextCounts, b: TextCounts): TextCounts {
  return { embedded: a.embedded + b.embedded, reused: a.reused + b.reused, long: a.long + b.long };
}

/** Texts embedded at a time. */
const ROWS = 256;

/**
 * Writes a vector for each row: the direction of its texts' vectors added up. A row of the same content lends its vector, a message
 * of the same text that text's; only the remaining texts are embedded.
 */
export async function embedTexts(
  { embedder, store }: TextWriter,
  rows: readonly TextRow[],
  signal: AbortSignal | undefined,
): Promise<TextCounts & { readonly counts: Record<"profiles" | "conversations", WriteCounts> }> {
  const vectors = await liveVectors(store, rows, signal);
  const missing = rows.filter((row) => !vectors.has(keyOf(row)));
  const texts = new Map(missing.flatMap((row) => row.texts.map((text) => [sha256(text), text] as const)));
  const known = await store.byHash({ collection: "messages", hashes: [...texts.keys()], signal });
  const fresh = [...texts].filter(([hash]) => !known.has(hash));
  let long = 0;
  const made = await embedder.embed({
    texts: fresh.map(([, text]) => text),
    as: purposeOf("messages"),
    signal,
    onLong: (count) => void (long = count),
  });
  fresh.forEach(([hash], at) => known.set(hash, made[at]!));
  for (const row of missing) {
    vectors.set(
      keyOf(row),
      direction(row.texts.map((text) => known.get(sha256(text))!)),
    );
  }
  const counts = { profiles: NO_WRITES, conversations: NO_WRITES };
  for (const [collection, group] of Map.groupBy(rows, (row) => row.collection)) {
    const whole = group.map((row): VectorRow => {
      const { texts: _texts, collection: _collection, ...rest } = row;
      return { ...rest, vector: vectors.get(keyOf(row))! };
    });
    counts[collection] = await store.upsert({ collection, rows: whole, signal });
  }
  return { embedded: fresh.length, reused: rows.length - missing.length, long, counts };
}

/** Writes a vector for each of these items that the store has none of, or one of another text; returns their ids too. */
export async function embedMissing(
  { embedder, store }: TextWriter,
  items: readonly Item[],
  signal: AbortSignal | undefined,
): Promise<{ readonly counts: TextCounts; readonly ids: ReadonlySet<string> }> {
  let counts: TextCounts = NO_TEXTS;
  const ids = new Set<string>();
  for (const [collection, group] of Map.groupBy(items, (item) => item.collection)) {
    const hashes = await store.hashes({ collection, ids: group.map(({ id }) => id), signal });
    const missing = group.filter(({ id, content_hash }) => hashes.get(id) !== content_hash);
    for await (const rows of batches(missing, ROWS)) {
      const vectors = await liveVectors(store, rows, signal);
      const texts = new Map(
        rows.flatMap((item) => vectors.has(keyOf(item)) ? [] : [[keyOf(item), item.text]]),
      );
      let long = 0;
      const fresh = await embedder.embed({
        texts: [...texts.values()],
        as: purposeOf(collection),
        signal,
        onLong: (count) => void (long = count),
      });
      [...texts.keys()].forEach((key, at) => vectors.set(key, fresh[at]!));
      const whole = rows.map((item): VectorRow => {
        const { collection: _collection, text: _text, ...row } = item;
        return { ...row, vector: vectors.get(keyOf(item))! };
      });
      await store.upsert({ collection, rows: whole, signal });
      for (const { id } of rows) ids.add(id);
      counts = addTexts(counts, { embedded: fresh.length, reused: rows.length - fresh.length, long });
    }
  }
  return { counts, ids };
}

/** The unit vector of a sum; of vectors that cancel out, the last of them. */
function direction(vectors: readonly Float32Array[]): Float32Array {
  const last = vectors.at(-1)!;
  if (vectors.length === 1) return last;
  const sum = Float64Array.from(last, (_, at) => vectors.reduce((sum, vector) => sum + vector[at]!, 0));
  const norm = Math.hypot(...sum);
  return norm < 1e-6 ? last : Float32Array.from(sum, (x) => x / norm);
}
