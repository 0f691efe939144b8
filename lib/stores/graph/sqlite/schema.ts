import type { Migration } from "../../engines/sqlite/sqlite.ts";

/**
 * ENGAGED edges are stored in the order of users, so that a user's edges are read together. The index on `campaign_id` finds
 * those of a campaign, and keeps each pair unique.
 */
export const GRAPH_MIGRATIONS: readonly Migration[] = [
  `
CREATE TABLE expressed (
  user_id TEXT NOT NULL,
  intent TEXT NOT NULL,
  count INTEGER NOT NULL,
  last TEXT NOT NULL,
  PRIMARY KEY (user_id, intent)
) STRICT, WITHOUT ROWID;
CREATE TABLE engaged (
  user_id TEXT NOT NULL,
  campaign_id TEXT NOT NULL,
  impressions INTEGER NOT NULL,
  clicks INTEGER NOT NULL,
  conversions INTEGER NOT NULL,
  dismissals INTEGER NOT NULL,
  last TEXT NOT NULL,
  PRIMARY KEY (user_id, last DESC, campaign_id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX engaged_by_campaign ON engaged (campaign_id, user_id);
CREATE TABLE campaigns (campaign_id TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE targets (
  campaign_id TEXT NOT NULL,
  intent TEXT NOT NULL,
  PRIMARY KEY (campaign_id, intent)
) STRICT, WITHOUT ROWID;
CREATE INDEX targets_by_intent ON targets (intent, campaign_id);
`,
  `
CREATE TABLE led_to (
  conversation_id TEXT NOT NULL,
  campaign_id TEXT NOT NULL,
  user_id TEXT NOT NULL,
  impressions INTEGER NOT NULL,
  clicks INTEGER NOT NULL,
  conversions INTEGER NOT NULL,
  dismissals INTEGER NOT NULL,
  PRIMARY KEY (conversation_id, campaign_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX led_to_by_user ON led_to (user_id, conversation_id);
CREATE INDEX led_to_by_campaign ON led_to (campaign_id);
`,
];

/** Edges are recounts of rows in documents and analytics. */
export const REFILL = "run `deno task pipeline --all`, which fills a new one from the other stores";
