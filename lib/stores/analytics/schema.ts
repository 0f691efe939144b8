import type { Campaign, EngagementEvent } from "../../core/types.ts";
import type { KeyedTableOptions } from "../engines/keyed_table.ts";
import { type DirtyUserNames, dirtyUsersSchema } from "../engines/dirty_users.ts";
import type { Migration } from "../engines/migration.ts";
import type { ConversationWords, FinalEngagement, ProfileWords, UnknownCampaigns } from "./port.ts";

export const DIRTY_USERS: DirtyUserNames = { marks: "touched", counter: "writes" };

/** Counts of events by type, as columns. A migration has them too, so they stay as they are. */
export const BY_TYPE =
  `count(*) FILTER (WHERE type = 'impression') AS impressions, count(*) FILTER (WHERE type = 'click') AS clicks,
  count(*) FILTER (WHERE type = 'conversion') AS conversions, count(*) FILTER (WHERE type = 'dismissal') AS dismissals`;

/**
 * Indexes have all columns that recounts of events need, so that no recount reads the rows: by user, type first, because
 * what a user dismissed or converted on is read at every request; by campaign and time; and by time alone.
 */
export const ANALYTICS_MIGRATIONS: readonly Migration[] = [
  (sql) => `
CREATE TABLE campaigns (
  campaign_id ${sql.text} NOT NULL UNIQUE,
  title ${sql.text} NOT NULL,
  description ${sql.text},
  intents ${sql.text} NOT NULL,
  category ${sql.text},
  tags ${sql.text} NOT NULL,
  starts_at ${sql.text},
  ends_at ${sql.text},
  status ${sql.text} NOT NULL,
  metadata ${sql.text}
) ${sql.strict};
CREATE TABLE events (
  event_id ${sql.text} NOT NULL UNIQUE,
  user_id ${sql.text} NOT NULL,
  campaign_id ${sql.text} NOT NULL,
  type ${sql.text} NOT NULL,
  timestamp ${sql.text} NOT NULL,
  conversation_id ${sql.text},
  metadata ${sql.text}
) ${sql.strict};
CREATE INDEX events_by_user ON events (user_id, type, campaign_id, timestamp);
CREATE INDEX events_by_campaign ON events (campaign_id, timestamp, type);
CREATE TABLE epochs (user_id ${sql.text} PRIMARY KEY, epoch ${sql.integer} NOT NULL) ${sql.strictKeyed};
CREATE TABLE stats (
  version ${sql.integer} NOT NULL,
  campaign_id ${sql.text} NOT NULL,
  impressions ${sql.integer} NOT NULL,
  clicks ${sql.integer} NOT NULL,
  conversions ${sql.integer} NOT NULL,
  dismissals ${sql.integer} NOT NULL,
  popularity ${sql.real} NOT NULL,
  PRIMARY KEY (campaign_id, version)
) ${sql.strictKeyed};
CREATE INDEX stats_by_popularity ON stats (version, popularity DESC, campaign_id);
CREATE TABLE published (
  "only" ${sql.id} CHECK ("only" = 1),
  version ${sql.integer} NOT NULL,
  previous ${sql.integer},
  run_id ${sql.text} NOT NULL,
  model ${sql.text} NOT NULL,
  at ${sql.text} NOT NULL
) ${sql.strict};
CREATE TABLE sources (
  kind ${sql.text} NOT NULL,
  uri ${sql.text} NOT NULL,
  sha256 ${sql.text} NOT NULL,
  rows ${sql.integer} NOT NULL,
  run_id ${sql.text} NOT NULL,
  at ${sql.text} NOT NULL,
  PRIMARY KEY (kind, uri)
) ${sql.strict};
${dirtyUsersSchema(DIRTY_USERS)(sql)}`,
  `CREATE INDEX events_by_time ON events (timestamp, type)`,
  (sql) => `
CREATE TABLE files (
  version ${sql.integer} NOT NULL,
  name ${sql.text} NOT NULL,
  save ${sql.integer} NOT NULL,
  part ${sql.integer} NOT NULL,
  size ${sql.integer} NOT NULL,
  bytes ${sql.bytes} NOT NULL,
  PRIMARY KEY (version, name, save, part)
) ${sql.strict};
`,
  (sql) => `ALTER TABLE campaigns ADD COLUMN repurchase_days ${sql.text}`,
  (sql) => `
CREATE TABLE profile_words (
  user_id ${sql.text} PRIMARY KEY,
  words ${sql.text} NOT NULL,
  named ${sql.text} NOT NULL
) ${sql.strictKeyed};
CREATE TABLE conversation_words (
  conversation_id ${sql.text} PRIMARY KEY,
  user_id ${sql.text} NOT NULL,
  words ${sql.text} NOT NULL,
  named ${sql.integer} NOT NULL,
  named_shown ${sql.integer} NOT NULL
) ${sql.strictKeyed};
CREATE INDEX conversation_words_by_user ON conversation_words (user_id);
ALTER TABLE campaigns ADD COLUMN aliases ${sql.text} NOT NULL DEFAULT '[]';
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
