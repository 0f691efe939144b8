import { ParleyError } from "../../lib/core/errors.ts";
import { type Abortable, parseModelKey } from "../../lib/core/types.ts";
import type { TaskContext } from "../../lib/dag/types.ts";
import type { Services } from "../services.ts";

/** How long it may take to see whether a store has become empty. */
const LOOK_MS = 10_000;

/** A store that can be filled again from the others and from the sources. */
type Emptied = "documents" | "vectors" | "graph";

/**
 * {@link emptiedStores}; or the error of a store that cannot be read, which is for the step that needs the store: what comes
 * by standard input must be spooled before.
 */
export async function findEmptied(
  { services, signal, log }: TaskContext<Services>,
): Promise<readonly Emptied[] | ParleyError> {
  const looking = AbortSignal.any([signal, AbortSignal.timeout(LOOK_MS)]);
  try {
    return await emptiedStores(services, { signal: looking });
  } catch (error) {
    signal.throwIfAborted();
    const unknown = looking.aborted ? silent(error) : error;
    if (!(unknown instanceof ParleyError) || unknown.code !== "unavailable") throw error;
    log(`could not look whether a store has become empty: ${unknown.message}`);
    return unknown;
  }
}

function silent(cause: unknown): ParleyError {
  const sentence = `a store did not answer within ${LOOK_MS / 1_000} s: \`deno task doctor\` says which`;
  return new ParleyError("unavailable", sentence, { cause });
}

/**
 * Stores without rows although others have what was written beside or made from them: they were exchanged for empty
 * ones. Analytics is not among them: it knows which sources were read, so an empty one has them all read again.
 */
async function emptiedStores(
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
