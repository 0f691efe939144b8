import { DAY_MS } from "../core/clock.ts";

/** A measurement. `at` is epoch milliseconds. */
export interface Observation {
  readonly at: number;
  readonly value: number;
}

/** With fewer earlier measurements nothing is said: a scale of less is worth nothing. */
export const MIN_HISTORY = 8;
/** Minimum number of earlier measurements of a weekday to compare it with itself. */
const MIN_WEEKDAY = 3;
/** Measurements that are looked back at: four weeks of nightly runs and a half, so that old times lose their say. */
export const WINDOW = 42;
/** Robust standard deviations beyond which a measurement is unusual, with a long history. */
const LIMIT = 3.5;
/** Pairs of equal weekdays that it takes to tell growth from noise: those of three weeks. */
const MIN_SLOPES = 21;
/** Scales below this, on the logarithm, are taken for it: 3 % of jitter are in everything. */
const MIN_SCALE = 0.03;

/** What a measurement should be, by the ones before. */
interface Forecast {
  readonly expected: number;
  readonly low: number;
  readonly high: number;
}

/**
 * What a positive measurement at `at` should be. On the logarithm, as rows and durations vary by factors: a robust line
 * (the median of the slopes between equal weekdays, as by Theil and Sen, so that the weekly pattern cancels out), on
 * it the median of the same weekday's residuals if there are three, else of all. `low` and `high` lie 3.5 robust
 * standard deviations off, more with a short history. Null with fewer than {@link MIN_HISTORY} points.
 *
 * The method is the modified z-score (Iglewicz and Hoaglin, How to Detect and Handle Outliers, 1993) in a moving
 * window, as Hampel's filter. Its scale is not the MAD about the weekday's median, which of three values is far too
 * small, but the median distance between two equal weekdays, which needs no centre (after Rousseeuw and Croux,
 * Alternatives to the Median Absolute Deviation, JASA 88, 1993); for normal noise it is 0.954 σ.
 */
export function forecast(history: readonly Observation[], at: number): Forecast | null {
  const points = history.slice(-WINDOW).map((point) => ({ at: point.at - at, y: Math.log1p(point.value) }));
  if (points.length < MIN_HISTORY) return null;
  const days = Map.groupBy(points, (point) => weekday(point.at + at));
  const slope = weeklySlope([...days.values()]);
  const levels = new Map(
    Array.from(days, ([day, of]) => [day, of.map((point) => point.y - slope * point.at)]),
  );
  const same = levels.get(weekday(at)) ?? [];
  const weekly = same.length >= MIN_WEEKDAY;
  const all = [...levels.values()].flat();
  const centre = median(weekly ? same : all);
  const reach = LIMIT * (1 + 8 / points.length) *
    Math.max(MIN_SCALE, scale(weekly ? [...levels.values()] : [all]));
  // Two days in seven are too few for the scale to see: what came before is no surprise until weekdays are known.
  const [low, high] = weekly
    ? [centre, centre]
    : [Math.min(...all) + reach / 2, Math.max(...all) - reach / 2];
  return {
    expected: Math.expm1(centre),
    low: Math.max(0, Math.expm1(Math.min(centre, low) - reach)),
    high: Math.expm1(Math.max(centre, high) + reach),
  };
}

/** Per millisecond; 0 with too few pairs of equal weekdays to distinguish it from noise. */
function weeklySlope(days: readonly (readonly { at: number; y: number }[])[]): number {
  const slopes = days.flatMap((day) =>
    pairs(day).flatMap(([a, b]) => Math.abs(a.at - b.at) < DAY_MS ? [] : [(a.y - b.y) / (a.at - b.at)])
  );
  return slopes.length < MIN_SLOPES ? 0 : median(slopes);
}

/** Median distance between two measurements of one group, as a standard deviation. */
function scale(groups: readonly (readonly number[])[]): number {
  return median(groups.flatMap((group) => pairs(group).map(([a, b]) => Math.abs(a - b)))) / 0.954;
}

function pairs<T>(values: readonly T[]): [T, T][] {
  return values.flatMap((a, i) => values.slice(0, i).map((b): [T, T] => [a, b]));
}

/** UTC; 0 is Thursday, the day on which the epoch began. */
function weekday(at: number): number {
  return Math.floor(at / DAY_MS) % 7;
}

/** A count out of a total, such as clicks out of impressions. */
export interface ShareCount {
  readonly part: number;
  readonly whole: number;
}

/**
 * What a share should be: the median of the earlier shares, with bounds that leave room for how much they vary (MAD) and
 * for how much a count out of this `whole` varies by chance (binomial). Null with fewer than {@link MIN_HISTORY}.
 */
export function forecastShare(history: readonly ShareCount[], whole: number): Forecast | null {
  const shares = history.filter((one) => one.whole > 0).slice(-WINDOW).map((one) => one.part / one.whole);
  if (shares.length < MIN_HISTORY || whole === 0) return null;
  const expected = median(shares);
  const mad = 1.4826 * median(shares.map((one) => Math.abs(one - expected)));
  // As if one more of each had been seen, so that a share that was always 0 has a variance too.
  const p = (expected * whole + 1) / (whole + 2);
  const reach = LIMIT * (1 + 8 / shares.length) * Math.max(mad, Math.sqrt(p * (1 - p) / whole));
  return { expected, low: Math.max(0, expected - reach), high: Math.min(1, expected + reach) };
}

/** Of no values, 0. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** By linear interpolation between the two nearest (Hyndman and Fan's type 7). Of no values, 0. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const place = q * (sorted.length - 1);
  const below = sorted[Math.floor(place)] ?? 0;
  const above = sorted[Math.ceil(place)] ?? 0;
  return below + (above - below) * (place - Math.floor(place));
}
