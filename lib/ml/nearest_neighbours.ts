import { dot, type Matrix } from "./matrix.ts";

/** How many examples vote, and the difference of cosine that multiplies the weight of a vote by e. */
const NEIGHBOURS = 10;
const TEMPERATURE = 0.1;
/** How many of the nearest examples decide whether a text is in scope: a single one may be an odd example. */
const SCOPE_NEIGHBOURS = 5;

interface Votes {
  /** By class; adds up to 1. */
  readonly shares: Float64Array;
  /** Half the cosine of the nearest example, and half the mean of the nearest few. */
  readonly nearness: number;
}

/**
 * The votes of the nearest examples of the classes `classNumbers`, each weighted by a softmax of its cosine. `examples` are
 * unit vectors in order of class; `classOffsets` has the index at which each class begins, and their number at the end.
 */
export function vote(
  vector: Float64Array,
  examples: Matrix,
  classOffsets: Int32Array,
  classNumbers: readonly number[],
): Votes {
  const cosines = new Float64Array(NEIGHBOURS).fill(-Infinity);
  const classes = new Int32Array(NEIGHBOURS).fill(-1);
  for (const k of classNumbers) {
    for (let n = classOffsets[k]!; n < classOffsets[k + 1]!; n++) {
      const cosine = dot(examples.data, n * examples.dimension, vector, 0, examples.dimension);
      if (cosine > cosines[NEIGHBOURS - 1]!) insert(cosines, classes, cosine, k);
    }
  }
  return {
    shares: sharesOf(cosines, classes, classOffsets.length - 1),
    nearness: (cosines[0]! + meanOf(cosines)) / 2,
  };
}

/** Best first; an equal one comes after those that are there. */
function insert(cosines: Float64Array, classes: Int32Array, cosine: number, k: number): void {
  let at = NEIGHBOURS - 1;
  for (; at > 0 && cosines[at - 1]! < cosine; at--) {
    cosines[at] = cosines[at - 1]!;
    classes[at] = classes[at - 1]!;
  }
  cosines[at] = cosine;
  classes[at] = k;
}

function sharesOf(cosines: Float64Array, classes: Int32Array, count: number): Float64Array {
  const shares = new Float64Array(count);
  let total = 0;
  for (let n = 0; n < NEIGHBOURS && classes[n]! >= 0; n++) {
    const weight = Math.exp((cosines[n]! - cosines[0]!) / TEMPERATURE);
    shares[classes[n]!]! += weight;
    total += weight;
  }
  return shares.map((share) => share / total);
}

function meanOf(cosines: Float64Array): number {
  let sum = 0, count = 0;
  for (; count < SCOPE_NEIGHBOURS && cosines[count]! > -Infinity; count++) sum += cosines[count]!;
  return sum / count;
}
