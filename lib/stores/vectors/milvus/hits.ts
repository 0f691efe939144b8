import { batches } from "../../../core/batches.ts";
import { vectorOf } from "./rows.ts";
import { among, MAX_VALUES, type MilvusRow, type MilvusTable } from "./table.ts";
import type { Hit } from "../port.ts";
import { dot } from "../../../core/dot.ts";
import { bestFirst } from "../rows.ts";

/** Milvus computes in single precision, so scores that are closer than this may be in either order. */
const TOLERANCE = 2e-6;

/**
 * Sorts hits in an order that does not depend on the server: best first, ties by id. Close scores are computed again from
 * the stored vectors, in double precision; there are few, mostly of equal texts.
 */
export async function mergeHits(
  options: {
    table: MilvusTable;
    vector: Float32Array;
    found: readonly MilvusRow[];
    signal: AbortSignal | undefined;
  },
): Promise<Hit[]> {
  const exact = new Map<string, number>();
  for await (const keys of batches(closeKeys(options.found), MAX_VALUES)) {
    const filter = among("key", keys);
    const fields = ["key", "vector"];
    const rows = await options.table.query({ filter, fields, freshness: "own", signal: options.signal });
    for (const row of rows) exact.set(String(row.key), dot(options.vector, vectorOf(row)));
  }
  const hits = options.found.map(({ key, id, score }) => ({
    id: String(id),
    score: exact.get(String(key)) ?? Number(score),
  }));
  return hits.sort(bestFirst);
}

/** Keys of the rows, which are best first, whose score is close to that of the row before or after. */
function closeKeys(found: readonly MilvusRow[]): string[] {
  const score = (at: number) => Number(found[at]?.score ?? NaN);
  return found.flatMap(({ key }, at) => {
    const close = [at - 1, at + 1].some((other) => Math.abs(score(other) - score(at)) <= TOLERANCE);
    return close ? [String(key)] : [];
  });
}
