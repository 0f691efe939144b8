import { ParleyError } from "../../lib/core/errors.ts";
import { isEmptied, REFILLABLE, type Refillable } from "../../lib/monitoring/emptied_store.ts";
import type { StepContext } from "../step.ts";

/** How long it may take to see whether a store has become empty. */
const CHECK_TIMEOUT_MS = 10_000;

/**
 * The stores that {@link isEmptied} finds; or the error of a store that cannot be read, which is for the step that needs the store: what comes
 * by standard input must be spooled before.
 */
export async function detectEmptiedStores(
  { services, signal, log }: StepContext,
): Promise<readonly Refillable[] | ParleyError> {
  const looking = AbortSignal.any([signal, AbortSignal.timeout(CHECK_TIMEOUT_MS)]);
  try {
    const emptied: Refillable[] = [];
    for (const store of REFILLABLE) {
      if (await isEmptied(store, services, { signal: looking })) emptied.push(store);
    }
    return emptied;
  } catch (error) {
    signal.throwIfAborted();
    const unknown = looking.aborted ? silent(error) : error;
    if (!(unknown instanceof ParleyError) || unknown.code !== "unavailable") throw error;
    log(`could not look whether a store has become empty: ${unknown.message}`);
    return unknown;
  }
}

function silent(cause: unknown): ParleyError {
  const sentence = `a store did not answer within ${
    CHECK_TIMEOUT_MS / 1_000
  } s: \`deno task doctor\` says which`;
  return new ParleyError("unavailable", sentence, { cause });
}
