import { closest, distance } from "../deps.ts";

/** How much of a word may be mistyped. */
const MAX_MISTYPED = 0.4;

/** ` (did you mean "model"?)`, if one of the names is close to what was given; else an empty text. */
export function didYouMean(given: string, names: Iterable<string>): string {
  const all = [...names];
  if (all.length === 0) return "";
  const nearest = closest(given, all);
  const isNear = distance(given, nearest) <= Math.ceil(MAX_MISTYPED * given.length);
  return isNear ? ` (did you mean "${nearest}"?)` : "";
}
