import type { EngagementEvent, Message } from "../core/types.ts";
import type { Negation } from "../stores/analytics/port.ts";
import type { CampaignConditions } from "./showable.ts";

/** Requests for recommendations and the answer to them, as documented. */

/** Where evidence for a campaign comes from. */
export const SOURCES = [
  "mention",
  "similar_conversations",
  "wording",
  "co_engagement",
  "intent",
  "similarity",
  "popularity",
] as const;
export type Source = typeof SOURCES[number];

/** Evidence by source, each 0..1 on a scale of its own that is the same for all users, in four decimals. */
export type Sources = Readonly<Record<Source, number>>;

export interface PageOptions extends CampaignConditions {
  /** At most so many items, 1..100. */
  readonly k: number;
  /** Campaigns that are not wanted, such as those in a basket. */
  readonly exclude?: readonly string[] | undefined;
  /** How much a campaign's score is lowered for others of its kind before it, 0..1. */
  readonly diversity?: number | undefined;
  /** The `recommendation_id` of the page before: what that and earlier pages showed is left out. */
  readonly cursor?: string | undefined;
}

export interface RecommendationRequest extends PageOptions {
  readonly user_id: string;
}

/** What a user said and did, as it comes with a request. */
export interface PostedRows {
  readonly messages: readonly Message[];
  readonly events: readonly EngagementEvent[];
}

/** A request with rows that are not stored, alone or as the newest of a stored user. */
export interface PostedRequest extends PageOptions, PostedRows {
  readonly user_id: string | null;
}

/** Why an item is shown. `facts` are what the sentence states; neither names another user or quotes a message. */
export type Reason =
  | { readonly code: "mention"; readonly facts: Record<never, never>; readonly text: string }
  | {
    readonly code: "similar_conversations" | "wording";
    /** Other users, each counted once, by their furthest step. */
    readonly facts: { readonly converted: number; readonly clicked: number; readonly shown: number };
    readonly text: string;
  }
  | {
    readonly code: "co_engagement";
    /** The campaign that the user engaged with or named, and how. `title` is null if it is no longer in the catalogue. */
    readonly facts: {
      readonly campaign_id: string;
      readonly title: string | null;
      readonly engagement: "conversion" | "click" | "mention";
    };
    readonly text: string;
  }
  | {
    readonly code: "intent";
    /** The asking user's own intents that the campaign answers, and their share of all that user's intents. */
    readonly facts: { readonly intents: readonly string[]; readonly share: number };
    readonly text: string;
  }
  | {
    readonly code: "similarity";
    /** Place of the campaign among those nearest to the user's profile, from 1. */
    readonly facts: { readonly rank: number };
    readonly text: string;
  }
  | {
    readonly code: "exploration";
    /** All users' events with the campaign, too few to know how good it is. */
    readonly facts: { readonly impressions: number; readonly clicks: number };
    readonly text: string;
  }
  | {
    readonly code: "popular";
    /** All users' events with the campaign. */
    readonly facts: { readonly conversions: number; readonly clicks: number; readonly impressions: number };
    readonly text: string;
  };

export interface Item {
  readonly campaign_id: string;
  readonly title: string;
  readonly category: string | null;
  /** Weighted geometric mean of `sources`, less the share `fatigue` of it, 0..1. Items are not strictly in its order: variety counts too. */
  readonly score: number;
  readonly sources: Sources;
  /** Above 0 if it was shown to the user repeatedly and never clicked, or if they did not want it in an earlier conversation. */
  readonly fatigue: number;
  /** One to three, the weightiest first. */
  readonly reasons: readonly Reason[];
}

/** `popular` if nothing is known of the user, or nothing counts because they are in the control arm; else `personal`. */
type Strategy = "personal" | "popular";

/** A store whose part may be missing from an answer, or the embedding model's; `time` if requests before it took the time. */
export type AnswerStore = "vectors" | "graph" | "analytics" | "documents" | "embeddings" | "time";

/** An answer to a stored user. */
export interface UserAnswer extends Answer {
  readonly user_id: string;
}

export interface Answer {
  /** Null for a conversation of no stored user. */
  readonly user_id: string | null;
  /** Names what the answer was made from: events may carry it, and the next page is asked for by it. Null if it could not be signed. */
  readonly recommendation_id: string | null;
  readonly strategy: Strategy;
  /** The name of the arm that the user is in: see `Arms`. */
  readonly arm: string;
  /** The source that adds most to the items together; null without items. */
  readonly led_by: Source | null;
  /** The data version that it was computed from; null if analytics did not respond. */
  readonly version: number | null;
  /** When it was computed, which for a cached answer is in the past. */
  readonly generated_at: string;
  /** What the user said that they do not want in a conversation that is not over: its campaigns are left out. */
  readonly vetoes: readonly Negation[];
  /** What is missing; empty for a whole answer. */
  readonly degraded: readonly AnswerStore[];
  /** The most worth showing first. */
  readonly items: readonly Item[];
}
