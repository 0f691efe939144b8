import { batches } from "../../lib/core/batches.ts";
import { ParleyError } from "../../lib/core/errors.ts";
import type { WriteCounts } from "../../lib/core/types.ts";
import type { Collection, VectorRow, VectorStore } from "../../lib/stores/vectors/port.ts";
import { FIELDS } from "../datasets.ts";
import { ErasedUsers } from "../../lib/privacy/erased_users.ts";
import type { StepContext } from "../step.ts";
import type { EmbeddedRow, EmbedOutput } from "./embed.ts";
import { countsText, readArtifact, rowsOf } from "./artifact_rows.ts";
import { addCounts, NO_WRITES } from "../../lib/core/write_counts.ts";
import { vectorSet } from "./vector_store.ts";

type UserVectorRow = VectorRow & { readonly user_id: string };

/** Writes embedded messages and campaigns to the vector store. */
export async function vectors(
  context: StepContext,
  store: VectorStore,
  { parts }: EmbedOutput,
): Promise<Record<"messages" | "campaigns", WriteCounts>> {
  const { services, signal } = context;
  const total = parts.reduce((sum, { rows }) => sum + rows, 0);
  const counts = { messages: NO_WRITES, campaigns: NO_WRITES };
  const erasedUsers = new ErasedUsers(services.analytics);
  const undo = (user_ids: string[]) => store.deleteUsers({ user_ids, signal });
  const write = async (batch: readonly EmbeddedRow[]) => {
    for (const collection of ["messages", "campaigns"] as const) {
      const rows = batch.filter((row) => row.collection === collection);
      if (rows.length === 0) continue;
      const whole = await withVectors(store, collection, rows, signal);
      const upsert = (rows: readonly VectorRow[]) => store.upsert({ collection, rows, signal });
      const written = collection === "campaigns"
        ? await upsert(whole)
        : (await erasedUsers.write(whole as UserVectorRow[], { write: upsert, undo, signal })).result;
      counts[collection] = addCounts(counts[collection], written);
    }
    context.progress({ done: rowsOf(counts.messages) + rowsOf(counts.campaigns), total });
  };
  const writeAll = async () => {
    for (const part of parts) {
      context.reads(services.artifact(part));
      for await (const batch of batches(readArtifact<EmbeddedRow>(services, part, signal), 500)) {
        await write(batch);
      }
    }
  };
  // Without rows, the file of a model is not created.
  if (total > 0) await store.inBulk(writeAll);
  report(context, store, counts, total);
  return counts;
}

/** Fills in the vectors of rows whose text was embedded before: in this batch, or in a row that is stored. */
async function withVectors(
  store: VectorStore,
  collection: Collection,
  rows: readonly EmbeddedRow[],
  signal: AbortSignal,
): Promise<VectorRow[]> {
  const known = new Map<string, Float32Array>();
  for (const row of rows) if (row.vector !== null) known.set(row.content_hash, fromBase64(row.vector));
  const missing = rows.map(({ content_hash }) => content_hash).filter((hash) => !known.has(hash));
  const stored = await store.byHash({ collection, hashes: missing, signal });
  for (const [hash, vector] of stored) known.set(hash, vector);
  return rows.map(({ collection: _collection, ...row }) => {
    const vector = known.get(row.content_hash);
    if (vector === undefined) {
      throw new ParleyError(
        "conflict",
        `the vector that ${row.id} shares with an earlier row is gone: run again`,
      );
    }
    return { ...row, vector };
  });
}

function fromBase64(text: string): Float32Array {
  return new Float32Array(Uint8Array.fromBase64(text).buffer);
}

function report(
  context: StepContext,
  store: VectorStore,
  counts: Record<"messages" | "campaigns", WriteCounts>,
  total: number,
): void {
  const written = { messages: 0, campaigns: 0 };
  for (const collection of ["messages", "campaigns"] as const) {
    context.log(countsText(collection, counts[collection]));
    written[collection] = counts[collection].inserted + counts[collection].changed;
    context.writes({
      ...vectorSet(context, store, collection),
      rows: written[collection],
      fields: FIELDS.vectors,
      quality: { ...counts[collection] },
    });
  }
  context.rows({ in: total, out: written.messages + written.campaigns });
}
