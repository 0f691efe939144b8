import { groupShared } from "../../../lib/core/shared_server.ts";
import { type Health, modelKey, type Published } from "../../../lib/core/types.ts";
import { STORE_NAMES } from "../../../lib/telemetry/store_metrics.ts";
import type { PageContext } from "../../http/page.ts";
import { type ReadResult, tryRead } from "../../http/try_read.ts";
import { readRowCounts, type RowCounts } from "../row_counts.ts";

export type StoreName = typeof STORE_NAMES[number];

/** A store as it is now, or several that are on one server and in the same state. */
export interface StoreRow {
  readonly names: readonly StoreName[];
  readonly health: ReadResult<Health>;
  /** The stores that answers do not ask, since they failed several times in a row; null if answers never ask any. */
  readonly open: readonly StoreName[] | null;
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
  const read = async (name: StoreName) => [name, await tryRead(() => stores[name].health())] as const;
  const [states, published, models, counts] = await Promise.all([
    Promise.all(STORE_NAMES.map(read)),
    tryRead(() => stores.analytics.published()),
    tryRead(async () => (await stores.vectors.models()).map(modelKey)),
    readRowCounts(context, now),
  ]);
  const healths = new Map(states);
  const stateOf = (name: StoreName) => String(healths.get(name)!.error);
  const rows = groupShared(STORE_NAMES, context.shared_stores, stateOf).map((names) => ({
    names,
    health: slowest(names.map((name) => healths.get(name)!)),
    open: names.every((name) => breakers[name] === undefined) ? null : names.filter((name) => breakers[name]),
  }));
  return { rows, published, models, counts };
}

function slowest(healths: readonly ReadResult<Health>[]): ReadResult<Health> {
  const latency = ({ value }: ReadResult<Health>) => value?.latency_ms ?? 0;
  return healths.reduce((a, b) => latency(b) > latency(a) ? b : a);
}
