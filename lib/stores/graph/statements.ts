import type { Dialect } from "../engines/sql.ts";
import { type EdgeTable, ENGAGED, EXPRESSED, LED_TO, TARGETS } from "./schema.ts";

/** Nodes whose edges are read at once. */
const PAGE = 500;
/** Edges, about, among which one statement looks for those of deleted campaigns: a millisecond or two. */
const PART_ROWS = 5_000;

/** Statements that write the edges of one table, for `runRows`, and read them by owner. */
interface EdgeSql {
  /** One for each of the table's owners. */
  readonly deleteOthers: readonly string[];
  readonly put: string;
  /** The next nodes with edges, after an id; of targets all campaigns. */
  readonly ownerPage: string;
  /** The edges of these nodes, in their order. */
  readonly ofOwners: string;
}

export type GraphSql = ReturnType<typeof graphSql>;

/** All statements of a graph, made once: a statement is found by its text. */
export function graphSql(dialect: Dialect, { isIndexedByCampaign }: { isIndexedByCampaign: boolean }) {
  const isGiven = (column: string) => dialect.isIn(column, "$1");
  const tables = [EXPRESSED, ENGAGED, LED_TO, TARGETS];
  const filled = ["graph_campaigns", ...tables.map(({ name }) => name)];
  return {
    edges: Object.fromEntries(
      tables.map((table): [string, EdgeSql] => [table.name, edgeSql(table, dialect)]),
    ),
    listCampaign: `${dialect.insertRows("graph_campaigns", ["campaign_id"])} ON CONFLICT DO NOTHING`,
    engagedIn: `SELECT conversation_id, user_id, campaign_id, impressions, clicks, conversions, dismissals
      FROM led_to WHERE ${isGiven("conversation_id")} ORDER BY conversation_id, campaign_id`,
    engagedBy: engagedBySql(dialect),
    intentsOf: `SELECT user_id, intent, count, last FROM expressed WHERE user_id = $1
      ORDER BY count DESC, intent LIMIT $2`,
    targeting: `SELECT campaign_id, intent FROM targets WHERE ${isGiven("intent")}
      ORDER BY campaign_id, intent LIMIT $2`,
    deleteUsers: [EXPRESSED, ENGAGED, LED_TO].map(({ name }) =>
      `DELETE FROM ${name} WHERE ${isGiven("user_id")}`
    ),
    // In parts of the edges that an index by campaign finds, or without one of all edges in their order.
    deleteEngagement: [ENGAGED, LED_TO].map(({ name, key: [node] }) => ({
      partEnd: `SELECT max(node) AS node FROM (SELECT ${node} AS node FROM ${name}
        WHERE ${isIndexedByCampaign ? isGiven("campaign_id") : "$1 IS NOT NULL"} AND ${node} > $2
        ORDER BY ${node} LIMIT ${PART_ROWS}) AS part`,
      deletePart: `DELETE FROM ${name} WHERE ${isGiven("campaign_id")} AND ${node} > $2 AND ${node} <= $3`,
    })),
    deleteTargets: `DELETE FROM targets WHERE ${isGiven("campaign_id")}`,
    unlistCampaigns: `DELETE FROM graph_campaigns WHERE ${isGiven("campaign_id")}`,
    counts: `SELECT (SELECT count(*) FROM (SELECT user_id FROM expressed UNION SELECT user_id FROM engaged
                                     UNION SELECT user_id FROM led_to) AS users) AS users,
              (SELECT count(*) FROM (SELECT intent FROM expressed UNION SELECT intent FROM targets) AS intents) AS intents,
              (SELECT count(*) FROM graph_campaigns) AS campaigns,
              (SELECT count(DISTINCT conversation_id) FROM led_to) AS conversations,
              (SELECT count(*) FROM expressed) AS expressed,
              (SELECT count(*) FROM engaged) AS engaged,
              (SELECT count(*) FROM led_to) AS led_to,
              (SELECT count(*) FROM targets) AS targets`,
    /** Gives a row if there is one in any table. */
    isFilled: `SELECT 1 WHERE ${filled.map((name) => `EXISTS (SELECT 1 FROM ${name})`).join(" OR ")}`,
  };
}

function edgeSql({ name, columns, key, owners }: EdgeTable, dialect: Dialect): EdgeSql {
  const [[owner]] = owners;
  const values = Object.keys(columns).filter((column) => !key.includes(column));
  const list = (of: string) => `(${values.map((value) => `${of}.${value}`)})`;
  const update = `UPDATE SET ${values.map((value) => `${value} = excluded.${value}`)}
    WHERE ${list(name)} IS DISTINCT FROM ${list("excluded")}`;
  return {
    deleteOthers: owners.map(([owner, other]) => dialect.deleteOthers(name, owner, other)),
    put: `${dialect.insertRows(name, Object.keys(columns))}
      ON CONFLICT (${key}) DO ${values.length === 0 ? "NOTHING" : update}`,
    ownerPage: `SELECT DISTINCT ${owner} AS id FROM ${name === TARGETS.name ? "graph_campaigns" : name}
      WHERE ${owner} > $1 ORDER BY id LIMIT ${PAGE}`,
    ofOwners: `SELECT * FROM ${name} WHERE ${dialect.isIn(owner, "$1")} ORDER BY ${owner}`,
  };
}

/**
 * A row for each user, with the edges as one JSON text: on SQLite a row for each edge takes half as long again. It sorts all
 * edges of a user, of which there are some thousands at most.
 */
function engagedBySql({ texts, jsonRows }: Dialect): string {
  const tuple = "campaign_id, impressions, clicks, conversions, dismissals, last";
  return `SELECT user_id, (
      SELECT ${
    jsonRows(tuple, "campaign_id")
  } FROM (SELECT * FROM engaged WHERE engaged.user_id = users.user_id
        ORDER BY clicks + conversions > 0 DESC, last DESC, campaign_id LIMIT $2) AS newest
    ) AS edges
    FROM (SELECT DISTINCT text AS user_id FROM ${texts("$1")} AS given) AS users ORDER BY user_id`;
}
