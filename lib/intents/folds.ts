import { yieldIfDue } from "../ml/matrix.ts";

/** A text of a known intent. `key` distinguishes it from the others of that intent, such as a hash of the text. */
export interface Example {
  readonly intent: string;
  readonly key: string;
  readonly vector: Float32Array;
}

/**
 * Two examples of an intent with at least this cosine differ by a comma or a filler. Others differ as much as new messages do:
 * of Banking77's, 17 % of the test texts are as near to a training text, and 19 % of these to another.
 */
const NEAR_DUPLICATE = 0.98;
/**
 * Examples are paraphrases of each other if, seen from each, the others are nearer than all further ones by this factor of 1 -
 * cosine: among independent texts such a gap is rare, whatever the model and the intent.
 */
const GAP_RATIO = 0.7;
/** A larger group cannot be distinguished from a part of the intent. */
const MAX_PARAPHRASES = 4;

/**
 * Splits the examples into `count` folds. Near duplicates and paraphrases are in one fold, so a held-out example has no twin in
 * what is learnt: a new message has none either. An intent whose examples are all alike is still split. `texts` has one text of
 * each group, since copies of a text add no information.
 */
export async function foldsOf(
  examples: readonly Example[],
  count: number,
  signal?: AbortSignal,
): Promise<{ heldOut: Set<Example>; texts: Example[] }[]> {
  const folds = Array.from(
    { length: count },
    () => ({ heldOut: new Set<Example>(), texts: [] as Example[] }),
  );
  for (const own of Map.groupBy(examples, ({ intent }) => intent).values()) {
    const duplicates = await groupsOf(own, signal);
    const groups = duplicates.length > 1 ? duplicates : own.map((example) => [example]);
    // The rarest first: the order of the others is kept, and which fold is the smallest does not hang on chance.
    const sizes = new Float64Array(count);
    for (const group of groups.toSorted((a, b) => b.length - a.length)) {
      const at = sizes.indexOf(Math.min(...sizes));
      sizes[at]! += group.length;
      folds[at]!.texts.push(group[0]!);
      for (const example of group) folds[at]!.heldOut.add(example);
    }
  }
  return folds;
}

/** Groups in which each example is a near duplicate or a paraphrase of another one. */
async function groupsOf(examples: readonly Example[], signal?: AbortSignal): Promise<Example[][]> {
  const distances = examples.map(() => new Float64Array(examples.length));
  for (let n = 1; n < examples.length; n++) {
    await yieldIfDue(signal);
    for (let other = 0; other < n; other++) {
      const distance = 1 - cosine(examples[n]!.vector, examples[other]!.vector);
      distances[n]![other] = distances[other]![n] = distance;
    }
  }
  const paraphrases = distances.map((row, n) => nearerThanOthers(row, n));
  const parents = examples.map((_, n) => n);
  const rootOf = (n: number): number => parents[n] === n ? n : parents[n] = rootOf(parents[n]!);
  for (let n = 1; n < examples.length; n++) {
    for (let other = 0; other < n; other++) {
      const isParaphrase = paraphrases[n]!.has(other) && paraphrases[other]!.has(n);
      if (isParaphrase || distances[n]![other]! <= 1 - NEAR_DUPLICATE) parents[rootOf(n)] = rootOf(other);
    }
  }
  return [...Map.groupBy(examples, (_, n) => rootOf(n)).values()];
}

/** The nearest few of `n`, up to the last {@link GAP_RATIO} among them; none if there is no gap. */
function nearerThanOthers(distances: Float64Array, n: number): Set<number> {
  const nearest = [...distances.keys()].filter((other) => other !== n)
    .sort((a, b) => distances[a]! - distances[b]! || a - b);
  let count = 0;
  for (let m = 1; m <= MAX_PARAPHRASES && m < nearest.length; m++) {
    if (distances[nearest[m - 1]!]! < GAP_RATIO * distances[nearest[m]!]!) count = m;
  }
  return new Set(nearest.slice(0, count));
}

/** Of unit vectors. */
function cosine(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
