import { type Abortable, parseModelKey } from "../../lib/core/types.ts";
import type { Services } from "../services.ts";

/** A store that can be filled again from the others and from the sources. */
export type Emptied = "documents" | "vectors" | "graph";

/**
 * Stores without rows although others have what was written beside or made from them: they were exchanged for empty
 * ones. Analytics is not among them: it knows which sources were read, so an empty one has them all read again.
 */
export async function emptiedStores(
  { documents, analytics, vectors, graph }: Services,
  { signal }: Abortable,
): Promise<Emptied[]> {
  const published = await analytics.published({ signal });
  if (published === null) return [];
  const store = await vectors.of({ model: parseModelKey(published.model), signal });
  const [said, base, embedded, edges] = await Promise.all([
    documents.counts({ signal }),
    analytics.counts({ signal }),
    store.counts({ signal }),
    graph.counts({ signal }),
  ]);
  const emptied: Emptied[] = [];
  if (said.messages === 0 && embedded.messages > 0) emptied.push("documents");
  if (isEmpty(embedded) && said.messages + base.campaigns > 0) emptied.push("vectors");
  if (isEmpty(edges) && base.campaigns + base.events > 0) emptied.push("graph");
  return emptied;
}

function isEmpty(counts: object): boolean {
  return Object.values(counts).every((count) => count === 0);
}
