/** What is asked and what comes back: the one documented shape of `GET /recommendations/:user_id`. */

/** Where evidence for a campaign comes from. */
export const SOURCES = ["similar_users", "intent", "similarity", "popularity"] as const;
export type Source = typeof SOURCES[number];

/** Evidence by source, each 0..1 and rounded to four decimals; 0 where a source says nothing. */
export type Sources = Readonly<Record<Source, number>>;

export interface Question {
  readonly user_id: string;
  /** At most so many items, 1..100. */
  readonly k: number;
  /** Only campaigns that target this intent, where given. */
  readonly intent?: string;
}

/**
 * Why an item is shown. `facts` are what the sentence rests on; neither ever names another user or quotes anybody.
 * Users are counted once each, by the furthest they went.
 */
export type Reason =
  | {
    readonly code: "similar_users";
    readonly facts: { readonly converted: number; readonly clicked: number; readonly shown: number };
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
    readonly code: "popular";
    /** Everybody's events with the campaign. */
    readonly facts: { readonly conversions: number; readonly clicks: number; readonly impressions: number };
    readonly text: string;
  };

export interface Item {
  readonly campaign_id: string;
  readonly title: string;
  readonly category: string | null;
  /** Blend of `sources`, 0..1. Items are not strictly in its order: variety counts too. */
  readonly score: number;
  readonly sources: Sources;
  /** One to three, the weightiest first. */
  readonly reasons: readonly Reason[];
}

/** `popular` where nothing was known of the user, or nothing that led to a campaign; else `personal`. */
export type Strategy = "personal" | "popular";

/** A store whose part may be missing from an answer. */
export type Part = "vectors" | "graph" | "analytics";

export interface Answer {
  readonly user_id: string;
  readonly strategy: Strategy;
  /** The data version that it was made from; null where analytics could not tell. */
  readonly version: number | null;
  /** When it was made, which for a cached answer lies in the past. */
  readonly generated_at: string;
  /** Stores whose part is missing; empty for a whole answer. */
  readonly degraded: readonly Part[];
  /** The most worth showing first. */
  readonly items: readonly Item[];
}
