import type { Campaign, EngagementEvent } from "../../core/types.ts";
import type { KeyedTableOptions } from "../engines/keyed_table.ts";
import { type DirtyUserNames, dirtyUsersSchema } from "../engines/dirty_users.ts";
import type { Migration } from "../engines/migration.ts";
import { searchedWords } from "./campaign_search.ts";
import type { AssignedEvent } from "./port.ts";
import type { TableSpec } from "../engines/sql_tables.ts";
import { tombstonesSchema } from "../engines/tombstones.ts";

export const DIRTY_USERS: DirtyUserNames = { marks: "touched", counter: "writes" };

export const TOMBSTONES = "analytics_tombstones";

/** Counts of events by type, as columns. A migration has them too, so they stay as they are. */
export const BY_TYPE =
  `count(*) FILTER (WHERE type = 'impression') AS impressions, count(*) FILTER (WHERE type = 'click') AS clicks,
  count(*) FILTER (WHERE type = 'conversion') AS conversions, count(*) FILTER (WHERE type = 'dismissal') AS dismissals`;

/**
 * Indexes have all columns that recounts of events need, so that no recount reads the rows: by user, type first, because
 * what a user dismissed or converted on is read at every request; by campaign and time; by time alone; and by arm and user.
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
  (sql) => `ALTER TABLE campaigns ADD COLUMN words ${sql.text}`,
  (sql) => `
ALTER TABLE events ADD COLUMN recommendation_id ${sql.text};
ALTER TABLE events ADD COLUMN position ${sql.text};
CREATE TABLE secrets (name ${sql.text} PRIMARY KEY, secret ${sql.text} NOT NULL) ${sql.strictKeyed};
`,
  (sql) => `
${tombstonesSchema(TOMBSTONES)(sql)}
CREATE TABLE pending_erasures (user_id ${sql.text} PRIMARY KEY, at ${sql.text} NOT NULL) ${sql.strictKeyed};
CREATE TABLE opted_out (user_id ${sql.text} PRIMARY KEY) ${sql.strictKeyed};
`,
  (sql) => `
ALTER TABLE campaigns ADD COLUMN changed ${sql.integer} NOT NULL DEFAULT 0;
CREATE INDEX campaigns_by_change ON campaigns (changed DESC, campaign_id);
`,
  (sql) => `
ALTER TABLE events ADD COLUMN arm ${sql.text};
CREATE INDEX events_by_arm ON events (arm, user_id, type, timestamp) WHERE arm IS NOT NULL;
`,
  (sql) => `ALTER TABLE profile_words ADD COLUMN negations ${sql.text} NOT NULL DEFAULT '[]'`,
];

export const CAMPAIGNS: KeyedTableOptions<Campaign> = {
  table: "campaigns",
  key: "campaign_id",
  owner: "campaign_id",
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
  derived: { words: searchedWords },
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
    recommendation_id: "plain",
    position: "json",
    metadata: "json",
  },
  derived: { arm: ({ arm }: AssignedEvent) => arm ?? null },
};

const { counter } = DIRTY_USERS;

/** All tables, to be copied to another store. */
export const ANALYTICS_TABLES: Readonly<Record<string, TableSpec>> = {
  campaigns: { key: ["campaign_id"] },
  events: { key: ["event_id"] },
  epochs: { key: ["user_id"], numbered: { column: "epoch", counter } },
  [DIRTY_USERS.marks]: { key: ["user_id"], numbered: { column: "token", counter } },
  profile_words: { key: ["user_id"] },
  conversation_words: { key: ["conversation_id"] },
  opted_out: { key: ["user_id"] },
  pending_erasures: { key: ["user_id"] },
  [TOMBSTONES]: { key: ["user_hash"] },
  stats: { key: ["campaign_id", "version"] },
  files: { key: ["version", "name", "save", "part"], page: 4 },
  sources: { key: ["kind", "uri"] },
  secrets: { key: ["name"] },
  // The last: what it names is there.
  published: { key: ["only"] },
};
