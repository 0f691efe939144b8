import type { Campaign, EngagementEvent } from "../../core/types.ts";
import type { KeyedTableOptions } from "../engines/keyed_table.ts";
import type { Migration } from "../engines/sqlite/sqlite.ts";
import { DIRTY_USERS_SCHEMA } from "../engines/sqlite/dirty_users.ts";
import type { ConversationWords, FinalEngagement, ProfileWords, UnknownCampaigns } from "./port.ts";

/** Counts of events by type, as columns. A migration has them too, so they stay as they are. */
export const BY_TYPE =
  `count(*) FILTER (WHERE type = 'impression') AS impressions, count(*) FILTER (WHERE type = 'click') AS clicks,
  count(*) FILTER (WHERE type = 'conversion') AS conversions, count(*) FILTER (WHERE type = 'dismissal') AS dismissals`;

/**
 * Indexes have all columns that recounts of events need, so that no recount reads the rows: by user, type first, because
 * what a user dismissed or converted on is read at every request; by campaign and time; and by time alone.
 */
export const ANALYTICS_MIGRATIONS: readonly Migration[] = [
  `
CREATE TABLE campaigns (
  campaign_id TEXT NOT NULL UNIQUE,
  title TEXT NOT NULL,
  description TEXT,
  intents TEXT NOT NULL,
  category TEXT,
  tags TEXT NOT NULL,
  starts_at TEXT,
  ends_at TEXT,
  status TEXT NOT NULL,
  metadata TEXT
) STRICT;
CREATE TABLE events (
  event_id TEXT NOT NULL UNIQUE,
  user_id TEXT NOT NULL,
  campaign_id TEXT NOT NULL,
  type TEXT NOT NULL,
  timestamp TEXT NOT NULL,
  conversation_id TEXT,
  metadata TEXT
) STRICT;
CREATE INDEX events_by_user ON events (user_id, type, campaign_id, timestamp);
CREATE INDEX events_by_campaign ON events (campaign_id, timestamp, type);
CREATE TABLE epochs (user_id TEXT PRIMARY KEY, epoch INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE stats (
  version INTEGER NOT NULL,
  campaign_id TEXT NOT NULL,
  impressions INTEGER NOT NULL,
  clicks INTEGER NOT NULL,
  conversions INTEGER NOT NULL,
  dismissals INTEGER NOT NULL,
  popularity REAL NOT NULL,
  PRIMARY KEY (campaign_id, version)
) STRICT, WITHOUT ROWID;
CREATE INDEX stats_by_popularity ON stats (version, popularity DESC, campaign_id);
CREATE TABLE published (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  version INTEGER NOT NULL,
  previous INTEGER,
  run_id TEXT NOT NULL,
  model TEXT NOT NULL,
  at TEXT NOT NULL
) STRICT;
CREATE TABLE sources (
  kind TEXT NOT NULL,
  uri TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  rows INTEGER NOT NULL,
  run_id TEXT NOT NULL,
  at TEXT NOT NULL,
  PRIMARY KEY (kind, uri)
) STRICT;
${DIRTY_USERS_SCHEMA}`,
  `CREATE INDEX events_by_time ON events (timestamp, type)`,
  `
CREATE TABLE files (
  version INTEGER NOT NULL,
  name TEXT NOT NULL,
  save INTEGER NOT NULL,
  part INTEGER NOT NULL,
  size INTEGER NOT NULL,
  bytes BLOB NOT NULL,
  PRIMARY KEY (version, name, save, part)
) STRICT;
`,
  `ALTER TABLE campaigns ADD COLUMN repurchase_days TEXT`,
  `
CREATE TABLE profile_words (
  user_id TEXT PRIMARY KEY,
  words TEXT NOT NULL,
  named TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE conversation_words (
  conversation_id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL,
  words TEXT NOT NULL,
  named INTEGER NOT NULL,
  named_shown INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX conversation_words_by_user ON conversation_words (user_id);
ALTER TABLE campaigns ADD COLUMN aliases TEXT NOT NULL DEFAULT '[]';
`,
  `
CREATE VIEW user_engagement AS
SELECT user_id, campaign_id, ${BY_TYPE}, max(timestamp) AS last
FROM events GROUP BY user_id, campaign_id;
`,
];

/** A page of the users with events, from the index by user alone. The parameters are `?` or `$1`. */
export const USERS = (after: string, limit: string) =>
  `SELECT DISTINCT user_id FROM events WHERE user_id > ${after} ORDER BY user_id LIMIT ${limit}`;

/** What a user dismissed or converted on, from the index by user; the number of days is JSON text. */
export const FINAL_ENGAGEMENT = (user_id: string) =>
  `SELECT campaign_id, max(timestamp) FILTER (WHERE type = 'conversion') AS converted_at,
    count(*) FILTER (WHERE type = 'dismissal') AS dismissals,
    (SELECT repurchase_days FROM campaigns WHERE campaigns.campaign_id = events.campaign_id) AS repurchase_days
  FROM events WHERE user_id = ${user_id} AND type IN ('conversion', 'dismissal')
  GROUP BY campaign_id ORDER BY campaign_id`;

export type FinalEngagementRow = Omit<FinalEngagement, "repurchase_days"> & {
  readonly repurchase_days: string | null;
};

export function finalEngagement(rows: readonly FinalEngagementRow[]): FinalEngagement[] {
  return rows.map((row) => ({
    ...row,
    repurchase_days: row.repurchase_days === null ? null : Number(row.repurchase_days),
  }));
}

/** Counts of events by type and UTC day, from the index by time alone. */
export const DAILY = `SELECT substr(timestamp, 1, 10) AS day, ${BY_TYPE} FROM events`;

/** Counts of events by type and campaign, from the index by campaign alone. */
export const BY_CAMPAIGN = `SELECT campaign_id, ${BY_TYPE} FROM events`;

/** Counts of events by type and strategy; `strategy` is a dialect's expression for it, null if it is no text. */
export function byStrategySql(strategy: string, span: string): string {
  return `SELECT ${strategy} AS strategy, ${BY_TYPE} FROM events WHERE ${span}
    GROUP BY 1 ORDER BY count(*) DESC, 1 NULLS LAST`;
}

export const BY_RANK = "GROUP BY campaign_id ORDER BY count(*) DESC, campaign_id";

/** A row for each campaign that events name and the catalogue does not have, from the index by campaign alone. */
export const UNKNOWN = `SELECT campaign_id, count(*) AS events FROM events
  WHERE campaign_id NOT IN (SELECT campaign_id FROM campaigns) ${BY_RANK}`;

export function unknownCampaigns(
  rows: readonly { readonly campaign_id: string; readonly events: number }[],
  limit: number,
): UnknownCampaigns {
  const events = rows.reduce((sum, row) => sum + row.events, 0);
  return { events, campaigns: rows.length, examples: rows.slice(0, limit).map((row) => row.campaign_id) };
}

export const CAMPAIGNS: KeyedTableOptions<Campaign> = {
  table: "campaigns",
  key: "campaign_id",
  owner: null,
  columns: {
    campaign_id: "plain",
    title: "plain",
    description: "plain",
    aliases: "json",
    intents: "json",
    category: "plain",
    tags: "json",
    starts_at: "plain",
    ends_at: "plain",
    status: "plain",
    repurchase_days: "json",
    metadata: "json",
  },
};

export const EVENTS: KeyedTableOptions<EngagementEvent> = {
  table: "events",
  key: "event_id",
  owner: "user_id",
  columns: {
    event_id: "plain",
    user_id: "plain",
    campaign_id: "plain",
    type: "plain",
    timestamp: "plain",
    conversation_id: "plain",
    metadata: "json",
  },
};

/** Tables of what users said, as words. */
export const WORD_TABLES = ["profile_words", "conversation_words"] as const;
export const PROFILE_WORDS = "SELECT user_id, words, named FROM profile_words";
export const CONVERSATION_WORDS =
  "SELECT conversation_id, user_id, words, named, named_shown FROM conversation_words";

/** Rows with JSON as text. */
export type ProfileWordsRow = { readonly [key in keyof ProfileWords]: string };
export type ConversationWordsRow = Omit<ConversationWords, "words"> & { readonly words: string };

export function profileWords(row: ProfileWordsRow): ProfileWords {
  return { ...row, words: JSON.parse(row.words), named: JSON.parse(row.named) };
}

export function conversationWords(row: ConversationWordsRow): ConversationWords {
  return { ...row, words: JSON.parse(row.words) };
}
