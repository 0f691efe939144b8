import type { Engagement } from "../../stores/analytics/port.ts";
import type { CampaignWeights } from "../item_item_file.ts";

/** Campaigns that it adds to the candidates. */
const MAX_CANDIDATES = 200;

/** What the user's own engagement says of other campaigns. */
export interface CoEngagement {
  /** The campaigns of which it says most, strongest first, ties by id; none if it says nothing. */
  readonly strongest: readonly string[];
  /** 0..1: how likely those who engaged with what the user did are to engage with it. */
  value(campaign_id: string): number;
  /** The user's own engagement that says most for it; null if none does. */
  cause(campaign_id: string): Engagement | null;
}

export const NO_CO_ENGAGEMENT: CoEngagement = Object.freeze({
  strongest: [],
  value: () => 0,
  cause: () => null,
});

/** Learnt weights between the campaigns of one data version, looked up by id. */
export class ItemItem {
  private readonly places: ReadonlyMap<string, number>;

  constructor(private readonly weights: CampaignWeights) {
    this.places = new Map(weights.campaign_ids.map((id, place) => [id, place]));
  }

  /** Goes by what {@link isInterest}. */
  relatedTo(engaged: readonly Engagement[]): CoEngagement {
    const own = engaged.filter(isInterest).flatMap((engagement) => {
      const place = this.places.get(engagement.campaign_id);
      return place === undefined ? [] : [{ engagement, place }];
    });
    if (own.length === 0) return NO_CO_ENGAGEMENT;
    const sums = this.sum(own.map(({ place }) => place));
    const value = (place: number | undefined) =>
      place === undefined ? 0 : Math.min(1, Math.max(0, sums[place]!));
    return {
      strongest: this.strongest(sums),
      value: (campaign_id) => value(this.places.get(campaign_id)),
      cause: (campaign_id) => this.cause(own, this.places.get(campaign_id)),
    };
  }

  private sum(places: readonly number[]): Float64Array {
    const { starts, targets, weights } = this.weights;
    const sums = new Float64Array(this.places.size);
    for (const place of places) {
      for (let at = starts[place]!; at < starts[place + 1]!; at++) sums[targets[at]!]! += weights[at]!;
    }
    return sums;
  }

  private strongest(sums: Float64Array): string[] {
    const positive: number[] = [];
    for (let place = 0; place < sums.length; place++) if (sums[place]! > 0) positive.push(place);
    return positive.sort((a, b) => sums[b]! - sums[a]! || a - b).slice(0, MAX_CANDIDATES)
      .map((place) => this.weights.campaign_ids[place]!);
  }

  private cause(own: readonly Own[], target: number | undefined): Engagement | null {
    let [cause, most]: [Engagement | null, number] = [null, 0];
    for (const { engagement, place } of target === undefined ? [] : own) {
      const weight = this.weightOf(place, target!);
      if (weight > most) [cause, most] = [engagement, weight];
    }
    return cause;
  }

  private weightOf(source: number, target: number): number {
    const { starts, targets, weights } = this.weights;
    let [from, to] = [starts[source]!, starts[source + 1]!];
    const end = to;
    while (from < to) {
      const middle = (from + to) >> 1;
      if (targets[middle]! < target) from = middle + 1;
      else to = middle;
    }
    return from < end && targets[from] === target ? weights[from]! : 0;
  }
}

interface Own {
  readonly engagement: Engagement;
  readonly place: number;
}

/** Whether engagement says what a user likes, for what is learnt from it as for what it is applied to. */
export function isInterest({ clicks, conversions, dismissals }: Engagement): boolean {
  return clicks + conversions > 0 && dismissals === 0;
}
