import { compareText } from "../core/text.ts";
import {
  calibrate,
  type Calibration,
  type ClassifierMetrics,
  classifierMetrics,
  type HeldOut,
} from "./calibrate.ts";
import { type LearntModel, scoreIntents } from "./oos_features.ts";
import { type Example, foldsOf } from "./folds.ts";
import { fitLogistic } from "../ml/logistic_regression.ts";
import { matrixOf, yieldIfDue } from "../ml/matrix.ts";
import { fitWhitening, whitenAll } from "../ml/whitening.ts";

/** All that a classifier consists of. */
export interface FittedModel {
  /** In ascending order; a class is a place in it. */
  readonly intents: readonly string[];
  readonly learnt: LearntModel;
  readonly calibration: Calibration;
  readonly figures: ClassifierMetrics;
}

/** Each part withholds a third of the intents, and of the others a quarter of the examples. */
const PARTS = 3;
const HELD_OUT = 4;
/** Where fewer texts in scope were judged, the parts are gone through again with other examples held out. */
const MIN_JUDGED = 60;
/** Texts of one part that are judged at most, of either kind. */
const JUDGED = 1_000;
/** Texts judged by all intents from which on no further fold is: the threshold is then right to 1.3 % (one sigma). */
const ENOUGH_JUDGED = 500;

interface FitOptions {
  readonly examples: readonly Example[];
  readonly signal?: AbortSignal | undefined;
  /** Told how far the fit is, 0..1. */
  readonly onProgress?: (share: number) => void;
}

/**
 * Fits a classifier: whitening, logistic regression, and the examples themselves as neighbours. Temperature, and what
 * tells a text in scope from one that is not, come from three further fits, or with few examples up to twelve, each
 * without a third of the intents. The threshold comes from one to four fits of all intents, each without a quarter of
 * the examples and their near duplicates. All are judged on texts that they have not seen. The order of the examples is
 * nothing, and equal input gives equal bits. Time grows with examples × intents × dimension: two seconds for a thousand
 * examples of a dozen intents, a minute of a core for ten thousand of 77; every few milliseconds of it other work gets
 * its turn. Needs two examples of each of three intents.
 */
export async function fit({ signal, onProgress = () => {}, ...o }: FitOptions): Promise<FittedModel> {
  const examples = o.examples.toSorted((a, b) =>
    compareText(a.intent, b.intent) || compareText(a.key, b.key)
  );
  const intents = [...new Set(examples.map(({ intent }) => intent))];
  const folds = await foldsOf(examples, HELD_OUT, signal);
  const judgements = planOf(examples, intents, folds);
  // An iteration takes time by the examples and intents that it goes through.
  const sizes = [
    ...judgements.map(({ learnt, among }) => learnt.length * among.length),
    examples.length * intents.length,
  ];
  const total = sizes.reduce((sum, size) => sum + size);
  let done = 0;
  const progressOf = (n: number) => ({
    signal,
    onProgress: (share: number) => onProgress((done + share * sizes[n]!) / total),
  });
  const judged: HeldOut[][] = [];
  for (const [n, judgement] of judgements.entries()) {
    judged.push(await judge(judgement, progressOf(n)));
    done += sizes[n]!;
  }
  const held = {
    partial: judged.filter((_, n) => !judgements[n]!.whole).flat(),
    whole: judged.filter((_, n) => judgements[n]!.whole).flat(),
  };
  const calibration = await calibrate(held, signal);
  const learnt = await learn(examples, intents, progressOf(judgements.length));
  return { intents, learnt, calibration, figures: classifierMetrics(held, calibration) };
}

type LearnOptions = Pick<FitOptions, "signal" | "onProgress">;

/** Learns without calibrating. Both lists are in order. */
async function learn(
  examples: readonly Example[],
  intents: readonly string[],
  { signal, onProgress }: LearnOptions = {},
): Promise<LearntModel> {
  const places = new Map(intents.map((intent, k) => [intent, k]));
  const classes = Int32Array.from(examples, ({ intent }) => places.get(intent)!);
  const rows = matrixOf(examples.map(({ vector }) => vector), examples[0]!.vector.length);
  const whitening = await fitWhitening(rows, classes, { signal });
  const white = await whitenAll(whitening, rows, signal);
  const weights = await fitLogistic(white, classes, intents.length, { signal, onProgress });
  return { whitening, weights, examples: white, starts: classOffsets(classes, intents.length) };
}

/** Where each class begins in a list in order of class, and its length at the end. */
export function classOffsets(classes: Int32Array, count: number): Int32Array {
  const starts = new Int32Array(count + 1);
  for (const k of classes) starts[k + 1]!++;
  for (let k = 0; k < count; k++) starts[k + 1]! += starts[k]!;
  return starts;
}

/** A fit that is judged on texts which it has not learnt. */
interface Judgement {
  readonly among: readonly string[];
  /** Whether those are all intents. */
  readonly whole: boolean;
  readonly learnt: readonly Example[];
  readonly texts: readonly Example[];
}

function planOf(
  examples: readonly Example[],
  intents: readonly string[],
  folds: Awaited<ReturnType<typeof foldsOf>>,
): Judgement[] {
  const plan: Judgement[] = [];
  let judged = 0;
  for (let round = 0; round < HELD_OUT && judged < MIN_JUDGED; round++) {
    for (let part = 0; part < PARTS; part++) {
      const among = intents.filter((_, k) => k % PARTS !== part);
      const known = examples.filter(({ intent }) => among.includes(intent));
      const isHeld = heldOut(known, (part + round) % HELD_OUT);
      const [inside, withheld] = [
        spaced([...isHeld], JUDGED),
        examples.filter(({ intent }) => !among.includes(intent)),
      ];
      judged += inside.length;
      const texts = [...inside, ...spaced(withheld, JUDGED)];
      plan.push({ among, whole: false, learnt: known.filter((one) => !isHeld.has(one)), texts });
    }
  }
  judged = 0;
  for (const { held, texts } of folds) {
    if (judged >= ENOUGH_JUDGED) break;
    plan.push({
      among: intents,
      whole: true,
      learnt: examples.filter((one) => !held.has(one)),
      texts: spaced(texts, JUDGED),
    });
    judged += plan.at(-1)!.texts.length;
  }
  return plan;
}

async function judge({ among, learnt, texts }: Judgement, options: LearnOptions): Promise<HeldOut[]> {
  const places = new Map(among.map((intent, k) => [intent, k]));
  const fitted = await learn(learnt, among, options);
  const held: HeldOut[] = [];
  for (const { intent, vector } of texts) {
    await yieldIfDue(options.signal);
    held.push({ evidence: scoreIntents(fitted, vector), truth: places.get(intent) ?? -1 });
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
