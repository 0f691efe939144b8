import { type IntentScores, probabilitiesOf } from "./oos_features.ts";
import { yieldIfDue } from "../ml/matrix.ts";

/** A held-out text: its scores and the class of its intent; -1 if its intent was withheld. */
export interface HeldOutText {
  readonly scores: IntentScores;
  readonly truth: number;
}

/** Texts with the scores of fits that had not learnt them. */
interface HeldOutTexts {
  /** By a part of the intents, with texts of the withheld ones, which are out of scope. */
  readonly someIntents: readonly HeldOutText[];
  /**
   * By all intents, as messages are, without a near duplicate among what was learnt. With more intents the confidence is lower,
   * so a threshold from a part of them would be too strict.
   */
  readonly allIntents: readonly HeldOutText[];
}

/** How scores become probabilities and a score of being in scope. */
export interface Calibration {
  readonly temperature: number;
  /** Of the two oosFeatures and of 1. */
  readonly scope: readonly [confidence: number, proximity: number, bias: number];
  /** A text with this score or a higher one is in scope. */
  readonly threshold: number;
}

/** Metrics of the classifier on texts that it had not learnt. */
export interface ClassifierMetrics {
  /** Share of texts whose best intent is right, among all intents. */
  readonly accuracy: number;
  /** Expected calibration error of the best intent's probability, in 15 bins. */
  readonly ece: number;
  /** The probability that a text in scope has a higher score than one of a withheld intent. */
  readonly auroc: number;
  readonly in_scope: number;
  readonly withheld: number;
}

/** The share of texts in scope that should pass the threshold. */
const IN_SCOPE_SHARE = 0.9;
/**
 * The threshold without any data, and the number of texts from which on it no longer counts: the lowest of a few scores is
 * unreliable, and a wrong intent is worse than none. Chosen on catalogues of three to twelve intents with five to twenty
 * examples each.
 */
const PRIOR = { threshold: 0.7, texts: 60 };
const MIN_TEMPERATURE = 0.05;
const MAX_TEMPERATURE = 20;
/** Find the temperature to a thousandth. */
const SEARCH_STEPS = 20;
const NEWTON_STEPS = 50;
/** The smallest factor of a Newton step before the search stops. */
const MIN_STEP = 1e-6;
/** Keeps the weights finite if the features separate the texts perfectly. */
const RIDGE = 1e-3;

export async function calibrate(
  { someIntents, allIntents }: HeldOutTexts,
  signal?: AbortSignal,
): Promise<Calibration> {
  const temperature = await fitTemperature(someIntents.filter(({ truth }) => truth >= 0), signal);
  const scope = await fitScope(someIntents, signal);
  return {
    temperature,
    scope,
    threshold: thresholdOf(allIntents.map(({ scores }) => scopeScore(scores, scope))),
  };
}

/** How well a text fits any intent, 0..1; at .5 it is equally likely in scope or out of it. */
export function scopeScore(
  { oosFeatures }: IntentScores,
  [confidence, proximity, bias]: Calibration["scope"],
): number {
  return 1 / (1 + Math.exp(-(confidence * oosFeatures[0] + proximity * oosFeatures[1] + bias)));
}

/**
 * Temperature scaling (Guo et al., ICML 2017), by golden section. The target of the true intent is (n + 1) / (n + 2), as in
 * Platt's (1999), and the other intents share the rest, so that a few right texts do not give certainty.
 */
async function fitTemperature(
  texts: readonly HeldOutText[],
  signal: AbortSignal | undefined,
): Promise<number> {
  const target = (texts.length + 1) / (texts.length + 2);
  const loss = async (log: number) => {
    let lost = 0;
    for (const { scores, truth } of texts) {
      await yieldIfDue(signal);
      const probabilities = probabilitiesOf(scores.logits, Math.exp(log));
      const rest = (1 - target) / Math.max(1, probabilities.length - 1);
      probabilities.forEach((p, k) => lost -= (k === truth ? target : rest) * Math.log(p + 1e-300));
    }
    return lost;
  };
  const golden = (Math.sqrt(5) - 1) / 2;
  let [low, high] = [Math.log(MIN_TEMPERATURE), Math.log(MAX_TEMPERATURE)];
  for (let step = 0; step < SEARCH_STEPS; step++) {
    const [a, b] = [high - golden * (high - low), low + golden * (high - low)];
    if (await loss(a) <= await loss(b)) high = b;
    else low = a;
  }
  return Math.exp((low + high) / 2);
}

/**
 * Logistic regression of being in scope on the two features, with both classes weighted equally, by Newton's method. Weights
 * must not be negative: with few texts a feature may get a negative one by chance, and is then left out.
 */
async function fitScope(
  texts: readonly HeldOutText[],
  signal: AbortSignal | undefined,
  enabled: readonly [number, number] = [1, 1],
): Promise<Calibration["scope"]> {
  const inScope = texts.filter(({ truth }) => truth >= 0).length;
  const share = { in: 0.5 / Math.max(1, inScope), out: 0.5 / Math.max(1, texts.length - inScope) };
  const rows = texts.map(({ scores: { oosFeatures }, truth }) => ({
    x: [enabled[0] * oosFeatures[0], enabled[1] * oosFeatures[1], 1] as const,
    y: truth >= 0 ? 1 : 0,
    share: truth >= 0 ? share.in : share.out,
  }));
  const weights = await newton(rows, signal);
  const [confidence, proximity] = weights;
  if (Math.min(confidence, proximity) < 0) {
    return await fitScope(texts, signal, confidence < proximity ? [0, enabled[1]] : [enabled[0], 0]);
  }
  return weights;
}

interface LabelledFeatures {
  readonly x: readonly [number, number, number];
  readonly y: number;
  readonly share: number;
}
type Weights = [number, number, number];

/** Logistic regression. Steps that overshoot are halved: with perfectly separated texts, full steps would diverge. */
async function newton(
  rows: readonly LabelledFeatures[],
  signal: AbortSignal | undefined,
): Promise<Weights> {
  const at = (w: Weights, x: LabelledFeatures["x"]) => w[0] * x[0] + w[1] * x[1] + w[2] * x[2];
  const loss = (w: Weights) =>
    rows.reduce(
      (sum, { x, y, share }) => sum + share * softplus(y === 1 ? -at(w, x) : at(w, x)),
      RIDGE / 2 * (w[0] ** 2 + w[1] ** 2),
    );
  let weights: Weights = [0, 0, 0];
  let lost = loss(weights);
  for (let n = 0; n < NEWTON_STEPS; n++) {
    await yieldIfDue(signal);
    const gradient = [RIDGE * weights[0], RIDGE * weights[1], 0];
    const hessian = [RIDGE, 0, 0, 0, RIDGE, 0, 0, 0, 1e-9];
    for (const { x, y, share } of rows) {
      const p = 1 / (1 + Math.exp(-at(weights, x)));
      for (let i = 0; i < 3; i++) {
        gradient[i]! += share * (p - y) * x[i]!;
        for (let j = 0; j < 3; j++) hessian[3 * i + j]! += share * p * (1 - p) * x[i]! * x[j]!;
      }
    }
    const step = solve3(hessian, gradient);
    const stepped = (by: number) => weights.map((weight, i) => weight - by * step[i]!) as Weights;
    let by = 1;
    while (by > MIN_STEP && loss(stepped(by)) > lost) by /= 2;
    if (by <= MIN_STEP) break;
    weights = stepped(by);
    lost = loss(weights);
  }
  return weights;
}

/** ln(1 + e^x), also if e^x overflows. */
function softplus(x: number): number {
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
}

/** By Cramer's rule. */
function solve3(m: readonly number[], v: readonly number[]): number[] {
  const determinant = (a: readonly number[]) =>
    a[0]! * (a[4]! * a[8]! - a[5]! * a[7]!) - a[1]! * (a[3]! * a[8]! - a[5]! * a[6]!) +
    a[2]! * (a[3]! * a[7]! - a[4]! * a[6]!);
  const allIntents = determinant(m);
  return [0, 1, 2].map((column) =>
    determinant(m.map((x, i) => i % 3 === column ? v[(i - column) / 3]! : x)) / allIntents
  );
}

/**
 * The score that a new text in scope reaches nine times of ten: of n scores the ⌊(n + 1) / 10⌋-th from below, which
 * holds for any number of them (split conformal prediction: Vovk et al., "Algorithmic Learning in a Random World").
 * Few are averaged with the prior.
 */
function thresholdOf(scores: readonly number[]): number {
  const rank = Math.floor((1 - IN_SCOPE_SHARE) * (scores.length + 1) + 1e-9);
  const quantile = scores.toSorted((a, b) => a - b)[rank - 1] ?? 0;
  const share = Math.min(1, scores.length / PRIOR.texts);
  return share * quantile + (1 - share) * PRIOR.threshold;
}

export function classifierMetrics(
  { someIntents, allIntents }: HeldOutTexts,
  { temperature, scope }: Calibration,
): ClassifierMetrics {
  const [inside, withheld] = [
    someIntents.filter(({ truth }) => truth >= 0),
    someIntents.filter(({ truth }) => truth < 0),
  ];
  const predictions = allIntents.map(({ scores, truth }) => {
    const probabilities = probabilitiesOf(scores.logits, temperature);
    const confidence = Math.max(...probabilities);
    return { confidence, right: probabilities[truth] === confidence };
  });
  const scores = (texts: readonly HeldOutText[]) => texts.map(({ scores }) => scopeScore(scores, scope));
  return {
    accuracy: predictions.filter(({ right }) => right).length / Math.max(1, predictions.length),
    ece: calibrationError(predictions),
    auroc: areaUnderCurve(scores(inside), scores(withheld)),
    in_scope: allIntents.length,
    withheld: withheld.length,
  };
}

export function calibrationError(
  predictions: readonly { confidence: number; right: boolean }[],
  bins = 15,
): number {
  const byBin = Map.groupBy(
    predictions,
    ({ confidence }) => Math.min(bins - 1, Math.floor(confidence * bins)),
  );
  let error = 0;
  for (const bin of byBin.values()) {
    const confidence = bin.reduce((sum, top) => sum + top.confidence, 0);
    error += Math.abs(confidence - bin.filter(({ right }) => right).length);
  }
  return error / Math.max(1, predictions.length);
}

/** The chance that one of `high` is above one of `low`, ties counting half: the area under the ROC curve. */
export function areaUnderCurve(high: readonly number[], low: readonly number[]): number {
  const all = [...high.map((score) => ({ score, up: true })), ...low.map((score) => ({ score, up: false }))]
    .sort((a, b) => a.score - b.score);
  let sum = 0;
  for (let start = 0; start < all.length;) {
    let end = start;
    while (end < all.length && all[end]!.score === all[start]!.score) end++;
    const rank = (start + end + 1) / 2;
    sum += rank * all.slice(start, end).filter(({ up: isHigh }) => isHigh).length;
    start = end;
  }
  return (sum - high.length * (high.length + 1) / 2) / (high.length * low.length || 1);
}
