import { compareText } from "../core/text.ts";
import { calibrate, type Calibration, type Figures, figuresOf, type HeldOut } from "./calibrate.ts";
import { evidenceOf, type Learnt } from "./evidence.ts";
import { fitLogistic } from "./logistic.ts";
import { breathe, matrixOf } from "./matrix.ts";
import { fitWhitening, whitenAll } from "./whitening.ts";

/** A text of a known intent. `key` tells it from the others of that intent, such as a hash of the text. */
export interface Example {
  readonly intent: string;
  readonly key: string;
  readonly vector: Float32Array;
}

/** All that a classifier consists of. */
export interface Fitted {
  /** In ascending order; a class is a place in it. */
  readonly intents: readonly string[];
  readonly learnt: Learnt;
  readonly calibration: Calibration;
  readonly figures: Figures;
}

/** Each part withholds a third of the intents, and of the others a quarter of the examples. */
const PARTS = 3;
const HELD_OUT = 4;
/** Where fewer texts in scope were judged, the parts are gone through again with other examples held out. */
const LEAST_JUDGED = 60;
/** Texts of one part that are judged at most, of either kind. */
const JUDGED = 1_000;
const JUDGED_A_TURN = 32;

/**
 * Fits a classifier: whitening, logistic regression, and the examples themselves as neighbours. Temperature, scope and
 * threshold come from three further fits, or with few examples up to twelve, each of which is judged on texts, and on
 * whole intents, that it has not seen. The order of the examples is nothing, and equal input gives equal bits. Time
 * grows with examples × intents × dimension: a second for a thousand examples of a dozen intents, half a minute of a
 * core for ten thousand of 77; every few milliseconds of it other work gets its turn. Needs two examples of each of
 * three intents.
 */
export async function fit(o: { examples: readonly Example[]; signal?: AbortSignal }): Promise<Fitted> {
  const examples = o.examples.toSorted((a, b) =>
    compareText(a.intent, b.intent) || compareText(a.key, b.key)
  );
  const intents = [...new Set(examples.map(({ intent }) => intent))];
  const held: HeldOut[] = [];
  const judged = () => held.filter(({ truth }) => truth >= 0).length;
  for (let round = 0; round < HELD_OUT && judged() < LEAST_JUDGED; round++) {
    for (let part = 0; part < PARTS; part++) {
      held.push(...await judge(examples, intents, { part, fold: (part + round) % HELD_OUT }, o.signal));
    }
  }
  const calibration = calibrate(held);
  const learnt = await learn(examples, intents, o.signal);
  return { intents, learnt, calibration, figures: figuresOf(held, calibration) };
}

/** Learns without calibrating. Both lists are in order. */
export async function learn(
  examples: readonly Example[],
  intents: readonly string[],
  signal?: AbortSignal,
): Promise<Learnt> {
  const places = new Map(intents.map((intent, k) => [intent, k]));
  const classes = Int32Array.from(examples, ({ intent }) => places.get(intent)!);
  const rows = matrixOf(examples.map(({ vector }) => vector), examples[0]!.vector.length);
  const whitening = await fitWhitening(rows, classes, { signal });
  const white = await whitenAll(whitening, rows, signal);
  const weights = await fitLogistic(white, classes, intents.length, signal);
  return { whitening, weights, examples: white, starts: startsOf(classes, intents.length) };
}

/** Where each class begins in a list in order of class, and its length at the end. */
export function startsOf(classes: Int32Array, count: number): Int32Array {
  const starts = new Int32Array(count + 1);
  for (const k of classes) starts[k + 1]!++;
  for (let k = 0; k < count; k++) starts[k + 1]! += starts[k]!;
  return starts;
}

async function judge(
  examples: readonly Example[],
  intents: readonly string[],
  { part, fold }: { part: number; fold: number },
  signal: AbortSignal | undefined,
): Promise<HeldOut[]> {
  const kept = intents.filter((_, k) => k % PARTS !== part);
  const places = new Map(kept.map((intent, k) => [intent, k]));
  const known = examples.filter(({ intent }) => places.has(intent));
  const isHeld = heldOut(known, fold);
  const learnt = await learn(known.filter((one) => !isHeld.has(one)), kept, signal);
  const withheld = examples.filter(({ intent }) => !places.has(intent));
  const held: HeldOut[] = [];
  for (const example of [...spaced([...isHeld], JUDGED), ...spaced(withheld, JUDGED)]) {
    if (held.length % JUDGED_A_TURN === 0) await breathe(signal);
    const truth = places.get(example.intent) ?? -1;
    held.push({ evidence: evidenceOf(learnt, example.vector), truth });
  }
  return held;
}

/** Of each intent every fourth example, others in each fold; one is left to learn at least. */
function heldOut(examples: readonly Example[], fold: number): Set<Example> {
  const byIntent = Map.groupBy(examples, ({ intent }) => intent);
  return new Set(
    [...byIntent.values()].flatMap((own) => own.filter((_, n) => n % HELD_OUT === fold && own.length > 1)),
  );
}

/** At most `count`, evenly spaced. */
function spaced<T>(all: readonly T[], count: number): T[] {
  const stride = Math.max(1, all.length / count);
  return Array.from({ length: Math.min(count, all.length) }, (_, n) => all[Math.floor(n * stride)]!);
}
