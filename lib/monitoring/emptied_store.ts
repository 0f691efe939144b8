import { ParleyError } from "../core/errors.ts";
import { type Abortable, parseModelKey } from "../core/types.ts";
import type { AnalyticsStore } from "../stores/analytics/port.ts";
import type { MessageStore } from "../stores/documents/port.ts";
import type { GraphStore } from "../stores/graph/port.ts";
import type { VectorStores } from "../stores/vectors/port.ts";

/** Stores that can be filled again from the others and from the sources. */
export const REFILLABLE = ["documents", "vectors", "graph"] as const;
export type Refillable = typeof REFILLABLE[number];

/** What is read to see it: a row or two of each. */
export interface RefillableStores {
  readonly documents: Pick<MessageStore, "page">;
  readonly analytics: Pick<AnalyticsStore, "published" | "campaignPage" | "users">;
  readonly vectors: Pick<VectorStores, "forModel">;
  readonly graph: Pick<GraphStore, "isEmpty">;
}

/**
 * Whether a store is without rows although something is published and others have what was written next to it or made
 * from it: it was exchanged for an empty one. Analytics is not looked at: it knows what is published, so an empty one
 * has all sources read again.
 */
export async function isEmptied(
  store: Refillable,
  { documents, analytics, vectors, graph }: RefillableStores,
  { signal }: Abortable = {},
): Promise<boolean> {
  const published = await analytics.published({ signal });
  if (published === null) return false;
  const first = { after: null, limit: 1, signal };
  const messages = async () => (await documents.page(first)).length > 0;
  const campaigns = async () => (await analytics.campaignPage(first)).length > 0;
  const events = async () => (await analytics.users(first)).length > 0;
  const embedded = async (collection: "messages" | "campaigns") =>
    !await (await vectors.forModel({ model: parseModelKey(published.model), signal })).isEmpty({
      collection,
      signal,
    });
  switch (store) {
    case "documents":
      return !await messages() && await embedded("messages");
    case "vectors":
      return !await embedded("messages") && !await embedded("campaigns") &&
        (await messages() || await campaigns());
    case "graph":
      return await graph.isEmpty({ signal }) && (await campaigns() || await events());
  }
}

/** What is wrong with a store that {@link isEmptied}. */
const EMPTIED = "is empty although something is published that it was part of";

/** A store answers, and has lost all that it had. */
export class EmptiedStore extends ParleyError {
  /** What is wrong, and what to do, each in a few words. */
  readonly fault: string;
  readonly remedy: string;

  constructor(store: Refillable) {
    const remedy = `correct PARLEY_${store.toUpperCase()}, restore a backup, or fill it again by ` +
      "`deno task pipeline --all`";
    super("mismatch", `it ${EMPTIED}: ${remedy}`);
    [this.fault, this.remedy] = [`The ${store} store ${EMPTIED}`, remedy];
  }
}

/** The error of a store that {@link isEmptied}; null for others. That a store cannot be read is its own error. */
export async function emptiedStore(
  store: string,
  stores: RefillableStores,
  options: Abortable = {},
): Promise<EmptiedStore | null> {
  if (!isRefillable(store) || !await isEmptied(store, stores, options).catch(() => false)) return null;
  return new EmptiedStore(store);
}

function isRefillable(store: string): store is Refillable {
  return (REFILLABLE as readonly string[]).includes(store);
}
