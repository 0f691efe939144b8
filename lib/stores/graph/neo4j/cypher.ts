import type { EdgeType } from "../port.ts";

/**
 * The statements of the Neo4j adapter. Nodes have `namespace` and `id`, unique together; a query for all nodes of a label
 * and namespace has `id IS NOT NULL`, because only then does it use the index of both.
 *
 * A number of JavaScript reaches the server as a float: `toInteger` converts counts and limits.
 *
 * A node has `sort` if Neo4j would not order its `id` by code point; see {@link sortKey}.
 */
const LABELS = ["User", "Intent", "Campaign", "Conversation", "Tombstone"] as const;
export const SCHEMA: readonly string[] = LABELS.map((label) =>
  `CREATE CONSTRAINT parley_${label.toLowerCase()} IF NOT EXISTS
   FOR (n:${label}) REQUIRE (n.namespace, n.id) IS UNIQUE`
);

/** Deletes edges to intents that these users no longer express. */
export const TRIM_EXPRESSED = `
UNWIND $users AS user
MATCH (:User {namespace: $namespace, id: user.id})-[r:EXPRESSED]->(i:Intent)
WHERE NOT i.id IN user.kept
DELETE r`;

export const PUT_EXPRESSED = `
UNWIND $edges AS edge
MERGE (u:User {namespace: $namespace, id: edge.user_id})
MERGE (i:Intent {namespace: $namespace, id: edge.intent}) ON CREATE SET i.sort = edge.sort
MERGE (u)-[r:EXPRESSED]->(i)
SET r.count = toInteger(edge.count), r.last = edge.last`;

export const TRIM_ENGAGED = `
UNWIND $users AS user
MATCH (:User {namespace: $namespace, id: user.id})-[r:ENGAGED]->(c:Campaign)
WHERE NOT c.id IN user.kept
DELETE r`;

export const PUT_ENGAGED = `
UNWIND $edges AS edge
MERGE (u:User {namespace: $namespace, id: edge.user_id})
MERGE (c:Campaign {namespace: $namespace, id: edge.campaign_id}) ON CREATE SET c.sort = edge.sort
MERGE (u)-[r:ENGAGED]->(c)
SET r.impressions = toInteger(edge.impressions), r.clicks = toInteger(edge.clicks),
    r.conversions = toInteger(edge.conversions), r.dismissals = toInteger(edge.dismissals), r.last = edge.last`;

/** Deletes conversations that these users no longer have. */
export const TRIM_CONVERSATIONS = `
UNWIND $users AS user
MATCH (:User {namespace: $namespace, id: user.id})-[:HAD]->(v:Conversation)
WHERE NOT v.id IN $kept
DETACH DELETE v`;

/** Deletes edges from former users of conversations. */
export const TRIM_HAD = `
UNWIND $conversations AS conversation
MATCH (:Conversation {namespace: $namespace, id: conversation.id})<-[r:HAD]-(u:User)
WHERE u.id <> conversation.user_id
DELETE r`;

/** Deletes edges to campaigns that conversations no longer led to. */
export const TRIM_LED_TO = `
UNWIND $conversations AS conversation
MATCH (:Conversation {namespace: $namespace, id: conversation.id})-[r:LED_TO]->(c:Campaign)
WHERE NOT c.id IN conversation.kept
DELETE r`;

export const PUT_LED_TO = `
UNWIND $edges AS edge
MERGE (u:User {namespace: $namespace, id: edge.user_id})
MERGE (v:Conversation {namespace: $namespace, id: edge.conversation_id})
MERGE (c:Campaign {namespace: $namespace, id: edge.campaign_id}) ON CREATE SET c.sort = edge.sort
MERGE (u)-[:HAD]->(v)
MERGE (v)-[r:LED_TO]->(c)
SET r.impressions = toInteger(edge.impressions), r.clicks = toInteger(edge.clicks),
    r.conversions = toInteger(edge.conversions), r.dismissals = toInteger(edge.dismissals)`;

/** Deletes users without edges: their ids are personal. */
export const DROP_USERS = `
UNWIND $users AS user
MATCH (u:User {namespace: $namespace, id: user.id})
WHERE NOT (u)--()
DELETE u`;

/** `listed` says that targets were set, even to none. Other campaigns exist only because of engagement. */
export const LIST_CAMPAIGNS = `
UNWIND $campaigns AS campaign
MERGE (c:Campaign {namespace: $namespace, id: campaign.id}) ON CREATE SET c.sort = campaign.sort
SET c.listed = true
WITH c, campaign
MATCH (c)-[r:TARGETS]->(i:Intent)
WHERE NOT i.id IN campaign.kept
DELETE r`;

export const PUT_TARGETS = `
UNWIND $edges AS edge
MATCH (c:Campaign {namespace: $namespace, id: edge.campaign_id})
MERGE (i:Intent {namespace: $namespace, id: edge.intent}) ON CREATE SET i.sort = edge.sort
MERGE (c)-[:TARGETS]->(i)`;

/** A row for each user, with the edges as lists: a row for each edge takes the driver twice the time. */
export const ENGAGED_BY = `
UNWIND $user_ids AS user_id
MATCH (u:User {namespace: $namespace, id: user_id})
CALL (u) {
  MATCH (u)-[r:ENGAGED]->(c:Campaign)
  RETURN r, c ORDER BY r.clicks + r.conversions > 0 DESC, r.last DESC, coalesce(c.sort, c.id) LIMIT toInteger($limit)
}
RETURN user_id, collect([c.id, r.impressions, r.clicks, r.conversions, r.dismissals, r.last]) AS edges`;

/** A row for each conversation, with the edges as lists. */
export const ENGAGED_IN = `
UNWIND $conversation_ids AS conversation_id
MATCH (u:User)-[:HAD]->(v:Conversation {namespace: $namespace, id: conversation_id})-[r:LED_TO]->(c:Campaign)
RETURN conversation_id, u.id AS user_id,
       collect([c.id, r.impressions, r.clicks, r.conversions, r.dismissals]) AS edges`;

export const INTENTS_OF = `
MATCH (u:User {namespace: $namespace, id: $user_id})-[r:EXPRESSED]->(i:Intent)
RETURN u.id AS user_id, i.id AS intent, r.count AS count, r.last AS last
ORDER BY count DESC, coalesce(i.sort, i.id) LIMIT toInteger($limit)`;

export const TARGETING = `
UNWIND $intents AS intent
MATCH (i:Intent {namespace: $namespace, id: intent})<-[:TARGETS]-(c:Campaign)
RETURN c.id AS campaign_id, intent ORDER BY coalesce(c.sort, c.id), coalesce(i.sort, i.id) LIMIT toInteger($limit)`;

export const DELETE_CONVERSATIONS = `
UNWIND $ids AS id
MATCH (:User {namespace: $namespace, id: id})-[:HAD]->(v:Conversation)
WITH v, COUNT { (v)-[:LED_TO]->() } AS edges
DETACH DELETE v
RETURN sum(edges) AS gone`;

export const DELETE_USERS = `
UNWIND $ids AS id
MATCH (u:User {namespace: $namespace, id: id})
WITH u, COUNT { (u)-[:EXPRESSED|ENGAGED]->() } AS edges
DETACH DELETE u
RETURN sum(edges) AS gone`;

/** Deletes up to `limit` edges: a campaign can have more than one transaction should delete. */
export const DELETE_ENGAGED = `
UNWIND $ids AS id
MATCH (:Campaign {namespace: $namespace, id: id})<-[r:ENGAGED|LED_TO]-()
WITH r LIMIT toInteger($limit)
DELETE r
RETURN count(*) AS gone`;

export const DELETE_CAMPAIGNS = `
UNWIND $ids AS id
MATCH (c:Campaign {namespace: $namespace, id: id})
WITH c, COUNT { (c)-[:TARGETS|ENGAGED|LED_TO]-() } AS edges
DETACH DELETE c
RETURN sum(edges) AS gone`;

/** Each part ends at the first node that it finds. */
export const IS_EMPTY = `
RETURN NOT (
  EXISTS { MATCH (n:Campaign {namespace: $namespace}) WHERE n.id IS NOT NULL AND (n.listed OR (n)--()) }
  OR EXISTS { MATCH (n:User {namespace: $namespace}) WHERE n.id IS NOT NULL AND (n)-[:EXPRESSED|ENGAGED]->() }
) AS empty`;

/** Counts of users, intents, campaigns and conversations, and of edges by type. */
export const COUNTS: Readonly<Record<string, string>> = {
  users: `MATCH (n:User {namespace: $namespace})
          WHERE n.id IS NOT NULL AND ((n)-[:EXPRESSED|ENGAGED]->() OR (n)-[:HAD]->()-[:LED_TO]->())
          RETURN count(n) AS count`,
  intents: `MATCH (n:Intent {namespace: $namespace}) WHERE n.id IS NOT NULL AND (n)<-[:EXPRESSED|TARGETS]-()
            RETURN count(n) AS count`,
  campaigns: `MATCH (n:Campaign {namespace: $namespace})
              WHERE n.id IS NOT NULL AND n.listed RETURN count(n) AS count`,
  conversations: `MATCH (n:Conversation {namespace: $namespace}) WHERE n.id IS NOT NULL AND (n)-[:LED_TO]->()
                  RETURN count(n) AS count`,
  expressed: edges("User", "EXPRESSED"),
  engaged: edges("User", "ENGAGED"),
  led_to: edges("Conversation", "LED_TO"),
  targets: edges("Campaign", "TARGETS"),
};

function edges(label: string, type: string): string {
  return `MATCH (n:${label} {namespace: $namespace}) WHERE n.id IS NOT NULL
          RETURN sum(COUNT { (n)-[:${type}]->() }) AS count`;
}

/** The nodes that edges are read by, by their type. */
export const OWNERS: Readonly<Record<EdgeType, string>> = {
  targets: "MATCH (n:Campaign {namespace: $namespace}) WHERE n.id IS NOT NULL AND n.listed RETURN n.id AS id",
  expressed: usersWith("EXPRESSED"),
  engaged: usersWith("ENGAGED"),
  led_to: usersWith("HAD"),
};

function usersWith(type: string): string {
  return `MATCH (n:User {namespace: $namespace}) WHERE n.id IS NOT NULL AND (n)-[:${type}]->() RETURN n.id AS id`;
}

/** All edges of such nodes, with their properties. */
export const EDGES: Readonly<Record<EdgeType, string>> = {
  targets: `UNWIND $ids AS id MATCH (c:Campaign {namespace: $namespace, id: id})
            RETURN c.id AS campaign_id, [(c)-[:TARGETS]->(i:Intent) | i.id] AS intents`,
  expressed: `UNWIND $ids AS id MATCH (u:User {namespace: $namespace, id: id})-[r:EXPRESSED]->(i:Intent)
              RETURN u.id AS user_id, i.id AS intent, r.count AS count, r.last AS last`,
  engaged: `UNWIND $ids AS id MATCH (u:User {namespace: $namespace, id: id})-[r:ENGAGED]->(c:Campaign)
            RETURN u.id AS user_id, c.id AS campaign_id, r.impressions AS impressions, r.clicks AS clicks,
                   r.conversions AS conversions, r.dismissals AS dismissals, r.last AS last`,
  led_to: `UNWIND $ids AS id
           MATCH (u:User {namespace: $namespace, id: id})-[:HAD]->(v:Conversation)-[r:LED_TO]->(c:Campaign)
           RETURN v.id AS conversation_id, u.id AS user_id, c.id AS campaign_id, r.impressions AS impressions,
                  r.clicks AS clicks, r.conversions AS conversions, r.dismissals AS dismissals`,
};

/** The erased users of whom there are no edges, by the hashes of their ids. */
export const TOMBSTONES = {
  add: "UNWIND $hashes AS hash MERGE (:Tombstone {namespace: $namespace, id: hash}) RETURN count(*) AS added",
  page: `MATCH (n:Tombstone {namespace: $namespace}) WHERE n.id > $after
         RETURN n.id AS hash ORDER BY hash LIMIT toInteger($limit)`,
  among: `UNWIND $hashes AS hash MATCH (n:Tombstone {namespace: $namespace, id: hash})
          RETURN DISTINCT n.id AS hash ORDER BY hash`,
  remove: "UNWIND $hashes AS hash MATCH (n:Tombstone {namespace: $namespace, id: hash}) DELETE n",
} as const;

/** Deletes up to `limit` nodes of the namespace, with their edges. */
export const DELETE_NODES = `
MATCH (n:${LABELS.join("|")} {namespace: $namespace})
WITH n LIMIT toInteger($limit) DETACH DELETE n RETURN count(*) AS gone`;

/** Units that the two orders of Neo4j place differently; see {@link sortKey}. */
const AMBIGUOUS = /[\ud7ff\ue000-\uffff]/g;

/**
 * A text whose order in Neo4j is the order of `text` by code point. Neo4j compares by UTF-16 unit or by UTF-8 byte,
 * depending on the query plan, and the two differ for U+E000..U+FFFF and code points above. A U+D7FF, which is below every
 * surrogate, is put before each of those, so that both comparisons agree. Null if `text` needs no change.
 */
export function sortKey(text: string): string | null {
  const key = text.replace(AMBIGUOUS, (unit) => `\ud7ff${unit}`);
  return key === text ? null : key;
}
