import { createHash } from "../../deps.ts";
import { batches } from "../../lib/core/batch.ts";
import { type Artifact, type Campaign, type Message, modelKey } from "../../lib/core/types.ts";
import type { TaskContext } from "../../lib/dag/types.ts";
import type { Embedder } from "../../lib/embed/port.ts";
import type { Register } from "../../lib/stores/artifacts/port.ts";
import type { Collection, VectorRow } from "../../lib/stores/vectors/port.ts";
import type { Services } from "../services.ts";
import { readArtifact } from "./rows.ts";
import { validated } from "./validate.ts";

/** Rows of one part: what a killed attempt has to embed again at the most. */
const PART = 1_024;
const BATCH = 64;

/** A vector row on its way to the store. `vector` is base64, or null where a row with that hash comes first. */
export type EmbeddedRow = Omit<VectorRow, "vector"> & {
  readonly collection: Collection;
  readonly vector: string | null;
};

export type EmbedOutput = {
  readonly parts: readonly Artifact[];
  readonly embedded: number;
  readonly reused: number;
  /** Of the embedded, texts that are longer than the model reads. */
  readonly long: number;
};

interface Item extends Omit<EmbeddedRow, "vector"> {
  readonly text: string;
}

/**
 * Embeds what has no vector yet: each distinct text once, whether it stands twice in the run or is in the store. Goes
 * on from the last whole part after an interruption.
 */
export async function embed(context: TaskContext<Services>): Promise<EmbedOutput> {
  const { services } = context;
  const embedder = await services.embedder();
  await services.vectors.bind({ model: embedder.model });
  context.version("model", modelKey(embedder.model));
  const register = await services.artifacts.register();
  try {
    return await embedParts(context, embedder, register);
  } finally {
    register.close();
  }
}

async function embedParts(
  context: TaskContext<Services>,
  embedder: Embedder,
  register: Register,
): Promise<EmbedOutput> {
  const { messages, campaigns } = validated(context);
  const total = messages.rows + campaigns.rows;
  let output = context.loadCheckpoint<EmbedOutput>() ?? { parts: [], embedded: 0, reused: 0, long: 0 };
  const resumed = output.parts.length;
  let part = 0, done = 0;
  for await (const items of batches(itemsOf(context), PART)) {
    if (part < resumed) {
      // Texts of finished parts have their vectors there: what follows must not embed them again.
      for (const item of items) register.claim(keyOf(item), "");
    } else {
      const made = await embedPart(context, embedder, register, items, { part, done, total });
      output = addPart(output, made, items.length);
      await context.saveCheckpoint({ ...output });
    }
    part++;
    done += items.length;
  }
  const { embedded, reused, long } = output;
  context.log(`${embedded} texts embedded, ${reused} had a vector, ${long} were longer than the model reads`);
  context.rows({ in: total, out: embedded });
  for (const input of [messages, campaigns]) context.reads(context.services.artifact(input));
  for (const [at, artifact] of output.parts.entries()) {
    const quality = at === 0 ? { quality: { embedded, reused, long } } : {};
    context.writes({ ...context.services.artifact(artifact), ...quality });
  }
  return output;
}

function addPart(
  before: EmbedOutput,
  made: { artifact: Artifact; embedded: number; long: number },
  items: number,
): EmbedOutput {
  return {
    parts: [...before.parts, made.artifact],
    embedded: before.embedded + made.embedded,
    reused: before.reused + items - made.embedded,
    long: before.long + made.long,
  };
}

async function* itemsOf(context: TaskContext<Services>): AsyncGenerator<Item> {
  const { messages, campaigns } = validated(context);
  for await (const m of readArtifact<Message>(context.services, messages, context.signal)) {
    const { message_id: id, user_id, role, timestamp, message: text } = m;
    yield { collection: "messages", id, user_id, role, timestamp, content_hash: hashOf(text), text };
  }
  for await (const c of readArtifact<Campaign>(context.services, campaigns, context.signal)) {
    const text = c.description === null ? c.title : `${c.title}. ${c.description}`;
    const rest = { user_id: null, role: "user" as const, timestamp: null };
    yield { collection: "campaigns", id: c.campaign_id, ...rest, content_hash: hashOf(text), text };
  }
}

async function embedPart(
  context: TaskContext<Services>,
  embedder: Embedder,
  register: Register,
  items: readonly Item[],
  { part, done, total }: { part: number; done: number; total: number },
): Promise<{ artifact: Artifact; embedded: number; long: number }> {
  let embedded = 0, long = 0;
  const onLong = (count: number) => void (long += count);
  async function* lines(): AsyncGenerator<string> {
    for await (const batch of batches(items, BATCH)) {
      const rows = await embedBatch(context, embedder, register, { items: batch, onLong });
      for (const row of rows) yield JSON.stringify(row);
      embedded += rows.filter(({ vector }) => vector !== null).length;
      context.progress({ done: done += batch.length, total });
    }
  }
  const name = `${context.run.run_id}/embed/part-${String(part).padStart(5, "0")}.ndjson`;
  const artifact = await context.services.artifacts.writeLines({
    name,
    lines: lines(),
    signal: context.signal,
  });
  return { artifact, embedded, long };
}

async function embedBatch(
  { services, signal }: TaskContext<Services>,
  embedder: Embedder,
  register: Register,
  { items, onLong }: { items: readonly Item[]; onLong: (count: number) => void },
): Promise<EmbeddedRow[]> {
  const live = await liveKeys(services, items);
  const fresh = items.filter((item) => !live.has(keyOf(item)) && register.claim(keyOf(item), "") === null);
  const made = new Map<Item, string>();
  for (const [collection, group] of Map.groupBy(fresh, ({ collection }) => collection)) {
    const as = collection === "campaigns" ? "document" : "query";
    const vectors = await embedder.embed({ texts: group.map(({ text }) => text), as, signal, onLong });
    group.forEach((item, i) => made.set(item, base64(vectors[i]!)));
  }
  return items.map((item) => {
    const { text: _text, ...row } = item;
    return { ...row, vector: made.get(item) ?? null };
  });
}

/** Keys of the items for whose text a live row of the same collection has a vector. */
async function liveKeys({ vectors }: Services, items: readonly Item[]): Promise<Set<string>> {
  const byCollection = Map.groupBy(items, ({ collection }) => collection);
  const live = new Set<string>();
  for (const [collection, group] of byCollection) {
    const hashes = group.map(({ content_hash }) => content_hash);
    const found = await vectors.byHash({ collection, hashes });
    for (const content_hash of found.keys()) live.add(keyOf({ collection, content_hash }));
  }
  return live;
}

function keyOf({ collection, content_hash }: Pick<Item, "collection" | "content_hash">): string {
  return `${collection}:${content_hash}`;
}

function base64(vector: Float32Array): string {
  return new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength).toBase64();
}

function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
