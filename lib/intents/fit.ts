import { compareText } from "../core/text.ts";
import {
  calibrate,
  type Calibration,
  type ClassifierMetrics,
  classifierMetrics,
  type HeldOutText,
} from "./calibrate.ts";
import { type LearntModel, scoreIntents } from "./oos_features.ts";
import { type Example, foldsOf } from "./folds.ts";
import { fitLogistic } from "../ml/logistic_regression.ts";
import { matrixOf, yieldIfDue } from "../ml/matrix.ts";
import { fitWhitening, whitenAll } from "../ml/whitening.ts";

export interface FittedModel {
  /** In ascending order; a class is an index of it. */
  readonly intents: readonly string[];
  readonly learnt: LearntModel;
  readonly calibration: Calibration;
  readonly figures: ClassifierMetrics;
}

/** Each part withholds a third of the intents, and of the others a quarter of the examples. */
const INTENT_PARTS = 3;
const HELD_OUT = 4;
/** With fewer validated texts in scope, all parts are validated again with other held-out examples. */
const MIN_VALIDATED = 60;
/** The most texts of one part, in scope and out of it each. */
const MAX_VALIDATED_PER_PART = 1_000;
/** The number of texts after which no further fold is validated: the threshold is then accurate to 1.3 % (one sigma). */
const ENOUGH_VALIDATED = 500;

interface FitOptions {
  readonly examples: readonly Example[];
  readonly signal?: AbortSignal | undefined;
  /** Told how far the fit is, 0..1. */
  readonly onProgress?: (share: number) => void;
}

/**
 * Fits a classifier: whitening, logistic regression, and the examples themselves as neighbours. Temperature, and what decides
 * whether a text is in scope, come from three further fits, or with few examples up to twelve, each without a third of the
 * intents. The threshold comes from one to four fits of all intents, each without a quarter of the examples and their near
 * duplicates. All are validated on texts that they have not seen. The order of the examples does not matter, and equal input
 * gives equal bits. Time grows with examples × intents × dimension: a second for a thousand examples of a dozen intents, half
 * a minute of a core for fifteen thousand of 150; every few milliseconds of it other work gets its turn. Needs two examples of each of
 * three intents.
 */
export async function fit({ signal, onProgress = () => {}, ...options }: FitOptions): Promise<FittedModel> {
  const examples = options.examples.toSorted((a, b) =>
    compareText(a.intent, b.intent) || compareText(a.key, b.key)
  );
  const intents = [...new Set(examples.map(({ intent }) => intent))];
  const folds = await foldsOf(examples, HELD_OUT, signal);
  const validationFits = planValidation(examples, intents, folds);
  // An iteration takes time by the examples and intents that it goes through.
  const sizes = [
    ...validationFits.map(({ learnt, among }) => learnt.length * among.length),
    examples.length * intents.length,
  ];
  const total = sizes.reduce((sum, size) => sum + size);
  let done = 0;
  const progressOf = (n: number) => ({
    signal,
    onProgress: (share: number) => onProgress((done + share * sizes[n]!) / total),
  });
  const heldOutTexts: HeldOutText[][] = [];
  for (const [n, validationFit] of validationFits.entries()) {
    heldOutTexts.push(await validate(validationFit, progressOf(n)));
    done += sizes[n]!;
  }
  const heldOut = {
    someIntents: heldOutTexts.filter((_, n) => !validationFits[n]!.hasAllIntents).flat(),
    allIntents: heldOutTexts.filter((_, n) => validationFits[n]!.hasAllIntents).flat(),
  };
  const calibration = await calibrate(heldOut, signal);
  const learnt = await learn(examples, intents, progressOf(validationFits.length));
  return { intents, learnt, calibration, figures: classifierMetrics(heldOut, calibration) };
}

type LearnOptions = Pick<FitOptions, "signal" | "onProgress">;

/** Fits without calibration. Both lists are in order. */
async function learn(
  examples: readonly Example[],
  intents: readonly string[],
  { signal, onProgress }: LearnOptions = {},
): Promise<LearntModel> {
  const classNumbers = new Map(intents.map((intent, k) => [intent, k]));
  const classes = Int32Array.from(examples, ({ intent }) => classNumbers.get(intent)!);
  const rows = matrixOf(examples.map(({ vector }) => vector), examples[0]!.vector.length);
  const whitening = await fitWhitening(rows, classes, { signal });
  const whitened = await whitenAll(whitening, rows, signal);
  const weights = await fitLogistic(whitened, classes, intents.length, { signal, onProgress });
  return { whitening, weights, examples: whitened, classOffsets: classOffsetsOf(classes, intents.length) };
}

/** The index at which each class begins in a list in order of class, and the list's length at the end. */
export function classOffsetsOf(classes: Int32Array, count: number): Int32Array {
  const offsets = new Int32Array(count + 1);
  for (const k of classes) offsets[k + 1]!++;
  for (let k = 0; k < count; k++) offsets[k + 1]! += offsets[k]!;
  return offsets;
}

/** A fit that is validated on texts which it has not learnt. */
interface ValidationFit {
  readonly among: readonly string[];
  /** Whether those are all intents. */
  readonly hasAllIntents: boolean;
  readonly learnt: readonly Example[];
  readonly texts: readonly Example[];
}

function planValidation(
  examples: readonly Example[],
  intents: readonly string[],
  folds: Awaited<ReturnType<typeof foldsOf>>,
): ValidationFit[] {
  const plan: ValidationFit[] = [];
  let heldOutTexts = 0;
  for (let round = 0; round < HELD_OUT && heldOutTexts < MIN_VALIDATED; round++) {
    for (let part = 0; part < INTENT_PARTS; part++) {
      const among = intents.filter((_, k) => k % INTENT_PARTS !== part);
      const knownExamples = examples.filter(({ intent }) => among.includes(intent));
      const heldExamples = selectHeldOut(knownExamples, (part + round) % HELD_OUT);
      const [inside, withheld] = [
        spaced([...heldExamples], MAX_VALIDATED_PER_PART),
        examples.filter(({ intent }) => !among.includes(intent)),
      ];
      heldOutTexts += inside.length;
      const texts = [...inside, ...spaced(withheld, MAX_VALIDATED_PER_PART)];
      plan.push({
        among,
        hasAllIntents: false,
        learnt: knownExamples.filter((example) => !heldExamples.has(example)),
        texts,
      });
    }
  }
  heldOutTexts = 0;
  for (const { heldOut, texts } of folds) {
    if (heldOutTexts >= ENOUGH_VALIDATED) break;
    plan.push({
      among: intents,
      hasAllIntents: true,
      learnt: examples.filter((example) => !heldOut.has(example)),
      texts: spaced(texts, MAX_VALIDATED_PER_PART),
    });
    heldOutTexts += plan.at(-1)!.texts.length;
  }
  return plan;
}

async function validate(
  { among, learnt, texts }: ValidationFit,
  options: LearnOptions,
): Promise<HeldOutText[]> {
  const classNumbers = new Map(among.map((intent, k) => [intent, k]));
  const fitted = await learn(learnt, among, options);
  const heldOut: HeldOutText[] = [];
  for (const { intent, vector } of texts) {
    await yieldIfDue(options.signal);
    // It is no further, but it is not stuck.
    options.onProgress?.(1);
    heldOut.push({ scores: scoreIntents(fitted, vector), truth: classNumbers.get(intent) ?? -1 });
  }
  return heldOut;
}

/** Every fourth example of each intent, different ones in each fold; at least one is left to learn. */
function selectHeldOut(examples: readonly Example[], fold: number): Set<Example> {
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
