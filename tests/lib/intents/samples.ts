import type { Example } from "../../../lib/intents/folds.ts";
import { random } from "../../fixtures/rows.ts";

/** Numbers about 0, bell-shaped enough. */
export function noise(next: () => number): number {
  return next() + next() + next() + next() - 2;
}

export function unit(values: readonly number[]): Float32Array {
  const norm = Math.hypot(...values);
  return Float32Array.from(values, (value) => value / norm);
}

/** A vector about the axis of its intent. */
export function about(axis: number, dimension: number, next: () => number, spread = 0.35): Float32Array {
  return unit(Array.from({ length: dimension }, (_, i) => (i === axis ? 1 : 0) + spread * noise(next)));
}

/** `each` examples of as many intents, each about an axis of its own. */
export function examples(
  options: { intents: number; each: number; dimension?: number; seed?: number },
): Example[] {
  const next = random(options.seed ?? 1);
  const dimension = options.dimension ?? 12;
  return Array.from({ length: options.intents * options.each }, (_, n) => ({
    intent: `intent-${n % options.intents}`,
    key: `example-${n}`,
    vector: about(n % options.intents, dimension, next),
  }));
}
