import { forecast, type Point } from "./forecast.ts";

/** How far off a value must be, besides being improbable, to be worth a look. */
export interface Floor {
  /** At least by so much. */
  readonly least: number;
  /** And by this factor, up or down. */
  readonly factor: number;
}

export interface Unusual {
  readonly expected: number;
  readonly usual: readonly [low: number, high: number];
  /** How many values right before it were off to the same side. */
  readonly streak: number;
}

/** A value that its history (oldest first) does not explain; null where it does, or where there is too little of it. */
export function unusual(history: readonly Point[], now: Point, floor: Floor): Unusual | null {
  const off = offBy(history, now, floor);
  if (off === null) return null;
  let streak = 0;
  for (let i = history.length - 1; i >= 0; i--, streak++) {
    if (offBy(history.slice(0, i), history[i]!, floor)?.up !== off.up) break;
  }
  return { expected: off.expected, usual: off.usual, streak };
}

function offBy(
  history: readonly Point[],
  { at, value }: Point,
  { least, factor }: Floor,
): { expected: number; usual: readonly [number, number]; up: boolean } | null {
  const usual = forecast(history, at);
  if (usual === null || value >= usual.low && value <= usual.high) return null;
  const { expected } = usual;
  const [small, large] = value < expected ? [value, expected] : [expected, value];
  if (large - small < least || large < factor * small) return null;
  return { expected, usual: [usual.low, usual.high], up: value > expected };
}

export function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

export function seconds(ms: number): string {
  return ms < 120_000 ? `${(ms / 1_000).toFixed(1)} s` : `${(ms / 60_000).toFixed(1)} min`;
}
