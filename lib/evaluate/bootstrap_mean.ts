import { seededRandom } from "../core/random.ts";

/** A mean with its 95 % bootstrap interval. */
export interface Interval {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

const RESAMPLES = 1_000;

/**
 * The mean of one value a query, with the percentile bootstrap's 95 % interval. `groups` names the user of each value: users
 * are drawn, not queries, because the queries of one user are alike. Given the differences of two rankings on the same queries,
 * the interval is the paired one.
 */
export function bootstrapMean(
  values: readonly number[],
  { groups, seed }: { groups: readonly string[]; seed: number },
): Interval {
  const sums = new Map<string, { sum: number; n: number }>();
  values.forEach((value, i) => {
    const group = sums.get(groups[i]!) ?? { sum: 0, n: 0 };
    sums.set(groups[i]!, { sum: group.sum + value, n: group.n + 1 });
  });
  const users = [...sums.values()];
  const random = seededRandom(seed);
  const means = Array.from({ length: RESAMPLES }, () => {
    let sum = 0, n = 0;
    for (let i = 0; i < users.length; i++) {
      const user = users[Math.floor(random() * users.length)]!;
      sum += user.sum;
      n += user.n;
    }
    return n === 0 ? 0 : sum / n;
  }).sort((a, b) => a - b);
  const mean = values.length === 0 ? 0 : values.reduce((a, b) => a + b, 0) / values.length;
  return { mean, low: means[Math.floor(0.025 * RESAMPLES)]!, high: means[Math.ceil(0.975 * RESAMPLES) - 1]! };
}
