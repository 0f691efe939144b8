import type { Columns } from "../engines/sql.ts";
import type { Migration } from "../engines/migration.ts";
import { tombstonesSchema } from "../engines/tombstones.ts";

export const TOMBSTONES = "graph_tombstones";

/**
 * Edges of users are stored in the order of users: they are read together, and a nightly run, which goes through users in that order, writes each
 * page once. On SQLite no index is by campaign, since it would be most of what a run writes: each edge would change another of its pages. To
 * delete a campaign, all edges are read. A PostgreSQL schema may also have analytics, with `campaigns` of their own.
 */
export const GRAPH_MIGRATIONS: readonly Migration[] = [
  (sql) => `
CREATE TABLE expressed (
  user_id ${sql.text} NOT NULL,
  intent ${sql.text} NOT NULL,
  count ${sql.integer} NOT NULL,
  last ${sql.text} NOT NULL,
  PRIMARY KEY (user_id, intent)
) ${sql.strictKeyed};
CREATE TABLE engaged (
  user_id ${sql.text} NOT NULL,
  campaign_id ${sql.text} NOT NULL,
  impressions ${sql.integer} NOT NULL,
  clicks ${sql.integer} NOT NULL,
  conversions ${sql.integer} NOT NULL,
  dismissals ${sql.integer} NOT NULL,
  last ${sql.text} NOT NULL,
  PRIMARY KEY (user_id, last${sql.engine === "sqlite" ? " DESC" : ""}, campaign_id)
) ${sql.strictKeyed};
CREATE UNIQUE INDEX engaged_by_campaign ON engaged (campaign_id, user_id);
CREATE TABLE ${
    sql.engine === "sqlite" ? "campaigns" : "graph_campaigns"
  } (campaign_id ${sql.text} PRIMARY KEY) ${sql.strictKeyed};
CREATE TABLE targets (
  campaign_id ${sql.text} NOT NULL,
  intent ${sql.text} NOT NULL,
  PRIMARY KEY (campaign_id, intent)
) ${sql.strictKeyed};
CREATE INDEX targets_by_intent ON targets (intent, campaign_id);
`,
  (sql) => `
CREATE TABLE led_to (
  conversation_id ${sql.text} NOT NULL,
  campaign_id ${sql.text} NOT NULL,
  user_id ${sql.text} NOT NULL,
  impressions ${sql.integer} NOT NULL,
  clicks ${sql.integer} NOT NULL,
  conversions ${sql.integer} NOT NULL,
  dismissals ${sql.integer} NOT NULL,
  PRIMARY KEY (conversation_id, campaign_id)
) ${sql.strictKeyed};
CREATE INDEX led_to_by_user ON led_to (user_id, conversation_id);
CREATE INDEX led_to_by_campaign ON led_to (campaign_id);
`,
  (sql) => sql.engine === "sqlite" ? "ALTER TABLE campaigns RENAME TO graph_campaigns" : "",
  tombstonesSchema(TOMBSTONES),
  (sql) =>
    sql.engine === "postgres" ? "" : `
CREATE TABLE engaged_by_user (
  user_id ${sql.text} NOT NULL,
  campaign_id ${sql.text} NOT NULL,
  impressions ${sql.integer} NOT NULL,
  clicks ${sql.integer} NOT NULL,
  conversions ${sql.integer} NOT NULL,
  dismissals ${sql.integer} NOT NULL,
  last ${sql.text} NOT NULL,
  PRIMARY KEY (user_id, campaign_id)
) ${sql.strictKeyed};
INSERT INTO engaged_by_user (user_id, campaign_id, impressions, clicks, conversions, dismissals, last)
  SELECT user_id, campaign_id, impressions, clicks, conversions, dismissals, last FROM engaged ORDER BY user_id, campaign_id;
DROP TABLE engaged;
ALTER TABLE engaged_by_user RENAME TO engaged;
DROP INDEX led_to_by_campaign;
`,
];

/**
 * A table of edges, one for each `key`. A write sets all edges of a node, the first of `owners`; these are columns, each with
 * another by which a node's edges differ.
 */
export interface EdgeTable {
  readonly name: string;
  readonly columns: Columns;
  readonly key: readonly [string, string];
  readonly owners: readonly [Owner, ...Owner[]];
}
type Owner = readonly [column: string, other: string];

const COUNTS = {
  impressions: "bigint",
  clicks: "bigint",
  conversions: "bigint",
  dismissals: "bigint",
} as const;

export const EXPRESSED: EdgeTable = {
  name: "expressed",
  columns: { user_id: "text", intent: "text", count: "bigint", last: "text" },
  key: ["user_id", "intent"],
  owners: [["user_id", "intent"]],
};
export const ENGAGED: EdgeTable = {
  name: "engaged",
  columns: { user_id: "text", campaign_id: "text", ...COUNTS, last: "text" },
  key: ["user_id", "campaign_id"],
  owners: [["user_id", "campaign_id"]],
};
/** A conversation may have been another user's, so its edges are set too. */
export const LED_TO: EdgeTable = {
  name: "led_to",
  columns: { conversation_id: "text", campaign_id: "text", user_id: "text", ...COUNTS },
  key: ["conversation_id", "campaign_id"],
  owners: [["user_id", "conversation_id"], ["conversation_id", "campaign_id"]],
};
export const TARGETS: EdgeTable = {
  name: "targets",
  columns: { campaign_id: "text", intent: "text" },
  key: ["campaign_id", "intent"],
  owners: [["campaign_id", "intent"]],
};
