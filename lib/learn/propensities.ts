import { DEVIATION, listOf, PRIORS } from "../evaluate/fit_weights.ts";
import type { CandidateSet } from "../evaluate/rescore.ts";
import type { Abortable } from "../core/types.ts";
import { fitListwise, type List } from "../ml/listwise_softmax.ts";
import type { Moment } from "./user_moments.ts";

/** How often users look at each place of a list, as a share of how often they look at the first: index 0 is place 1. */
export type Propensities = readonly number[];

/** Places that differ; further ones count as the last. */
const MAX_PLACES = 25;
/** By how much the logarithm of a propensity is expected to fall from one place to the next. */
const PRIOR_FALL = 0.05;
/** No choice counts more than so many times: rare choices far down would decide alone. */
export const MAX_INVERSE = 10;

/** A list whose places are known, if it is. */
interface PlacedList extends Pick<Moment, "places" | "gains"> {
  readonly candidates: CandidateSet;
}

/**
 * The examination of places by the position-based model: a user chooses a campaign of a list with a probability in proportion to (place looked
 * at) × (campaign wanted). Both are fitted together to the choices from lists whose places are known, what is wanted as the
 * features of the campaigns give it: so what is first because this user wants it is not taken for wanted because it is first (as in
 * regression EM; Wang and others, WSDM 2018). No place is looked at more than the one before it. Empty without such lists.
 */
export async function estimatePropensities(
  queries: readonly PlacedList[],
  options: Abortable = {},
): Promise<Propensities> {
  const known = queries.filter(({ places }) => places !== null);
  const last = known.reduce((max, { places }) => Math.max(max, ...places!.values()), 0);
  const count = Math.min(MAX_PLACES, last);
  if (count === 0) return [];
  const priors = Float64Array.of(...PRIORS, ...Array(count - 1).fill(PRIOR_FALL));
  const lists = known.map((query) => withPlaces(query, count));
  const falls = (await fitListwise(lists, { priors, deviation: DEVIATION, ...options })).subarray(
    PRIORS.length,
  );
  const propensities = [1];
  for (const fall of falls) propensities.push(propensities.at(-1)! * Math.exp(-fall));
  return propensities;
}

/** The list with a feature of −1 for each place after the first that a campaign's is, or is after. */
function withPlaces({ candidates, gains, places }: PlacedList, count: number): List {
  const list = listOf(candidates, (id) => gains.get(id) ?? 0);
  const width = PRIORS.length + count - 1;
  const features = new Float32Array(list.gains.length * width);
  for (const [i, { campaign }] of [...candidates.candidates].entries()) {
    const at = i * width;
    features.set(list.features.subarray(i * PRIORS.length, (i + 1) * PRIORS.length), at);
    const place = Math.min(count, places!.get(campaign.campaign_id)!);
    features.fill(-1, at + PRIORS.length, at + PRIORS.length + place - 1);
  }
  return { features, gains: list.gains };
}

/** How many times a choice at a place counts: the inverse of the place's propensity, at most {@link MAX_INVERSE}; 1 if the place is not known. */
export function inversePropensity(propensities: Propensities, place: number | undefined): number {
  const share = place === undefined ? undefined : propensities[Math.min(place, propensities.length) - 1];
  return share === undefined ? 1 : Math.min(MAX_INVERSE, 1 / share);
}
