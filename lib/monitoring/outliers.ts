import { forecast, type Observation } from "./forecast.ts";

/** How far off a value must be, besides being improbable, to be worth a look. */
interface Floor {
  /** At min_difference by so much. */
  readonly min_difference: number;
  /** And by this factor, up or down. */
  readonly factor: number;
}

interface Outlier {
  readonly expected: number;
  readonly usual: readonly [low: number, high: number];
  /** How many values right before it were off to the same side. */
  readonly streak: number;
}

/** A value that its history (oldest first) does not explain; null if it does, or if the history is too short. */
export function findOutlier(history: readonly Observation[], now: Observation, floor: Floor): Outlier | null {
  const off = offBy(history, now, floor);
  if (off === null) return null;
  let streak = 0;
  for (let i = history.length - 1; i >= 0; i--, streak++) {
    if (offBy(history.slice(0, i), history[i]!, floor)?.up !== off.up) break;
  }
  return { expected: off.expected, usual: off.usual, streak };
}

function offBy(
  history: readonly Observation[],
  { at, value }: Observation,
  { min_difference, factor }: Floor,
): { expected: number; usual: readonly [number, number]; up: boolean } | null {
  const usual = forecast(history, at);
  if (usual === null || value >= usual.low && value <= usual.high) return null;
  const { expected } = usual;
  const [small, large] = value < expected ? [value, expected] : [expected, value];
  if (large - small < min_difference || large < factor * small) return null;
  return { expected, usual: [usual.low, usual.high], up: value > expected };
}

export function seconds(ms: number): string {
  return ms < 120_000 ? `${(ms / 1_000).toFixed(1)} s` : `${(ms / 60_000).toFixed(1)} min`;
}
