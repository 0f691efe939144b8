// deno-lint-ignore-file require-await -- the port is asynchronous, this engine is not
import { yieldToEventLoop } from "../../../core/abort.ts";
import type { Abortable, Health, HealthOptions, JsonObject } from "../../../core/types.ts";
import type { Engagement } from "../../analytics/port.ts";
import { SetDigest } from "../../engines/set_digest.ts";
import type { IntentCount } from "../../documents/port.ts";
import { Sqlite, type SqliteOptions } from "../../engines/sqlite/sqlite.ts";
import type {
  ConversationEngagement,
  EngagedConversation,
  GraphCounts,
  GraphStore,
  Target,
} from "../port.ts";
import { GRAPH_MIGRATIONS, REFILL } from "./schema.ts";

/** Rows that one page reads, or one transaction deletes at most. */
const PAGE = 500;

/** One user's edge to a campaign, from {@link ENGAGED_BY}. */
type EngagedTuple = readonly [string, number, number, number, number, string];

/**
 * A row for each user, with the edges as one JSON text: a row for each edge takes half as long again. It sorts all edges of
 * a user, of which there are some thousands at most.
 */
const ENGAGED_BY = `
SELECT input.value AS user_id, (
  SELECT json_group_array(
    json_array(campaign_id, impressions, clicks, conversions, dismissals, last) ORDER BY campaign_id
  ) FROM (SELECT * FROM engaged WHERE user_id = input.value
          ORDER BY clicks + conversions > 0 DESC, last DESC, campaign_id LIMIT ?2)
) AS edges FROM (SELECT DISTINCT value FROM json_each(?1)) AS input ORDER BY input.value`;

/**
 * {@link GraphStore} in one SQLite file. A user, conversation, intent or campaign exists if an edge names it, and a campaign
 * also if its targets were set, even to none. Edges of the same time are ordered by campaign. Deletions count edges.
 */
export class SqliteGraph implements GraphStore {
  private readonly db: Sqlite;

  /** Opens or creates the file. The folder must exist; `:memory:` is a store that ends with the process. */
  constructor(options: Pick<SqliteOptions, "path" | "busy_ms" | "create">) {
    this.db = new Sqlite({ ...options, migrations: GRAPH_MIGRATIONS, refill: REFILL });
  }

  async setTargets(
    options: { campaigns: readonly { campaign_id: string; intents: readonly string[] }[] } & Abortable,
  ): Promise<number> {
    let total = 0;
    await this.db.writeEach(options.campaigns, ({ campaign_id, intents }) => {
      const wanted = JSON.stringify(intents);
      this.db.run("INSERT INTO campaigns VALUES (?) ON CONFLICT DO NOTHING", campaign_id);
      this.db.run(
        "DELETE FROM targets WHERE campaign_id = ? AND intent NOT IN (SELECT value FROM json_each(?))",
        campaign_id,
        wanted,
      );
      this.db.run("INSERT OR IGNORE INTO targets SELECT ?, value FROM json_each(?)", campaign_id, wanted);
      total += new Set(intents).size;
    }, options);
    return total;
  }

  setExpressed(
    options: { user_ids: readonly string[]; edges: readonly IntentCount[] } & Abortable,
  ): Promise<number> {
    const others =
      "DELETE FROM expressed WHERE user_id = ? AND intent NOT IN (SELECT value FROM json_each(?))";
    return this.setEdges(options, {
      others,
      to: (edge) => edge.intent,
      put: (edge) => this.putExpressed(edge),
    });
  }

  private putExpressed(edge: IntentCount): void {
    this.db.run(
      `INSERT INTO expressed (user_id, intent, count, last) VALUES (?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET count = excluded.count, last = excluded.last
       WHERE (count, last) IS NOT (excluded.count, excluded.last)`,
      ...[edge.user_id, edge.intent, edge.count, edge.last],
    );
  }

  setEngaged(
    options: { user_ids: readonly string[]; edges: readonly Engagement[] } & Abortable,
  ): Promise<number> {
    const others =
      "DELETE FROM engaged WHERE user_id = ? AND campaign_id NOT IN (SELECT value FROM json_each(?))";
    return this.setEdges(options, {
      others,
      to: (edge) => edge.campaign_id,
      put: (edge) => this.putEngaged(edge),
    });
  }

  /** Makes `edges` all edges of these users: `others` deletes the others. Returns how many there are. */
  private async setEdges<Edge extends { readonly user_id: string }>(
    options: { user_ids: readonly string[]; edges: readonly Edge[] } & Abortable,
    { others, to, put }: { others: string; to: (edge: Edge) => string; put: (edge: Edge) => void },
  ): Promise<number> {
    const edges = Map.groupBy(options.edges, (edge) => edge.user_id);
    let total = 0;
    await this.db.writeEach(options.user_ids, (user_id) => {
      const own = edges.get(user_id) ?? [];
      this.db.run(others, user_id, JSON.stringify(own.map(to)));
      own.forEach(put);
      total += own.length;
    }, options);
    return total;
  }

  private putEngaged(edge: Engagement): void {
    this.db.run(
      `INSERT INTO engaged (user_id, campaign_id, impressions, clicks, conversions, dismissals, last)
       VALUES (?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (campaign_id, user_id) DO UPDATE SET impressions = excluded.impressions,
         clicks = excluded.clicks, conversions = excluded.conversions, dismissals = excluded.dismissals,
         last = excluded.last
       WHERE (impressions, clicks, conversions, dismissals, last) IS NOT (excluded.impressions, excluded.clicks,
         excluded.conversions, excluded.dismissals, excluded.last)`,
      ...[edge.user_id, edge.campaign_id, edge.impressions, edge.clicks, edge.conversions],
      ...[edge.dismissals, edge.last],
    );
  }

  async setConversations(
    options: { user_ids: readonly string[]; conversations: readonly EngagedConversation[] } & Abortable,
  ): Promise<number> {
    const conversations = Map.groupBy(options.conversations, ({ user_id }) => user_id);
    let total = 0;
    await this.db.writeEach(options.user_ids, (user_id) => {
      const own = conversations.get(user_id) ?? [];
      this.db.run(
        "DELETE FROM led_to WHERE user_id = ? AND conversation_id NOT IN (SELECT value FROM json_each(?))",
        user_id,
        JSON.stringify(own.map(({ conversation_id }) => conversation_id)),
      );
      for (const conversation of own) this.putConversation(conversation);
      total += own.reduce((sum, { engagement }) => sum + engagement.length, 0);
    }, options);
    return total;
  }

  private putConversation({ conversation_id, user_id, engagement }: EngagedConversation): void {
    this.db.run(
      "DELETE FROM led_to WHERE conversation_id = ? AND campaign_id NOT IN (SELECT value FROM json_each(?))",
      conversation_id,
      JSON.stringify(engagement.map(({ campaign_id }) => campaign_id)),
    );
    for (const { campaign_id, impressions, clicks, conversions, dismissals } of engagement) {
      this.db.run(
        `INSERT INTO led_to (conversation_id, campaign_id, user_id, impressions, clicks, conversions, dismissals)
         VALUES (?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET user_id = excluded.user_id, impressions = excluded.impressions,
           clicks = excluded.clicks, conversions = excluded.conversions, dismissals = excluded.dismissals
         WHERE (user_id, impressions, clicks, conversions, dismissals) IS NOT (excluded.user_id,
           excluded.impressions, excluded.clicks, excluded.conversions, excluded.dismissals)`,
        ...[conversation_id, campaign_id, user_id, impressions, clicks, conversions, dismissals],
      );
    }
  }

  async engagedIn(
    options: { conversation_ids: readonly string[] } & Abortable,
  ): Promise<ConversationEngagement[]> {
    options.signal?.throwIfAborted();
    return this.db.all<ConversationEngagement>(
      `SELECT conversation_id, user_id, campaign_id, impressions, clicks, conversions, dismissals FROM led_to
       WHERE conversation_id IN (SELECT value FROM json_each(?)) ORDER BY conversation_id, campaign_id`,
      JSON.stringify(options.conversation_ids),
    );
  }

  async engagedBy(
    options: { user_ids: readonly string[]; limit: number } & Abortable,
  ): Promise<Engagement[]> {
    options.signal?.throwIfAborted();
    const users = this.db.all<{ user_id: string; edges: string }>(
      ENGAGED_BY,
      JSON.stringify(options.user_ids),
      options.limit,
    );
    return users.flatMap(({ user_id, edges }) =>
      (JSON.parse(edges) as EngagedTuple[]).map((edge) => engagement(user_id, edge))
    );
  }

  async intentsOf(options: { user_id: string; limit: number } & Abortable): Promise<IntentCount[]> {
    options.signal?.throwIfAborted();
    return this.db.all<IntentCount>(
      "SELECT user_id, intent, count, last FROM expressed WHERE user_id = ? ORDER BY count DESC, intent LIMIT ?",
      options.user_id,
      options.limit,
    );
  }

  async targeting(options: { intents: readonly string[]; limit: number } & Abortable): Promise<Target[]> {
    options.signal?.throwIfAborted();
    return this.db.all<Target>(
      `SELECT campaign_id, intent FROM targets WHERE intent IN (SELECT value FROM json_each(?))
       ORDER BY campaign_id, intent LIMIT ?`,
      JSON.stringify(options.intents),
      options.limit,
    );
  }

  async deleteUsers(options: { user_ids: readonly string[] } & Abortable): Promise<number> {
    let gone = 0;
    await this.db.writeEach(options.user_ids, (user_id) => {
      gone += this.db.run("DELETE FROM expressed WHERE user_id = ?", user_id);
      gone += this.db.run("DELETE FROM engaged WHERE user_id = ?", user_id);
      gone += this.db.run("DELETE FROM led_to WHERE user_id = ?", user_id);
    }, options);
    await this.db.scrub();
    return gone;
  }

  async deleteCampaigns(options: { campaign_ids: readonly string[] } & Abortable): Promise<number> {
    const engaged = await this.db.writeAll({
      sql: `DELETE FROM engaged WHERE (campaign_id, user_id) IN (
              SELECT campaign_id, user_id FROM engaged
              WHERE campaign_id IN (SELECT value FROM json_each(?)) LIMIT ?)`,
      values: [JSON.stringify(options.campaign_ids)],
      limit: PAGE,
      signal: options.signal,
    });
    const led_to = await this.db.writeAll({
      sql: `DELETE FROM led_to WHERE (conversation_id, campaign_id) IN (
              SELECT conversation_id, campaign_id FROM led_to
              WHERE campaign_id IN (SELECT value FROM json_each(?)) LIMIT ?)`,
      values: [JSON.stringify(options.campaign_ids)],
      limit: PAGE,
      signal: options.signal,
    });
    let targets = 0;
    await this.db.writeEach(options.campaign_ids, (campaign_id) => {
      targets += this.db.run("DELETE FROM targets WHERE campaign_id = ?", campaign_id);
      this.db.run("DELETE FROM campaigns WHERE campaign_id = ?", campaign_id);
    }, options);
    return engaged + led_to + targets;
  }

  async counts(options: Abortable = {}): Promise<GraphCounts> {
    options.signal?.throwIfAborted();
    return this.db.get<GraphCounts>(
      `SELECT (SELECT count(*) FROM (SELECT user_id FROM expressed UNION SELECT user_id FROM engaged
                                     UNION SELECT user_id FROM led_to)) AS users,
              (SELECT count(*) FROM (SELECT intent FROM expressed UNION SELECT intent FROM targets)) AS intents,
              (SELECT count(*) FROM campaigns) AS campaigns,
              (SELECT count(DISTINCT conversation_id) FROM led_to) AS conversations,
              (SELECT count(*) FROM expressed) AS expressed,
              (SELECT count(*) FROM engaged) AS engaged,
              (SELECT count(*) FROM led_to) AS led_to,
              (SELECT count(*) FROM targets) AS targets`,
    )!;
  }

  async isEmpty(options: Abortable = {}): Promise<boolean> {
    options.signal?.throwIfAborted();
    const tables = ["campaigns", "expressed", "engaged", "led_to", "targets"];
    return tables.every((table) => this.db.all(`SELECT 1 FROM ${table} LIMIT 1`).length === 0);
  }

  async digest(options: Abortable = {}): Promise<string> {
    const digest = new SetDigest();
    const tables = {
      expressed: "user_id, intent",
      engaged: "campaign_id, user_id",
      led_to: "conversation_id, campaign_id",
      targets: "campaign_id, intent",
    };
    for (const [table, key] of Object.entries(tables)) {
      for await (const edge of this.edges(table, key, options)) digest.add([table, edge]);
    }
    return digest.hex();
  }

  /** All edges of a table, in the order of its two key columns. */
  private async *edges(table: string, key: string, options: Abortable): AsyncGenerator<JsonObject> {
    const [first, second] = key.split(", ") as [string, string];
    const sql = `SELECT * FROM ${table} WHERE (${key}) > (?, ?) ORDER BY ${key} LIMIT ${PAGE}`;
    let after: JsonObject = { [first]: "", [second]: "" };
    while (true) {
      await yieldToEventLoop(options);
      const rows = this.db.all<JsonObject>(sql, after[first] as string, after[second] as string);
      yield* rows;
      if (rows.length < PAGE) return;
      after = rows.at(-1)!;
    }
  }

  async health(options: HealthOptions = {}): Promise<Health> {
    options.signal?.throwIfAborted();
    return this.db.health(options);
  }

  async close(): Promise<void> {
    this.db.close();
  }
}

function engagement(user_id: string, edge: EngagedTuple): Engagement {
  const [campaign_id, impressions, clicks, conversions, dismissals, last] = edge;
  return { user_id, campaign_id, impressions, clicks, conversions, dismissals, last };
}
