/** A share with its 95 % confidence interval. */
export interface Rate {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** Quantile of the standard normal distribution at 97.5 %. */
const Z = 1.959964;

/**
 * The rate of successes with Wilson's score interval at 95 %, which holds for few trials and for rates near 0 and 1, where the
 * textbook interval does not (Wilson, Probable Inference, JASA 22, 1927; recommended by Brown, Cai and DasGupta, Statistical
 * Science 16, 2001). Null without trials, and if there are more successes than trials, as with clicks whose impressions were
 * not recorded.
 */
export function wilson(successes: number, trials: number): Rate | null {
  if (trials <= 0 || successes > trials) return null;
  const value = successes / trials;
  const centre = (value + Z ** 2 / (2 * trials)) / (1 + Z ** 2 / trials);
  const margin = Z / (1 + Z ** 2 / trials) *
    Math.sqrt(value * (1 - value) / trials + Z ** 2 / (4 * trials ** 2));
  return { value, low: Math.max(0, centre - margin), high: Math.min(1, centre + margin) };
}
