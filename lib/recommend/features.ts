import { type CoEngagement, NO_CO_ENGAGEMENT } from "./candidates/co_engagement.ts";
import { type IntentFeature, intentFeatures, intentShares } from "./candidates/intents.ts";
import { type ConversationFeature, conversationFeatures } from "./candidates/similar_conversations.ts";
import type { Neighbour } from "./candidates/similar_conversations.ts";
import { type SimilarityFeature, similarityFeatures } from "./candidates/similarity.ts";
import { fatigueOf } from "./fatigue.ts";
import { fatigueOfNegated } from "./negations.ts";
import type { Engagement } from "../stores/analytics/port.ts";
import type { IntentCount } from "../stores/documents/port.ts";
import type { Target } from "../stores/graph/port.ts";
import type { Hit } from "../stores/vectors/port.ts";

/** The features of one campaign, by source; undefined if the source does not know the campaign. */
export interface Features {
  readonly campaign_id: string;
  readonly similar_conversations: ConversationFeature | undefined;
  readonly wording: ConversationFeature | undefined;
  readonly co_engagement: number;
  readonly intent: IntentFeature | undefined;
  readonly similarity: SimilarityFeature | undefined;
  /** Negative evidence, the share of the score that it takes: see {@link fatigueOf} and {@link fatigueOfNegated}. */
  readonly fatigue: number;
  /** Whether the user asked for it by name. */
  readonly mention: boolean;
}

/** What the sources found for one user. */
export interface SourceResults {
  /** What the user engaged with. */
  readonly own: readonly Engagement[];
  /** Conversations of others near in meaning, and alike in words. */
  readonly neighbours: readonly Neighbour[];
  readonly wording_neighbours: readonly Neighbour[];
  readonly campaigns: readonly Hit[];
  readonly intents: readonly IntentCount[];
  readonly targets: readonly Target[];
  readonly related: CoEngagement;
  /** Campaigns that the user asked for by name. */
  readonly mentions: readonly string[];
  /** Campaigns that the user did not want or did not like, as they said. */
  readonly negated: ReadonlySet<string>;
}
export const NO_SOURCE_RESULTS: SourceResults = Object.freeze({
  own: [],
  neighbours: [],
  wording_neighbours: [],
  campaigns: [],
  intents: [],
  targets: [],
  related: NO_CO_ENGAGEMENT,
  mentions: [],
  negated: new Set<string>(),
});

/**
 * The candidates of one user: campaigns that any source found, and others that are added because they are popular or requested.
 * Each has the features of all sources.
 */
export class Candidates {
  private readonly byId = new Map<string, Features>();
  private readonly conversations: ReadonlyMap<string, ConversationFeature>;
  private readonly wording: ReadonlyMap<string, ConversationFeature>;
  private readonly intents: ReadonlyMap<string, IntentFeature>;
  private readonly fatigue: ReadonlyMap<string, number>;
  private readonly similar: ReadonlyMap<string, SimilarityFeature>;
  private readonly mentions: ReadonlySet<string>;

  /** `now`, in epoch milliseconds, bounds the times that are believed. */
  constructor(private readonly results: SourceResults, now: number) {
    this.conversations = conversationFeatures(results.neighbours);
    this.wording = conversationFeatures(results.wording_neighbours);
    this.intents = intentFeatures(intentShares(results.intents, now), results.targets);
    this.similar = similarityFeatures(results.campaigns);
    this.fatigue = new Map(results.own.map((engagement) => [engagement.campaign_id, fatigueOf(engagement)]));
    this.mentions = new Set(results.mentions);
    for (const features of [this.conversations, this.wording, this.intents, this.similar, this.mentions]) {
      this.add(features.keys());
    }
    this.add(results.related.strongest);
  }

  get size(): number {
    return this.byId.size;
  }

  /** Adds these campaigns, with what the sources know of them. */
  add(campaign_ids: Iterable<string>): void {
    for (const campaign_id of campaign_ids) {
      if (this.byId.has(campaign_id)) continue;
      this.byId.set(campaign_id, {
        campaign_id,
        similar_conversations: this.conversations.get(campaign_id),
        wording: this.wording.get(campaign_id),
        co_engagement: this.results.related.value(campaign_id),
        intent: this.intents.get(campaign_id),
        similarity: this.similar.get(campaign_id),
        fatigue: this.results.negated.has(campaign_id)
          ? fatigueOfNegated(this.fatigue.get(campaign_id) ?? 0)
          : this.fatigue.get(campaign_id) ?? 0,
        mention: this.mentions.has(campaign_id),
      });
    }
  }

  get(campaign_id: string): Features | undefined {
    return this.byId.get(campaign_id);
  }

  all(): Iterable<Features> {
    return this.byId.values();
  }
}
