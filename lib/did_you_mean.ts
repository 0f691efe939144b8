import { closest, distance } from "../deps.ts";

/** The largest edit distance, as a share of the word's length. */
const MAX_DISTANCE_SHARE = 0.4;

/** ` (did you mean "model"?)`, if one of the candidates is close to `name`; else an empty text. */
export function didYouMean(name: string, names: Iterable<string>): string {
  const candidates = [...names];
  if (candidates.length === 0) return "";
  const nearest = closest(name, candidates);
  const isClose = distance(name, nearest) <= Math.ceil(MAX_DISTANCE_SHARE * name.length);
  return isClose ? ` (did you mean "${nearest}"?)` : "";
}
