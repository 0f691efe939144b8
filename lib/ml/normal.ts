/** The probability that a standard normal variable is below `x`, by its series (Marsaglia, Journal of Statistical Software 11(4), 2004). */
export function normalProbability(x: number): number {
  if (Math.abs(x) > MAX_X) return x > 0 ? 1 : 0;
  let [term, sum] = [x, x];
  for (let n = 3; Math.abs(term) > 1e-17; n += 2) sum += term *= x * x / n;
  return 0.5 + sum * Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI);
}

/** Beyond it the probability is 0 or 1 in 15 decimals. */
const MAX_X = 8;

/** The `x` that a standard normal variable is below with this probability, 0 < p < 1. */
export function normalQuantile(p: number): number {
  let [low, high] = [-MAX_X, MAX_X];
  while (high - low > 1e-12) {
    const middle = (low + high) / 2;
    if (normalProbability(middle) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}
