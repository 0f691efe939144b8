/** The normalised vector of a sum. Throws RangeError if it is zero or a component is not a number. */
export function normalize(sums: ArrayLike<number>): Float32Array<ArrayBuffer> {
  let squares = 0;
  for (let at = 0; at < sums.length; at++) squares += sums[at]! ** 2;
  const norm = Math.sqrt(squares);
  if (!(norm > 0 && norm < Infinity)) throw new RangeError("the numbers have no direction");
  return Float32Array.from(sums, (sum) => sum / norm);
}

/** The direction of the weighted mean of unit vectors. */
export function meanVector(
  vectors: readonly Float32Array[],
  weights: readonly number[] = vectors.map(() => 1),
): Float32Array<ArrayBuffer> {
  const sums = new Float64Array(vectors[0]?.length ?? 0);
  vectors.forEach((vector, n) => vector.forEach((value, at) => sums[at]! += value * weights[n]!));
  return normalize(sums);
}
