import { modelKey, type WriteCounts } from "../../../lib/core/types.ts";
import type { Embedder } from "../../../lib/embed/port.ts";
import type { VectorStore } from "../../../lib/stores/vectors/port.ts";
import { FIELDS } from "../../datasets.ts";
import { readTombstones } from "../../../lib/privacy/apply_tombstones.ts";
import { ErasedUsers } from "../../../lib/privacy/erased_users.ts";
import type { StepContext } from "../../step.ts";
import { countsText } from "../artifact_rows.ts";
import { addCounts, NO_WRITES } from "../../../lib/core/write_counts.ts";
import { refuseOtherModel, vectorSet } from "../vector_store.ts";
import { type Item, keyOf, liveVectors, purposeOf } from "../../../lib/derive/embed_items.ts";
import { corpus, type CorpusPosition, START } from "./corpus.ts";
import { type ReembedParams, rowsToEmbed } from "./estimate.ts";

type ReembedOutput = {
  readonly rows: number;
  readonly embedded: number;
  /** Of the embedded, texts that are longer than the model reads. */
  readonly long: number;
  readonly messages: WriteCounts;
  readonly campaigns: WriteCounts;
};

type Saved = ReembedOutput & { readonly place: CorpusPosition };

const NOTHING: Saved = {
  place: START,
  rows: 0,
  embedded: 0,
  long: 0,
  messages: NO_WRITES,
  campaigns: NO_WRITES,
};

/**
 * Gives every message and campaign a vector by the new model, next to those that serve. A text that a row of the new
 * store has already is not embedded again, so a repeated run only embeds new texts, and replaces damaged vectors. It continues
 * after the last complete page.
 */
export async function reembed(context: StepContext, store: VectorStore): Promise<ReembedOutput> {
  const { services, signal, run } = context;
  const embedder = await services.embedder((run.params as ReembedParams).model, context.log);
  refuseOtherModel(embedder.model, store.model);
  context.version("model", modelKey(embedder.model));
  const dropped = await store.dropFaults({ signal });
  if (dropped > 0) context.log(`${dropped} damaged vectors are replaced`);
  const total = await rowsToEmbed(context);
  const erasedUsers = new ErasedUsers(services.analytics);
  await store.tombstones.add({
    hashes: await readTombstones(services.analytics.tombstones, { signal }),
    signal,
  });
  let saved = context.loadCheckpoint<Saved>() ?? NOTHING;
  if (saved.rows > 0) context.log(`continues after ${saved.rows} of ${total} rows`);
  for await (const { items, place } of corpus(context, saved.place)) {
    const { embedded, long, counts } = await embedPage({ embedder, store, items, signal });
    const { collection } = place;
    // Their rows were read before they were removed.
    const erased = await erasedUsers.among(items.flatMap(({ user_id }) => user_id ?? []), { signal });
    if (erased.size > 0) await store.deleteUsers({ user_ids: [...erased], signal });
    saved = {
      ...saved,
      place,
      rows: saved.rows + items.length,
      embedded: saved.embedded + embedded,
      long: saved.long + long,
      [collection]: addCounts(saved[collection], counts),
    };
    await context.saveCheckpoint(saved);
    context.progress({ done: saved.rows, total });
  }
  report(context, store, saved);
  const { place: _place, ...output } = saved;
  return output;
}

async function embedPage(
  { embedder, store, items, signal }: {
    embedder: Embedder;
    store: VectorStore;
    items: readonly Item[];
    signal: AbortSignal;
  },
): Promise<{ embedded: number; long: number; counts: WriteCounts }> {
  const vectors = await liveVectors(store, items, signal);
  const missing = new Map(
    items.flatMap((item) => vectors.has(keyOf(item)) ? [] : [[keyOf(item), item.text] as const]),
  );
  const { collection } = items[0]!;
  let long = 0;
  const made = await embedder.embed({
    texts: [...missing.values()],
    as: purposeOf(collection),
    signal,
    onLong: (count) => void (long = count),
  });
  [...missing.keys()].forEach((key, i) => vectors.set(key, made[i]!));
  const rows = items.map(({ text: _text, collection: _collection, ...row }, i) => ({
    ...row,
    vector: vectors.get(keyOf(items[i]!))!,
  }));
  return { embedded: missing.size, long, counts: await store.upsert({ collection, rows, signal }) };
}

function report(context: StepContext, store: VectorStore, done: ReembedOutput): void {
  const { services } = context;
  context.log(`${done.embedded} texts embedded for ${done.rows} rows`);
  if (done.long > 0) context.log(`${done.long} of them are longer than the model reads`);
  context.rows({ in: done.rows, out: done.embedded });
  context.reads(services.dataset("documents", "messages"));
  context.reads(services.dataset("analytics", "campaigns"));
  for (const collection of ["messages", "campaigns"] as const) {
    const counts = done[collection];
    context.log(countsText(collection, counts));
    context.writes({
      ...vectorSet(context, store, collection),
      rows: counts.inserted + counts.changed,
      fields: FIELDS.vectors,
      quality: { ...counts },
    });
  }
}
