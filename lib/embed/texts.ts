import { ParleyError } from "../core/errors.ts";

/** What becomes of a text that is longer than the model reads: its end is cut off, or it is read in overlapping windows. */
const LONG_TEXTS = ["truncate", "windows"] as const;
export type LongTexts = typeof LONG_TEXTS[number];

/** Windows of one text that are read at the most; what comes after is left out. */
export const MAX_WINDOWS = 64;

/** Throws `invalid` for a text with nothing to embed, naming its place and never the text. */
export function checkTexts(texts: readonly string[]): void {
  const empty = texts.findIndex((text) => text.trim() === "");
  if (empty >= 0) {
    throw new ParleyError("invalid", `text ${empty + 1} of ${texts.length} is empty: it cannot be embedded`);
  }
}

/** The normalised vector of a sum. Throws RangeError if it is zero or a component is not a number. */
export function unit(sums: ArrayLike<number>): Float32Array<ArrayBuffer> {
  let squares = 0;
  for (let at = 0; at < sums.length; at++) squares += sums[at]! ** 2;
  const norm = Math.sqrt(squares);
  if (!(norm > 0 && norm < Infinity)) throw new RangeError("the numbers have no direction");
  return Float32Array.from(sums, (sum) => sum / norm);
}

/** The direction of the weighted mean of unit vectors. */
export function meanOf(
  vectors: readonly Float32Array[],
  weights: readonly number[] = vectors.map(() => 1),
): Float32Array<ArrayBuffer> {
  const sums = new Float64Array(vectors[0]?.length ?? 0);
  vectors.forEach((vector, of) => vector.forEach((value, at) => sums[at]! += value * weights[of]!));
  return unit(sums);
}
