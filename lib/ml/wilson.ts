/** A share with its 95 % confidence interval. */
export interface Rate {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** Quantile of the standard normal distribution at 97.5 %. */
const Z = 1.959964;

/**
 * The rate of `part` in `whole` with Wilson's score interval at 95 %, which holds for few trials and for rates near 0 and 1,
 * where the textbook interval does not (Wilson, Probable Inference, JASA 22, 1927; recommended by Brown, Cai and DasGupta,
 * Statistical Science 16, 2001). Null without trials, and where there are more successes than trials, which happens to
 * clicks whose impressions nobody recorded.
 */
export function wilson(part: number, whole: number): Rate | null {
  if (whole <= 0 || part > whole) return null;
  const value = part / whole;
  const centre = (value + Z ** 2 / (2 * whole)) / (1 + Z ** 2 / whole);
  const reach = Z / (1 + Z ** 2 / whole) * Math.sqrt(value * (1 - value) / whole + Z ** 2 / (4 * whole ** 2));
  return { value, low: Math.max(0, centre - reach), high: Math.min(1, centre + reach) };
}
