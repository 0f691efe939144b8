import { round } from "../core/round.ts";
import { scopeScore } from "./calibrate.ts";
import { probabilitiesOf, scoreIntents, topClasses } from "./oos_features.ts";
import type { FittedModel } from "./fit.ts";

export interface ClassifiedText {
  /** The best intent; null if the text is out of scope. */
  readonly intent: string | null;
  /** How well the text fits any intent at all, 0..1, to four decimals; in scope from the classifier's threshold on. */
  readonly score: number;
  /** The likeliest intents, best first, with the probability of each given that the text is in scope. */
  readonly intents: readonly { readonly intent: string; readonly probability: number }[];
}

/** Classifies the vector of one text, in less than a millisecond; `top` is how many intents to return. */
export function classify(
  { intents, learnt, calibration }: FittedModel,
  vector: Float32Array,
  { top = 3 }: { top?: number } = {},
): ClassifiedText {
  const scores = scoreIntents(learnt, vector);
  const probabilities = probabilitiesOf(scores.logits, calibration.temperature);
  const ranked = topClasses(probabilities, top).map((k) => ({
    intent: intents[k]!,
    probability: round(probabilities[k]!),
  }));
  const score = scopeScore(scores, calibration.scope);
  const intent = score < calibration.threshold ? null : intents[topClasses(probabilities, 1)[0]!]!;
  return { intent, score: round(score), intents: ranked };
}
