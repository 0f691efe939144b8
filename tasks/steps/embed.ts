import { batches } from "../../lib/core/batches.ts";
import {
  type Artifact,
  type Campaign,
  type Message,
  type ModelIdentity,
  modelKey,
} from "../../lib/core/types.ts";
import type { Embedder } from "../../lib/embed/port.ts";
import type { Register } from "../../lib/stores/artifacts/port.ts";
import type { Collection, VectorRow, VectorStore } from "../../lib/stores/vectors/port.ts";
import type { StepContext } from "../step.ts";
import { readArtifact } from "./artifact_rows.ts";
import { openStore } from "./vector_store.ts";
import {
  campaignItem,
  type Item,
  keyOf,
  liveVectors,
  messageItem,
  purposeOf,
} from "../../lib/derive/embed_items.ts";
import type { ValidateOutput } from "./validate.ts";

/** Rows of one part: what a killed attempt has to embed again at the most. */
const CHUNK_ROWS = 1_024;
/** Texts that the sessions share out: at the end of each batch all but the last one wait. */
const BATCH = 256;

/** A vector row on its way to the store. `vector` is base64, or null where a row with that hash comes first. */
export type EmbeddedRow = Omit<VectorRow, "vector"> & {
  readonly collection: Collection;
  readonly vector: string | null;
};

export type EmbedOutput = {
  readonly model: ModelIdentity;
  readonly parts: readonly Artifact[];
  readonly embedded: number;
  readonly reused: number;
  /** Of the embedded, texts that are longer than the model reads. */
  readonly long: number;
};

type EmbedInput = Pick<ValidateOutput, "messages" | "campaigns">;

/** What a part is made with. */
interface Means {
  readonly embedder: Embedder;
  readonly store: VectorStore;
  readonly register: Register;
}

/**
 * Embeds texts without a vector: each distinct text once, whether it occurs twice in the run or is in the store.
 * Continues after the last complete part after an interruption.
 */
export async function embed(context: StepContext, input: EmbedInput): Promise<EmbedOutput> {
  const { services } = context;
  const embedder = await services.embedder();
  const store = await openStore(context, embedder.model);
  context.version("model", modelKey(embedder.model));
  const register = await services.artifacts.register();
  try {
    return await embedParts(context, input, { embedder, store, register });
  } finally {
    register.close();
  }
}

async function embedParts(
  context: StepContext,
  input: EmbedInput,
  means: Means,
): Promise<EmbedOutput> {
  const { messages, campaigns } = input;
  const total = messages.rows + campaigns.rows;
  let output = begun(context, means.embedder.model);
  const resumed = output.parts.length;
  let part = 0, done = 0;
  for await (const items of batches(itemsOf(context, input), CHUNK_ROWS)) {
    if (part < resumed) {
      // Texts of finished parts have their vectors there: what follows must not embed them again.
      for (const item of items) means.register.putIfAbsent(keyOf(item), "");
    } else {
      const made = await embedPart(context, means, items, { part, done, total });
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

/** What an earlier attempt has embedded by this model. */
function begun(context: StepContext, model: ModelIdentity): EmbedOutput {
  const saved = context.loadCheckpoint<EmbedOutput>();
  if (saved !== null && modelKey(saved.model) === modelKey(model)) return saved;
  return { model, parts: [], embedded: 0, reused: 0, long: 0 };
}

function addPart(
  before: EmbedOutput,
  made: { artifact: Artifact; embedded: number; long: number },
  items: number,
): EmbedOutput {
  return {
    model: before.model,
    parts: [...before.parts, made.artifact],
    embedded: before.embedded + made.embedded,
    reused: before.reused + items - made.embedded,
    long: before.long + made.long,
  };
}

async function* itemsOf(
  context: StepContext,
  { messages, campaigns }: EmbedInput,
): AsyncGenerator<Item> {
  for await (const message of readArtifact<Message>(context.services, messages, context.signal)) {
    yield messageItem(message);
  }
  for await (const campaign of readArtifact<Campaign>(context.services, campaigns, context.signal)) {
    yield campaignItem(campaign);
  }
}

async function embedPart(
  context: StepContext,
  means: Means,
  items: readonly Item[],
  { part, done, total }: { part: number; done: number; total: number },
): Promise<{ artifact: Artifact; embedded: number; long: number }> {
  let embedded = 0, long = 0;
  const onLong = (count: number) => void (long += count);
  async function* lines(): AsyncGenerator<string> {
    for await (const batch of batches(items, BATCH)) {
      const rows = await embedBatch(means, { items: batch, onLong }, context.signal);
      for (const row of rows) yield JSON.stringify(row);
      embedded += rows.filter(({ vector }) => vector !== null).length;
      context.progress({ done: done += batch.length, total });
    }
  }
  const name = `${context.run.run_id}/${context.task_id}/part-${String(part).padStart(5, "0")}.ndjson`;
  const artifact = await context.services.artifacts.writeLines({
    name,
    lines: lines(),
    signal: context.signal,
  });
  return { artifact, embedded, long };
}

async function embedBatch(
  { embedder, store, register }: Means,
  { items, onLong }: { items: readonly Item[]; onLong: (count: number) => void },
  signal: AbortSignal,
): Promise<EmbeddedRow[]> {
  const live = await liveVectors(store, items, signal);
  const fresh = items.filter((item) =>
    !live.has(keyOf(item)) && register.putIfAbsent(keyOf(item), "") === null
  );
  const made = new Map<Item, string>();
  for (const [collection, group] of Map.groupBy(fresh, ({ collection }) => collection)) {
    const as = purposeOf(collection);
    const vectors = await embedder.embed({ texts: group.map(({ text }) => text), as, signal, onLong });
    group.forEach((item, i) => made.set(item, base64(vectors[i]!)));
  }
  return items.map((item) => {
    const { text: _text, ...row } = item;
    return { ...row, vector: made.get(item) ?? null };
  });
}

function base64(vector: Float32Array): string {
  return new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength).toBase64();
}
