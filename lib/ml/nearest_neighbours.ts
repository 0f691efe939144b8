import { dot, type Matrix } from "./matrix.ts";

/** How many examples vote, and by how much of cosine an example must be nearer for its vote to count e times as much. */
const VOTERS = 10;
const TEMPERATURE = 0.1;
/** The best of so many and their mean tell together whether a text is in scope: one alone may be an odd example. */
const NEAREST = 5;

interface Votes {
  /** By class; adds up to 1. */
  readonly shares: Float64Array;
  /** Half the cosine of the nearest example, and half the mean of the nearest few. */
  readonly nearness: number;
}

/**
 * Lets the nearest examples vote, each by a softmax of its cosine, among the examples of `among`. `starts` is where
 * each class begins in `examples`, which are unit vectors in order of class, with their number at the end.
 */
export function vote(
  vector: Float64Array,
  examples: Matrix,
  starts: Int32Array,
  among: readonly number[],
): Votes {
  const cosines = new Float64Array(VOTERS).fill(-Infinity);
  const classes = new Int32Array(VOTERS).fill(-1);
  for (const k of among) {
    for (let n = starts[k]!; n < starts[k + 1]!; n++) {
      const cosine = dot(examples.data, n * examples.dimension, vector, 0, examples.dimension);
      if (cosine > cosines[VOTERS - 1]!) insert(cosines, classes, cosine, k);
    }
  }
  return {
    shares: sharesOf(cosines, classes, starts.length - 1),
    nearness: (cosines[0]! + meanOf(cosines)) / 2,
  };
}

/** Best first; an equal one comes after those that are there. */
function insert(cosines: Float64Array, classes: Int32Array, cosine: number, k: number): void {
  let at = VOTERS - 1;
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
  for (let n = 0; n < VOTERS && classes[n]! >= 0; n++) {
    const weight = Math.exp((cosines[n]! - cosines[0]!) / TEMPERATURE);
    shares[classes[n]!]! += weight;
    total += weight;
  }
  return shares.map((share) => share / total);
}

function meanOf(cosines: Float64Array): number {
  let sum = 0, count = 0;
  for (; count < NEAREST && cosines[count]! > -Infinity; count++) sum += cosines[count]!;
  return sum / count;
}
