/** One ranked answer held against what the user then engaged with. Each value is 0..1. */
export interface Scores {
  readonly ndcg_5: number;
  readonly ndcg_10: number;
  readonly ndcg_25: number;
  readonly precision_10: number;
  readonly recall_10: number;
  readonly mrr_25: number;
}
export type Metric = keyof Scores;
export const METRICS = ["ndcg_5", "ndcg_10", "ndcg_25", "precision_10", "recall_10", "mrr_25"] as const;

/** So many places of an answer are scored. */
export const DEPTH = 25;

/**
 * Scores a ranking (campaign ids, best first) by binary relevance. `ndcg_k` divides the discounted gain, 1 / log2(place + 1) for
 * each relevant campaign, by that of the best possible ranking (Järvelin and Kekäläinen 2002); `recall_10` divides by the number
 * of relevant campaigns; `mrr_25` is 1 / place of the first relevant one, 0 if it is not among 25.
 */
export function scoreRanking(ranking: readonly string[], relevant: ReadonlySet<string>): Scores {
  const hits = ranking.slice(0, DEPTH).map((id) => relevant.has(id));
  const found = hits.slice(0, 10).filter(Boolean).length;
  return {
    ndcg_5: ndcg(hits, relevant.size, 5),
    ndcg_10: ndcg(hits, relevant.size, 10),
    ndcg_25: ndcg(hits, relevant.size, 25),
    precision_10: found / 10,
    recall_10: relevant.size === 0 ? 0 : found / relevant.size,
    mrr_25: 1 / (1 + (hits.includes(true) ? hits.indexOf(true) : Infinity)),
  };
}

function ndcg(hits: readonly boolean[], relevant: number, k: number): number {
  let gain = 0, ideal = 0;
  for (let place = 0; place < k; place++) {
    const discount = 1 / Math.log2(place + 2);
    if (hits[place]) gain += discount;
    if (place < relevant) ideal += discount;
  }
  return ideal === 0 ? 0 : gain / ideal;
}
