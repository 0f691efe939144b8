import type { Health } from "../../../lib/core/types.ts";
import { STORE_NAMES } from "../../../lib/telemetry/store_metrics.ts";
import { type ReadResult, tryRead } from "../../http/try_read.ts";
import type { PageContext } from "../../http/page.ts";

type StoreName = typeof STORE_NAMES[number];

/** How one store is, as asked just now. */
export interface StoreRow {
  readonly name: StoreName;
  readonly health: ReadResult<Health>;
  /** Whether answers are kept from it, because it failed several times in a row; null where answers do not ask it. */
  readonly open: boolean | null;
}

/** What to do where a store is down, and what goes without it until then. */
export const TODO: Readonly<Record<StoreName, string>> = Object.freeze({
  vectors:
    "answers go without similar conversations and campaigns; look after what PARLEY_VECTORS names, then `deno task doctor`",
  graph:
    "answers go without what similar conversations led to, the user's own engagement and intents; look after what PARLEY_GRAPH names, then `deno task doctor`",
  analytics:
    "answers are empty until it is back; look after what PARLEY_ANALYTICS names first, then `deno task doctor`",
  documents:
    "answers do not need it, the next run does; look after what PARLEY_DOCUMENTS names, then `deno task doctor`",
  cache:
    "each answer is computed, which takes longer; look after what PARLEY_CACHE names, then `deno task doctor`",
  runs:
    "nothing can be scheduled, run or shown of runs; look after what PARLEY_RUNS names (by default PARLEY_ANALYTICS), then `deno task doctor`",
});

export async function readStores({ stores, recommender }: PageContext): Promise<StoreRow[]> {
  const breakers: Readonly<Record<string, boolean>> = recommender.breakers();
  return await Promise.all(
    STORE_NAMES.map(async (name) => ({
      name,
      health: await tryRead(() => stores[name].health()),
      open: breakers[name] ?? null,
    })),
  );
}
