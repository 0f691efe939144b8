import { TopK } from "../../core/top_k.ts";
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
  /** What the user engaged with, or named, that says most for it; null if nothing does. */
  cause(campaign_id: string): Interest | null;
}

/** A campaign that a user engaged with, or only named. */
interface Interest {
  readonly campaign_id: string;
  readonly by: "conversion" | "click" | "mention";
}

/** A campaign that was only named says less than one that was chosen. */
const MENTION = 0.2;

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

  /** Goes by what {@link isInterest}, and by what the user named. */
  relatedTo(engaged: readonly Engagement[], named: readonly string[] = []): CoEngagement {
    const met = new Set(engaged.map(({ campaign_id }) => campaign_id));
    const interests: Interest[] = [
      ...engaged.filter(isInterest).map(({ campaign_id, conversions }) => ({
        campaign_id,
        by: conversions > 0 ? "conversion" as const : "click" as const,
      })),
      ...named.filter((campaign_id) => !met.has(campaign_id))
        .map((campaign_id) => ({ campaign_id, by: "mention" as const })),
    ];
    const own = interests.flatMap((interest) => {
      const place = this.places.get(interest.campaign_id);
      return place === undefined ? [] : [{ interest, place }];
    });
    if (own.length === 0) return NO_CO_ENGAGEMENT;
    const sums = this.sum(own);
    const value = (place: number | undefined) =>
      place === undefined ? 0 : Math.min(1, Math.max(0, sums[place]!));
    return {
      strongest: this.strongest(sums),
      value: (campaign_id) => value(this.places.get(campaign_id)),
      cause: (campaign_id) => this.cause(own, this.places.get(campaign_id)),
    };
  }

  private sum(own: readonly Own[]): Float64Array {
    const { starts, targets, weights } = this.weights;
    const sums = new Float64Array(this.places.size);
    for (const { interest, place } of own) {
      const share = shareOf(interest);
      for (let at = starts[place]!; at < starts[place + 1]!; at++) {
        sums[targets[at]!]! += share * weights[at]!;
      }
    }
    return sums;
  }

  private strongest(sums: Float64Array): string[] {
    const best = new TopK(MAX_CANDIDATES);
    for (let place = 0; place < sums.length; place++) {
      if (sums[place]! > 0) best.add(place, sums[place]!);
    }
    return best.list.map(({ item }) => this.weights.campaign_ids[item]!);
  }

  private cause(own: readonly Own[], target: number | undefined): Interest | null {
    let [cause, most]: [Interest | null, number] = [null, 0];
    for (const { interest, place } of target === undefined ? [] : own) {
      const weight = shareOf(interest) * this.weightOf(place, target!);
      if (weight > most) [cause, most] = [interest, weight];
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
  readonly interest: Interest;
  readonly place: number;
}

function shareOf({ by }: Interest): number {
  return by === "mention" ? MENTION : 1;
}

/** Whether engagement says what a user likes, for what is learnt from it as for what it is applied to. */
export function isInterest({ clicks, conversions, dismissals }: Engagement): boolean {
  return clicks + conversions > 0 && dismissals === 0;
}
