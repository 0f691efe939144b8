import type { Example } from "../../../lib/intents/fit.ts";
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
export function examples(o: { intents: number; each: number; dimension?: number; seed?: number }): Example[] {
  const next = random(o.seed ?? 1);
  const dimension = o.dimension ?? 12;
  return Array.from({ length: o.intents * o.each }, (_, n) => ({
    intent: `intent-${n % o.intents}`,
    key: `example-${n}`,
    vector: about(n % o.intents, dimension, next),
  }));
}
