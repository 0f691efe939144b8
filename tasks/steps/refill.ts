import { ParleyError } from "../../lib/core/errors.ts";
import type { TaskContext } from "../../lib/dag/types.ts";
import type { Services } from "../services.ts";
import { type Emptied, emptiedStores } from "./emptied.ts";

/** How long it may take to see whether a store has become empty. */
const LOOK_MS = 10_000;

/** Whether all sources are read again. `unknown` is why that cannot be told: a store that cannot be read may be empty. */
export interface Refill {
  readonly all: boolean;
  readonly unknown: ParleyError | null;
}

/** Reads all sources again if the run is told to, or if a store was exchanged for an empty one; then all users are dirty. */
export async function planRefill(context: TaskContext<Services>): Promise<Refill> {
  const { services: { documents, analytics }, signal } = context;
  if (context.run.params["all"] === true) {
    context.log("unchanged sources are read again, and all users are derived again");
  } else {
    const emptied = await findEmptied(context);
    if (emptied instanceof ParleyError) return { all: false, unknown: emptied };
    if (emptied.length === 0) return { all: false, unknown: null };
    const which = emptied.join(", of ");
    context.log(`the store of ${which} is empty and others are not: it is filled again from all sources`);
  }
  for (const store of [documents, analytics]) await store.touchAll({ signal });
  return { all: true, unknown: null };
}

/**
 * Returns the error of a store that cannot be read. It is for the step that needs the store: what comes by standard input must
 * be spooled before.
 */
async function findEmptied(
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
