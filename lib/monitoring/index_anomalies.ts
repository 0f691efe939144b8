import { iso } from "../core/clock.ts";
import { type Abortable, parseModelKey } from "../core/types.ts";
import type { ReleaseStore } from "../stores/analytics/port.ts";
import type { VectorStore, VectorStores } from "../stores/vectors/port.ts";
import type { Anomaly } from "./anomaly.ts";

/** What is read to see it. */
interface IndexedStores {
  readonly analytics: Pick<ReleaseStore, "published">;
  readonly vectors: Pick<VectorStores, "forModel">;
}

const REEMBED = "`deno task pipeline run reembed` builds a new version from what is stored";

/**
 * What is wrong with the indexes of the published version, found at `now`: the one sentence of `doctor`, the overview,
 * `/readyz` and `pipeline anomalies`. A warning if serving builds them again by itself, as answers then miss them only until
 * that is done. Rejects if a store cannot be read.
 */
export async function indexAnomalies(
  { analytics, vectors }: IndexedStores,
  now: number,
  { signal }: Abortable = {},
): Promise<Anomaly[]> {
  const published = await analytics.published({ signal });
  if (published === null) return [];
  const store = await vectors.forModel({ model: parseModelKey(published.model), signal });
  const faults = await store.verify({ version: published.version, signal });
  // The loss of the store's rows is an anomaly of the store.
  if (faults.length === 0 || await hasNoRows(store, { signal })) return [];
  const clauses = faults.map(({ text }) => text).join(", and ");
  const cause = clauses.charAt(0).toUpperCase() + clauses.slice(1);
  const rebuilt = faults.every((fault) => fault.rebuilt);
  const remedy = rebuilt ? `an API builds it again when it next starts, and ${REEMBED}` : REEMBED;
  return [{
    code: "damaged_index",
    severity: rebuilt ? "warning" : "critical",
    subject: { kind: "store", store: "vectors" },
    figure: faults.length,
    expected: 0,
    unit: "indexes",
    since: iso(now),
    run_id: null,
    cause,
    text: `${cause}; ${remedy}`,
  }];
}

async function hasNoRows(store: VectorStore, options: Abortable): Promise<boolean> {
  return await store.isEmpty({ collection: "messages", ...options }) &&
    await store.isEmpty({ collection: "campaigns", ...options });
}
