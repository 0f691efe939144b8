/** Cut-offs of NDCG, precision and recall. */
const CUT_OFFS = [5, 10, 25] as const;
type CutOff = typeof CUT_OFFS[number];
export type Metric = `${"ndcg" | "precision" | "recall"}_${CutOff}` | "mrr_25";
/** One ranked answer compared with the user's later engagement. Each value is 0..1. */
type Scores = Readonly<Record<Metric, number>>;
export const METRICS: readonly Metric[] = [
  ...(["ndcg", "precision", "recall"] as const).flatMap((name) =>
    CUT_OFFS.map((cutOff) => `${name}_${cutOff}` as const)
  ),
  "mrr_25",
];

/** The number of ranks that are scored. */
export const DEPTH = 25;

/**
 * Scores a ranking (campaign ids, best first) by binary relevance. `ndcg_k` divides the discounted gain, 1 / log2(place + 1) for
 * each relevant campaign, by that of the best possible ranking (Järvelin and Kekäläinen 2002); `precision_k` divides the number of
 * relevant campaigns among k by k, even if the ranking is shorter, `recall_k` by the number of all relevant ones; `mrr_25` is
 * 1 / place of the first relevant one, 0 if it is not among 25.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { scoreRanking } from "./metrics.ts";
 *
 * const scores = scoreRanking(["a", "b", "c"], new Set(["b"]));
 * assert.equal(scores.recall_5, 1);
 * assert.equal(scores.mrr_25, 1 / 2);
 * ```
 */
export function scoreRanking(ranking: readonly string[], relevant: ReadonlySet<string>): Scores {
  const hits = ranking.slice(0, DEPTH).map((id) => relevant.has(id));
  const hitsWithin = (k: number) => hits.slice(0, k).filter(Boolean).length;
  const first = hits.indexOf(true);
  return {
    ndcg_5: ndcg(hits, relevant.size, 5),
    ndcg_10: ndcg(hits, relevant.size, 10),
    ndcg_25: ndcg(hits, relevant.size, 25),
    precision_5: hitsWithin(5) / 5,
    precision_10: hitsWithin(10) / 10,
    precision_25: hitsWithin(25) / 25,
    recall_5: hitsWithin(5) / Math.max(1, relevant.size),
    recall_10: hitsWithin(10) / Math.max(1, relevant.size),
    recall_25: hitsWithin(25) / Math.max(1, relevant.size),
    mrr_25: first < 0 ? 0 : 1 / (1 + first),
  };
}

function ndcg(hits: readonly boolean[], relevant: number, k: number): number {
  let gain = 0, ideal = 0;
  for (let rank = 0; rank < k; rank++) {
    const discount = 1 / Math.log2(rank + 2);
    if (hits[rank]) gain += discount;
    if (rank < relevant) ideal += discount;
  }
  return ideal === 0 ? 0 : gain / ideal;
}
