import type {
  Abortable,
  Campaign,
  EngagementEvent,
  Health,
  HealthOptions,
  Kind,
  OnOutcome,
  PageOptions,
  Published,
  WriteCounts,
} from "../../core/types.ts";
import type { WordCounts } from "../../core/text.ts";
import type { DirtyUserStore } from "../documents/port.ts";
import type { StoredTables } from "../runs/port.ts";
import type { TombstoneStore } from "../tombstones/port.ts";
import type { BulkWriter } from "../bulk/port.ts";

/** How many events of each type there were. */
export interface EngagementCounts {
  readonly impressions: number;
  readonly clicks: number;
  readonly conversions: number;
  readonly dismissals: number;
}

/** One user's events with one campaign. `last` is the time of the newest. */
export interface Engagement extends EngagementCounts {
  readonly user_id: string;
  readonly campaign_id: string;
  readonly last: string;
}

/** A campaign that one user dismissed or converted on. */
export interface FinalEngagement {
  readonly campaign_id: string;
  /** Time of the newest conversion; null without a conversion. */
  readonly converted_at: string | null;
  readonly dismissals: number;
  /** The campaign's; null if it has none, or is not in the catalogue. */
  readonly repurchase_days: number | null;
}

/** All users' events with one campaign, and its popularity under one data version (0..1, best is 1). */
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

/** An event with the arm of the answer that its `recommendation_id` names, if that is checked. It is no part of the event: reading does not give it. */
export interface AssignedEvent extends EngagementEvent {
  readonly arm?: string | null;
}

/** What the users of some arms did with campaigns of answers in these arms: of those to whom one was shown. */
export interface ArmEngagement extends EngagementCounts {
  readonly users: number;
  /** Those of them with a click, and with a conversion. */
  readonly clicked: number;
  readonly converted: number;
}

/** A campaign, by its id, or a category or tag that a user does not want or did not like, as they said. */
export interface Negation {
  readonly of: "campaign" | "category" | "tag";
  readonly name: string;
  /** When the conversation in which they said so is over (ISO 8601), unless they say more in it. */
  readonly until: string;
}

/** The words of a user's newest messages, and what the user named and negated in them. */
export interface ProfileWords {
  readonly user_id: string;
  readonly words: WordCounts;
  /** Campaigns. */
  readonly named: readonly string[];
  readonly negations: readonly Negation[];
}

/** The words of both sides of a conversation that led to engagement. */
export interface ConversationWords {
  readonly conversation_id: string;
  readonly user_id: string;
  readonly words: WordCounts;
  /** How many campaigns the user named before any was shown, and how many of them were shown later. */
  readonly named: number;
  readonly named_shown: number;
}

/** The file of a data version that is made from what users said. Erasing users removes it. */
export const WORDING_FILE = "wording";

export interface BuildStatsOptions extends Abortable {
  readonly version: number;
  readonly half_life_days: number;
  /** ISO time after which no event can have happened, whatever its timestamp says. */
  readonly latest: string;
}

/** An input source at the time when a published run last read it. */
export interface SourceRecord {
  readonly kind: Kind;
  readonly uri: string;
  readonly sha256: string;
  readonly rows: number;
  readonly run_id: string;
  readonly at: string;
}

/** Events that name a campaign which is not in the catalogue. They count as soon as it is. */
export interface UnknownCampaigns {
  readonly events: number;
  readonly campaigns: number;
  /** Ids of campaigns with most events, most first, ties by id. */
  readonly examples: readonly string[];
}

export interface AnalyticsCounts {
  readonly campaigns: number;
  readonly events: number;
  readonly users: number;
}

/** From `since` to before `until`, as ISO times. */
export interface TimeSpan extends Abortable {
  readonly since: string;
  readonly until: string;
}

export interface VersionFile extends Abortable {
  readonly version: number;
  readonly name: string;
}

export interface PublishOptions extends Abortable {
  readonly published: Omit<Published, "previous">;
  /** The sources that the version was made from. */
  readonly sources: readonly SourceRecord[];
}

export interface SetWordsOptions extends Abortable {
  readonly user_ids: readonly string[];
  readonly profiles: readonly ProfileWords[];
  readonly conversations: readonly ConversationWords[];
}

/** What to search the catalogue for: campaigns that have all of these. */
export interface CampaignSearch {
  /** Each begins a word of the id, the title, an alias, the description, the category, a tag or an intent. In the form of `wordsOf()`. */
  readonly words?: readonly string[] | undefined;
  readonly category?: string | undefined;
  readonly intent?: string | undefined;
  readonly status?: Campaign["status"] | undefined;
}

/** Numbers that grow with every write for a user, 0 for an unknown one, and for the catalogue. None is used twice. */
export interface Epochs {
  readonly user: number;
  readonly catalogue: number;
}

export interface RaiseEpochsOptions extends Abortable {
  readonly user_ids: readonly string[];
  readonly campaign_ids: readonly string[];
  readonly all?: boolean;
}

export interface CampaignStore {
  /** Inserts or replaces by `campaign_id`. Raises the catalogue's epoch in the same transaction if anything changed. */
  upsertCampaigns(
    options: { campaigns: readonly Campaign[]; onOutcome?: OnOutcome | undefined } & Abortable,
  ): Promise<WriteCounts>;
  /**
   * Replaces a campaign by what `change` makes of it, in one transaction, so that no other write comes in between; null if there is
   * none. Raises the catalogue's epoch as {@link upsertCampaigns}. What `change` throws is thrown, and nothing is written; it may
   * run again.
   */
  changeCampaign(
    options: { campaign_id: string; change: (before: Campaign) => Campaign } & Abortable,
  ): Promise<Campaign | null>;
  /** Ids of campaigns that were written since the catalogue had this epoch, the newest first. */
  changedCampaigns(options: { since: number; limit: number } & Abortable): Promise<string[]>;
  /** Those of these campaigns that exist, in ascending id. */
  campaigns(options: { campaign_ids: readonly string[] } & Abortable): Promise<Campaign[]>;
  /** Campaigns in ascending id; with a search only those. It may read the whole catalogue, in parts that let other work run. */
  campaignPage(options: PageOptions & { search?: CampaignSearch }): Promise<Campaign[]>;
  deleteCampaigns(options: { campaign_ids: readonly string[] } & Abortable): Promise<number>;
}

/** What users did with campaigns. */
export interface EventStore extends DirtyUserStore {
  /**
   * Inserts or replaces by `event_id`. Marks users of inserted or changed rows as dirty, and raises their epoch, in the
   * same transaction.
   */
  upsertEvents(
    options: { events: readonly AssignedEvent[]; onOutcome?: OnOutcome | undefined } & Abortable,
  ): Promise<WriteCounts>;
  /** Users with events, in ascending id. */
  users(options: PageOptions): Promise<string[]>;
  /** Recount of events for these users, in ascending user and campaign. */
  engagement(options: { user_ids: readonly string[] } & Abortable): Promise<Engagement[]>;
  /** The newest `limit` events of each of these users, in ascending user, time and id. */
  eventsOf(options: { user_ids: readonly string[]; limit: number } & Abortable): Promise<EngagementEvent[]>;
  /** All events of one user, in ascending id. */
  eventPage(options: PageOptions & { user_id: string }): Promise<EngagementEvent[]>;
  /** Events by UTC day, in ascending day, of all campaigns or of one; a day without events has no row. */
  daily(options: TimeSpan & { campaign_id?: string }): Promise<EngagementDay[]>;
  /** Events by campaign: the `limit` campaigns with most events, most first, ties by id. It reads an index over all events. */
  byCampaign(options: TimeSpan & { limit: number }): Promise<CampaignEngagement[]>;
  /** Events by the strategy of the answer that led to them, of all campaigns or of one, those with most events first. */
  byStrategy(options: TimeSpan & { limit: number; campaign_id?: string }): Promise<StrategyEngagement[]>;
  /**
   * The users of these arms together, each counted once, without those who opted out of personalisation. It reads an index over all events
   * of the arms, in parts that let other work run.
   */
  armEngagement(options: TimeSpan & { arms: readonly string[] }): Promise<ArmEngagement>;
  /** The users of the newest `limit` events of a campaign, each once, the newest first, ties by id. */
  recentUsers(options: { campaign_id: string; limit: number } & Abortable): Promise<string[]>;
  /** What this user dismissed or converted on, read live, in ascending campaign; nothing of one who opted out of personalisation. */
  finalEngagement(options: { user_id: string } & Abortable): Promise<FinalEngagement[]>;
  epochs(options: { user_id: string } & Abortable): Promise<Epochs>;
  /**
   * Raises the epochs of these users, and the catalogue's with these campaigns as changed: what is derived of them elsewhere has
   * changed. With `all` the catalogue's is raised in any case, so that no answer from before is served.
   */
  raiseEpochs(options: RaiseEpochsOptions): Promise<void>;
  /** `limit` bounds the examples. It reads an index over all events. */
  unknownCampaigns(options: { limit: number } & Abortable): Promise<UnknownCampaigns>;
}

/** Data versions: their stats and files, and which one is published. */
export interface ReleaseStore {
  /**
   * Builds stats and popularity for a version that is not published yet, replacing an earlier attempt. Events count by a
   * half-life back from the newest event up to `latest`, so equal input gives equal stats; a later event counts as if it
   * were of that day. Events of users who opted out of personalisation count for nothing.
   */
  buildStats(options: BuildStatsOptions): Promise<{ campaigns: number }>;
  /**
   * The stats of all campaigns, in ascending id, as {@link buildStats} would build them if these events had not happened; they are
   * stored ones, none of a user who opted out. Stores nothing.
   */
  statsWithout(
    options: Omit<BuildStatsOptions, "version"> & { events: readonly EngagementEvent[] },
  ): Promise<CampaignStats[]>;
  /** Stats under a data version, for these campaigns, in ascending id; zeros for a campaign without events. */
  stats(options: { version: number; campaign_ids: readonly string[] } & Abortable): Promise<CampaignStats[]>;
  /** The most popular campaigns under a data version, best first, ties by id. */
  popular(options: { version: number; limit: number } & Abortable): Promise<CampaignStats[]>;
  /** Campaigns with fewer impressions under a data version, those with fewest first, ties by id. It reads all stats of the version. */
  leastShown(
    options: { version: number; max_impressions: number; limit: number } & Abortable,
  ): Promise<CampaignStats[]>;
  /**
   * Saves a file of a version that is not published yet, such as learnt weights, and replaces that of an earlier attempt
   * once the new one is whole. Throws `conflict` for a published version or an older one. Files hold no data of a single user,
   * except {@link WORDING_FILE}: after an erasure a version is built without the user, and those before it are dropped.
   */
  saveFile(options: VersionFile & { bytes: Uint8Array }): Promise<void>;
  /** The whole file, at the start of a buffer of its own; null if the version has none of that name. */
  file(options: VersionFile): Promise<Uint8Array<ArrayBuffer> | null>;
  published(options?: Abortable): Promise<Published | null>;
  /**
   * Publishes a version and records its sources, in one transaction, and removes stats and files of versions other than it
   * and the one before. Publishing the published version again changes nothing; an older one is a `conflict`.
   */
  publish(options: PublishOptions): Promise<Published>;
  /** Forgets the version before the published one: removes stats and files of all other versions. */
  dropPrevious(options?: Abortable): Promise<void>;
}

/** Which sources published runs have read. */
interface SourceStore {
  /** The record of a source, or null if no published run read it. */
  source(options: { kind: Kind; uri: string } & Abortable): Promise<SourceRecord | null>;
  /** In ascending kind and URI. */
  sources(options?: Abortable): Promise<SourceRecord[]>;
  forgetSources(options: { uris: readonly string[] } & Abortable): Promise<void>;
}

export interface WordingStore {
  /** Makes these users' words exactly the given ones. */
  setWords(options: SetWordsOptions): Promise<void>;
  /** The words of one user; null if they said nothing. */
  profileWords(options: { user_id: string } & Abortable): Promise<ProfileWords | null>;
  /** The words of conversations in ascending `conversation_id`; with `user_id`, only those of this user. */
  conversationWords(options: PageOptions & { user_id?: string }): Promise<ConversationWords[]>;
}

/** A user whose data are being erased. It is stored until no copy is left, since a hash does not say whose rows to look for. */
export interface PendingErasure {
  readonly user_id: string;
  /** When the newest erasure of the user began, as ISO time. */
  readonly at: string;
}

/** Which users are erased, or are not to be recommended to by what they did. */
export interface RightsStore {
  readonly tombstones: TombstoneStore;
  /** In ascending id. */
  pendingErasures(options: PageOptions): Promise<PendingErasure[]>;
  /** Adds users; one that is pending gets the newer time. */
  addPendingErasures(options: { users: readonly PendingErasure[] } & Abortable): Promise<void>;
  /** Removes users whose erasure began no later than this ISO time. */
  endErasures(options: { user_ids: readonly string[]; until: string } & Abortable): Promise<void>;
  /**
   * Whether answers to a user are made from what they said and did. Raises the user's epoch and marks the user as dirty, in the
   * same transaction, if that changes; returns whether it did.
   */
  setPersonalisation(options: SetPersonalisationOptions): Promise<boolean>;
  /** Those of these users who do not want personalisation, in ascending id. */
  optedOut(options: { user_ids: readonly string[] } & Abortable): Promise<string[]>;
}

export interface SetPersonalisationOptions extends Abortable {
  readonly user_id: string;
  readonly personalisation: boolean;
}

export interface AnalyticsStore
  extends CampaignStore, EventStore, ReleaseStore, SourceStore, WordingStore, RightsStore, BulkWriter {
  /**
   * 32 random bytes that are made at the first call and then stay, so that all processes on the store sign alike. They are not
   * part of the digest.
   */
  secret(options?: Abortable): Promise<Uint8Array>;
  /** All rows, to be copied to another store. */
  readonly tables: StoredTables;
  /** Users with events or words, in ascending id. */
  knownUsers(options: PageOptions): Promise<string[]>;
  /**
   * Removes events, words, preferences, marks as dirty and epochs of these users, and raises the catalogue's epoch, since others'
   * answers may count them; returns how many events it removed. Pending erasures and tombstones stay.
   */
  deleteUsers(options: { user_ids: readonly string[] } & Abortable): Promise<number>;
  /** Takes the bytes of deleted rows out of the files, as far as that is in this side's power. */
  compact(options?: Abortable): Promise<void>;
  counts(options?: Abortable): Promise<AnalyticsCounts>;
  /** Hash of all campaigns and events, independent of order, versions and write time. */
  digest(options?: Abortable): Promise<string>;
  health(options?: HealthOptions): Promise<Health>;
  close(): Promise<void>;
}
