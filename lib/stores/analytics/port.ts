import type {
  Abortable,
  Campaign,
  DirtyUser,
  EngagementEvent,
  Health,
  HealthOptions,
  Kind,
  Published,
  WriteCounts,
} from "../../core/types.ts";
import type { WordCounts } from "../../core/text.ts";

/** How many events of each type there were. */
export interface EngagementCounts {
  readonly impressions: number;
  readonly clicks: number;
  readonly conversions: number;
  readonly dismissals: number;
}

/** All that one user did with one campaign. `last` is the time of the newest event. */
export interface Engagement extends EngagementCounts {
  readonly user_id: string;
  readonly campaign_id: string;
  readonly last: string;
}

/** A campaign that one user dismissed or converted on. */
export interface FinalEngagement {
  readonly campaign_id: string;
  /** Time of the newest conversion; null if there is none. */
  readonly converted_at: string | null;
  readonly dismissals: number;
  /** The campaign's own; null if it has none, or is not in the catalogue. */
  readonly repurchase_days: number | null;
}

/** All that everybody did with one campaign, and its popularity under one data version (0..1, best is 1). */
export interface CampaignStats extends EngagementCounts {
  readonly campaign_id: string;
  readonly popularity: number;
}

/** How many events of each type there were on one UTC day, `YYYY-MM-DD`. */
export interface EngagementDay extends EngagementCounts {
  readonly day: string;
}

/** How many events of each type one campaign had within a span of time. */
export type CampaignEngagement = Omit<CampaignStats, "popularity">;

/** The same for one strategy, as events name it in their metadata; null for those that name none. */
export type StrategyEngagement = Omit<CampaignEngagement, "campaign_id"> & {
  readonly strategy: string | null;
};

/** What a user said lately, as words, and the campaigns that they named in it. */
export interface ProfileWords {
  readonly user_id: string;
  readonly words: WordCounts;
  readonly named: readonly string[];
}

/** What was said in a conversation that led to engagement, by both sides, as words. */
export interface ConversationWords {
  readonly conversation_id: string;
  readonly user_id: string;
  readonly words: WordCounts;
  /** Campaigns that the user named before any was shown, and those of them that were shown later on. */
  readonly named: number;
  readonly named_shown: number;
}

/** The file of a data version that is made from what users said. It goes when users are erased. */
export const WORDING_FILE = "wording";

/** What {@link AnalyticsStore.buildStats} is told. */
export interface BuildStats extends Abortable {
  readonly version: number;
  readonly half_life_days: number;
  /** ISO time: no event can have happened after it, whatever its timestamp says. */
  readonly latest: string;
}

/** An input source as it was when a published run last read it. */
export interface SourceRecord {
  readonly kind: Kind;
  readonly uri: string;
  readonly sha256: string;
  readonly rows: number;
  readonly run_id: string;
  readonly at: string;
}

/** Events that name a campaign which is not in the catalogue. They count once it is. */
export interface UnknownCampaigns {
  readonly events: number;
  readonly campaigns: number;
  /** Ids of those with most events, most first, ties by id. */
  readonly examples: readonly string[];
}

export interface AnalyticsCounts {
  readonly campaigns: number;
  readonly events: number;
  readonly users: number;
}

/** Campaigns, engagement, and which data version is published. */
export interface AnalyticsStore {
  upsertCampaigns(options: { campaigns: readonly Campaign[] } & Abortable): Promise<WriteCounts>;
  /**
   * Inserts or replaces by `event_id`. Users of inserted or changed rows become touched, and their epoch is raised,
   * in the same transaction.
   */
  upsertEvents(options: { events: readonly EngagementEvent[] } & Abortable): Promise<WriteCounts>;
  listDirtyUsers(options: { after: string | null; limit: number } & Abortable): Promise<DirtyUser[]>;
  /** Marks all users with events here as dirty, as if they were new. */
  markAllDirty(options?: Abortable): Promise<void>;
  clearDirty(options: { touched: readonly DirtyUser[] } & Abortable): Promise<void>;
  /** Users with events in ascending id, after `after`. */
  users(options: { after: string | null; limit: number } & Abortable): Promise<string[]>;
  /** Recount of events for these users, in ascending user and campaign. */
  engagement(options: { user_ids: readonly string[] } & Abortable): Promise<Engagement[]>;
  /** The newest `limit` events of each of these users, in ascending user, time and id. */
  eventsOf(options: { user_ids: readonly string[]; limit: number } & Abortable): Promise<EngagementEvent[]>;
  /** These campaigns, whichever exist, in ascending id. */
  campaigns(options: { campaign_ids: readonly string[] } & Abortable): Promise<Campaign[]>;
  /** Campaigns in ascending id, after `after`. */
  campaignPage(options: { after: string | null; limit: number } & Abortable): Promise<Campaign[]>;
  /** Stats under a data version, for these campaigns; a campaign nobody met has zeros. Ascending id. */
  stats(options: { version: number; campaign_ids: readonly string[] } & Abortable): Promise<CampaignStats[]>;
  /** The most popular campaigns under a data version, best first, ties by id. */
  popular(options: { version: number; limit: number } & Abortable): Promise<CampaignStats[]>;
  /** Events by UTC day from `since` to before `until` (ISO times), in ascending day; a day without events has no row. */
  daily(options: { since: string; until: string } & Abortable): Promise<EngagementDay[]>;
  /**
   * Events by campaign from `since` to before `until` (ISO times): of the `limit` campaigns with most events, most first,
   * ties by id. It walks an index over all events, so ask it seldom.
   */
  byCampaign(
    options: { since: string; until: string; limit: number } & Abortable,
  ): Promise<CampaignEngagement[]>;
  /** Events by the strategy of the answer that led to them, in the same span, those with most events first. */
  byStrategy(
    options: { since: string; until: string; limit: number } & Abortable,
  ): Promise<StrategyEngagement[]>;
  /** What this user dismissed or converted on, read live, in ascending campaign. */
  finalEngagement(options: { user_id: string } & Abortable): Promise<FinalEngagement[]>;
  /** Grows with every write for that user; 0 for an unknown one. */
  epoch(options: { user_id: string } & Abortable): Promise<number>;
  /**
   * Builds stats and popularity for a version that is not published yet, replacing an earlier attempt at it.
   * Events count by a half-life back from the newest event up to `latest`, so equal input gives equal stats; one from
   * after `latest` counts as if it were of that day.
   */
  buildStats(options: BuildStats): Promise<{ campaigns: number }>;
  /** Makes these users' words exactly the given ones. */
  setWords(
    options: {
      user_ids: readonly string[];
      profiles: readonly ProfileWords[];
      conversations: readonly ConversationWords[];
    } & Abortable,
  ): Promise<void>;
  /** The words of one user; null if they said nothing. */
  profileWords(options: { user_id: string } & Abortable): Promise<ProfileWords | null>;
  /** The words of conversations in ascending `conversation_id`, after `after`. */
  conversationWords(
    options: { after: string | null; limit: number } & Abortable,
  ): Promise<ConversationWords[]>;
  /**
   * Keeps a file of a version that is not published yet, such as learnt weights, and replaces the one that an earlier
   * attempt saved once the new one is whole. Of a published version or an older one it is a `conflict`. Erasing users
   * removes {@link WORDING_FILE} of every version; other files stay, so they hold nothing that is one user's.
   */
  saveFile(options: { version: number; name: string; bytes: Uint8Array } & Abortable): Promise<void>;
  /** The whole file, at the start of a buffer of its own; null if that version has none of that name. */
  file(options: { version: number; name: string } & Abortable): Promise<Uint8Array<ArrayBuffer> | null>;
  published(options?: Abortable): Promise<Published | null>;
  /**
   * Makes a version the published one and records the sources that it was made from, in one transaction, and drops stats
   * and files of versions other than it and the one before. Publishing the published version again changes nothing; an older one is a
   * `conflict`.
   */
  publish(
    options: { published: Omit<Published, "previous">; sources: readonly SourceRecord[] } & Abortable,
  ): Promise<Published>;
  /** The record of a source, or null if no published run read it. */
  source(options: { kind: Kind; uri: string } & Abortable): Promise<SourceRecord | null>;
  sources(options?: Abortable): Promise<SourceRecord[]>;
  forgetSources(options: { uris: readonly string[] } & Abortable): Promise<void>;
  /** Removes events, words, touches and epochs of these users; returns how many events went. */
  deleteUsers(options: { user_ids: readonly string[] } & Abortable): Promise<number>;
  deleteCampaigns(options: { campaign_ids: readonly string[] } & Abortable): Promise<number>;
  counts(options?: Abortable): Promise<AnalyticsCounts>;
  /** It walks an index over all events, so ask it seldom. `limit` bounds the examples. */
  unknownCampaigns(options: { limit: number } & Abortable): Promise<UnknownCampaigns>;
  /** Hash of all campaigns and events, independent of order, versions and write time. */
  digest(options?: Abortable): Promise<string>;
  health(options?: HealthOptions): Promise<Health>;
  close(): Promise<void>;
}
