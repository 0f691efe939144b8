import { type Health, modelKey, type Published } from "../../../lib/core/types.ts";
import { STORE_NAMES } from "../../../lib/telemetry/store_metrics.ts";
import type { PageContext } from "../../http/page.ts";
import { type ReadResult, tryRead } from "../../http/try_read.ts";
import { readRowCounts, type RowCounts } from "../row_counts.ts";

export type StoreName = typeof STORE_NAMES[number];

/** A store as it is now. */
export interface StoreRow {
  readonly name: StoreName;
  readonly health: ReadResult<Health>;
  /** Whether answers do not ask it, since it failed several times in a row; null if answers never ask it. */
  readonly open: boolean | null;
}

export interface StoresData {
  readonly rows: readonly StoreRow[];
  readonly published: ReadResult<Published | null>;
  /** The keys of the models that have vectors. */
  readonly models: ReadResult<readonly string[]>;
  readonly counts: ReadResult<RowCounts | null>;
}

export async function readStores(context: PageContext, now: number): Promise<StoresData> {
  const { stores, recommender } = context;
  const breakers: Readonly<Record<string, boolean>> = recommender.breakers();
  const read = async (name: StoreName): Promise<StoreRow> => ({
    name,
    health: await tryRead(() => stores[name].health()),
    open: breakers[name] ?? null,
  });
  const [rows, published, models, counts] = await Promise.all([
    Promise.all(STORE_NAMES.map(read)),
    tryRead(() => stores.analytics.published()),
    tryRead(async () => (await stores.vectors.models()).map(modelKey)),
    readRowCounts(context, now),
  ]);
  return { rows, published, models, counts };
}
