import { scopeScore } from "./calibrate.ts";
import { probabilitiesOf, scoreIntents, topPlaces } from "./oos_features.ts";
import type { FittedModel } from "./fit.ts";

/** What a text was found to mean. */
export interface ClassifiedText {
  /** The best intent; null where the text is out of scope. */
  readonly intent: string | null;
  /** How well the text fits any intent at all, 0..1, to four decimals; in scope from the classifier's threshold on. */
  readonly score: number;
  /** The likeliest intents, best first, with the probability of each given that the text is in scope. */
  readonly intents: readonly { readonly intent: string; readonly probability: number }[];
}

/** Classifies the vector of one text, in less than a millisecond; `top` is how many intents to tell. */
export function classify(
  { intents, learnt, calibration }: FittedModel,
  vector: Float32Array,
  { top = 3 }: { top?: number } = {},
): ClassifiedText {
  const evidence = scoreIntents(learnt, vector);
  const probabilities = probabilitiesOf(evidence.logits, calibration.temperature);
  const ranked = topPlaces(probabilities, top).map((k) => ({
    intent: intents[k]!,
    probability: rounded(probabilities[k]!),
  }));
  const score = scopeScore(evidence, calibration.scope);
  const intent = score < calibration.threshold ? null : intents[topPlaces(probabilities, 1)[0]!]!;
  return { intent, score: rounded(score), intents: ranked };
}

/** What later digits say depends on the machine. */
function rounded(value: number): number {
  return Math.round(value * 10_000) / 10_000;
}
