/**
 * Intervals that hold at all times together: with probability 1 − `alpha` none of them misses the truth, however often one looks and
 * whenever one stops. So to look early is no error, unlike with a test for one time. After Robbins, Statistical Methods Related to the
 * Law of the Iterated Logarithm (Annals of Mathematical Statistics 41, 1970): the boundary of a normal mixture; for means of any data
 * asymptotically (Waudby-Smith and others, Time-uniform central limit theory and asymptotic confidence sequences, Annals of Statistics
 * 52, 2024), as A/B tests use it (Johari and others, Always Valid Inference, Operations Research 70, 2022).
 */

/**
 * What the mixture's variance times the information is where the boundary is tightest, the fixed point of c = 2 log(1/α) + log(1 + c). There it
 * is √(1 + c) standard errors.
 */
function tightest(alpha: number): number {
  const start = 2 * Math.log(1 / alpha);
  let c = 0, next = start;
  // Each step is up, and a smaller one than the one before.
  while (next > c) [c, next] = [next, start + Math.log(1 + next)];
  return c;
}

/** By how many standard errors an estimate must differ for the interval to exclude a value, at the planned variance. */
export function criticalValue(alpha: number): number {
  return Math.sqrt(1 + tightest(alpha));
}

/**
 * Half the width of the interval around an estimate with this variance. `planned_variance`, chosen before there are data, is the one at
 * which the interval is tightest; any choice is valid.
 */
export function halfWidth(
  { variance, planned_variance, alpha }: { variance: number; planned_variance: number; alpha: number },
): number {
  const information = tightest(alpha) * planned_variance / variance;
  return Math.sqrt(
    variance * (1 + 1 / information) * (2 * Math.log(1 / alpha) + Math.log(1 + information)),
  );
}
