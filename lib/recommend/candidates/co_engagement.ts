import { TopK } from "../../core/top_k.ts";
import type { Engagement } from "../../stores/analytics/port.ts";
import type { CampaignWeights } from "../item_item_file.ts";

/** The most campaigns that it adds to the candidates. */
const MAX_CANDIDATES = 200;

/** Co-engagement of the user's campaigns with others. */
export interface CoEngagement {
  /** The campaigns with the highest values, strongest first, ties by id. */
  readonly strongest: readonly string[];
  /** 0..1: how likely those who engaged with what the user did are to engage with it. */
  value(campaign_id: string): number;
  /** The campaign of the user's engagement or mentions that contributes most to it; null if none does. */
  cause(campaign_id: string): Interest | null;
}

/** A campaign that a user engaged with, or only named. */
interface Interest {
  readonly campaign_id: string;
  readonly by: "conversion" | "click" | "mention";
}

/** The weight of a campaign that was only named, compared with one that was chosen. */
const MENTION_SHARE = 0.2;

export const NO_CO_ENGAGEMENT: CoEngagement = Object.freeze({
  strongest: [],
  value: () => 0,
  cause: () => null,
});

/** Learnt weights between the campaigns of one data version, looked up by id. */
export class ItemItem {
  private readonly indexes: ReadonlyMap<string, number>;

  constructor(private readonly weights: CampaignWeights) {
    this.indexes = new Map(weights.campaign_ids.map((id, index) => [id, index]));
  }

  /** Uses engagement that {@link isInterest}, and campaigns that the user named. */
  relatedTo(engaged: readonly Engagement[], named: readonly string[] = []): CoEngagement {
    const engagedIds = new Set(engaged.map(({ campaign_id }) => campaign_id));
    const interests: Interest[] = [
      ...engaged.filter(isInterest).map(({ campaign_id, conversions }) => ({
        campaign_id,
        by: conversions > 0 ? "conversion" as const : "click" as const,
      })),
      ...named.filter((campaign_id) => !engagedIds.has(campaign_id))
        .map((campaign_id) => ({ campaign_id, by: "mention" as const })),
    ];
    const indexed = interests.flatMap((interest) => {
      const index = this.indexes.get(interest.campaign_id);
      return index === undefined ? [] : [{ interest, index }];
    });
    if (indexed.length === 0) return NO_CO_ENGAGEMENT;
    const sums = this.sum(indexed);
    const value = (index: number | undefined) =>
      index === undefined ? 0 : Math.min(1, Math.max(0, sums[index]!));
    return {
      strongest: this.strongest(sums),
      value: (campaign_id) => value(this.indexes.get(campaign_id)),
      cause: (campaign_id) => this.cause(indexed, this.indexes.get(campaign_id)),
    };
  }

  private sum(indexed: readonly IndexedInterest[]): Float64Array {
    const { offsets, targets, weights } = this.weights;
    const sums = new Float64Array(this.indexes.size);
    for (const { interest, index } of indexed) {
      const share = shareOf(interest);
      for (let entry = offsets[index]!; entry < offsets[index + 1]!; entry++) {
        sums[targets[entry]!]! += share * weights[entry]!;
      }
    }
    return sums;
  }

  private strongest(sums: Float64Array): string[] {
    const best = new TopK(MAX_CANDIDATES);
    for (let index = 0; index < sums.length; index++) {
      if (sums[index]! > 0) best.add(index, sums[index]!);
    }
    return best.list.map(({ item }) => this.weights.campaign_ids[item]!);
  }

  private cause(indexed: readonly IndexedInterest[], target: number | undefined): Interest | null {
    let [cause, maxWeight]: [Interest | null, number] = [null, 0];
    for (const { interest, index } of target === undefined ? [] : indexed) {
      const weight = shareOf(interest) * this.weightOf(index, target!);
      if (weight > maxWeight) [cause, maxWeight] = [interest, weight];
    }
    return cause;
  }

  private weightOf(source: number, target: number): number {
    const { offsets, targets, weights } = this.weights;
    let [low, high] = [offsets[source]!, offsets[source + 1]!];
    const end = high;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (targets[middle]! < target) low = middle + 1;
      else high = middle;
    }
    return low < end && targets[low] === target ? weights[low]! : 0;
  }
}

interface IndexedInterest {
  readonly interest: Interest;
  readonly index: number;
}

function shareOf({ by }: Interest): number {
  return by === "mention" ? MENTION_SHARE : 1;
}

/** Whether engagement shows what a user likes, both for learning and for answers. */
export function isInterest({ clicks, conversions, dismissals }: Engagement): boolean {
  return clicks + conversions > 0 && dismissals === 0;
}
