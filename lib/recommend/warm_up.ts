import type { Abortable } from "../core/types.ts";
import { parseModelKey } from "../core/types.ts";
import { findConnections } from "./candidates.ts";
import type { RecommenderStores } from "./recommender.ts";

/** An id that nobody has; what is asked about it costs what any question costs that is asked first. */
const NOBODY = "";

/**
 * Asks each store what an answer asks it, without an answer's haste: so SDKs are loaded, connections made and indexes in
 * memory before an answer needs them. Never throws: a store that is down is for each answer to tell.
 */
export async function warmUp({ stores, signal }: { stores: RecommenderStores } & Abortable): Promise<void> {
  const { graph, cache } = stores;
  await Promise.allSettled([
    warmVectors({ stores, signal }),
    findConnections({
      graph,
      user_id: NOBODY,
      users: [{ id: NOBODY, score: 0 }],
      intent: NOBODY,
      signal,
    }),
    cache.get({ key: NOBODY, signal }),
  ]);
}

/** By the model and the version that are published, whose collections are loaded by that. */
async function warmVectors(
  { stores: { analytics, vectors }, signal }: { stores: RecommenderStores } & Abortable,
): Promise<void> {
  const published = await analytics.published({ signal });
  if (published === null) return;
  const { version } = published;
  const model = parseModelKey(published.model);
  const store = await vectors.of({ model, signal });
  await store.get({ collection: "profiles", ids: [NOBODY], signal });
  const vector = new Float32Array(model.dimension).fill(1);
  for (const collection of ["profiles", "campaigns"] as const) {
    await store.search({ collection, version, vector, k: 1, signal });
  }
}
