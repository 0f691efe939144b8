import type {
  Abortable,
  Campaign,
  DirtyUser,
  EngagementEvent,
  Health,
  Kind,
  Published,
  WriteCounts,
} from "../../../core/types.ts";
import { SetDigest } from "../../engines/set_digest.ts";
import { Postgres } from "../../engines/postgres/postgres.ts";
import { postgresDialect } from "../../engines/postgres/schema.ts";
import { type Queryable, unnestOf } from "../../engines/postgres/session.ts";
import type {
  AnalyticsCounts,
  AnalyticsStore,
  BuildStats,
  CampaignEngagement,
  CampaignStats,
  ConversationWords,
  Engagement,
  EngagementDay,
  FinalEngagement,
  ProfileWords,
  SourceRecord,
  StrategyEngagement,
  UnknownCampaigns,
} from "../port.ts";
import { PostgresRows } from "./rows.ts";
import { PostgresVersions } from "./versions.ts";
import { deleteWords, PostgresWords } from "./words.ts";
import {
  ANALYTICS_MIGRATIONS,
  BY_CAMPAIGN,
  BY_RANK,
  BY_TYPE,
  byStrategySql,
  CAMPAIGNS,
  DAILY,
  EVENTS,
  FINAL_ENGAGEMENT,
  finalEngagement,
  type FinalEngagementRow,
  UNKNOWN,
  unknownCampaigns,
  USERS,
} from "../schema.ts";

/** Rows that one transaction deletes at most. */
const DELETE_LIMIT = 10_000;
/** Users that one statement touches at most, where all are touched. */
const MAX_DIRTY_PER_STATEMENT = 500;
const DIRTY_PAGE =
  `WITH page AS (SELECT DISTINCT user_id FROM events WHERE user_id > $1 ORDER BY user_id LIMIT $2),
  written AS (INSERT INTO touched SELECT user_id, nextval('writes') FROM page ORDER BY user_id
              ON CONFLICT (user_id) DO UPDATE SET token = nextval('writes'))
  SELECT user_id FROM page ORDER BY user_id`;
const NEWEST_EVENTS = `WHERE event_id IN (
    SELECT newest.event_id FROM (SELECT DISTINCT user_id FROM unnest($1::text[]) AS user_id) AS input
    CROSS JOIN LATERAL (SELECT event_id FROM events WHERE events.user_id = input.user_id
      ORDER BY timestamp DESC, event_id DESC LIMIT $2) AS newest)
  ORDER BY user_id, timestamp, event_id`;
/** For what reads a whole table. */
const WHOLE = { timeout_ms: 60_000 };

/**
 * The tables of SQLite. Only the tokens of touches come from a sequence instead of a counter in a row, for which all
 * writers would have to wait until the one before has committed.
 */
export const MIGRATIONS = ANALYTICS_MIGRATIONS.map((sql, version) => {
  const same = postgresDialect(sql).replaceAll(/\bonly\b/g, '"only"');
  return version === 0 ? `${same}; DROP TABLE writes; CREATE SEQUENCE writes` : same;
});

/**
 * {@link AnalyticsStore} in PostgreSQL, with the questions of the embedded one. What is erased is gone for every
 * question at once; its bytes leave the server's files when they are next vacuumed, and its backups with those.
 */
export class PostgresAnalytics implements AnalyticsStore {
  private readonly db: Postgres;
  private readonly catalogue: PostgresRows<Campaign>;
  private readonly events: PostgresRows<EngagementEvent>;
  private readonly versions: PostgresVersions;
  private readonly words: PostgresWords;

  /** Connects at the first question. `url` is as {@link Postgres} takes it. */
  constructor({ url }: { url: URL }) {
    this.db = new Postgres({ url, store: "analytics", migrations: MIGRATIONS });
    this.catalogue = new PostgresRows(this.db, CAMPAIGNS);
    this.events = new PostgresRows(this.db, EVENTS);
    this.versions = new PostgresVersions(this.db);
    this.words = new PostgresWords(this.db);
  }

  upsertCampaigns(options: { campaigns: readonly Campaign[] } & Abortable): Promise<WriteCounts> {
    return this.catalogue.upsert({ rows: options.campaigns, signal: options.signal });
  }

  upsertEvents(options: { events: readonly EngagementEvent[] } & Abortable): Promise<WriteCounts> {
    return this.events.upsert({ rows: options.events, markDirty, signal: options.signal });
  }

  listDirtyUsers(options: { after: string | null; limit: number } & Abortable): Promise<DirtyUser[]> {
    return this.db.all<DirtyUser>(
      `SELECT user_id, token::text AS token FROM touched WHERE user_id > $1 ORDER BY user_id LIMIT $2`,
      [options.after ?? "", options.limit],
      options,
    );
  }

  async markAllDirty(options: Abortable = {}): Promise<void> {
    for (let after: string | undefined = ""; after !== undefined;) {
      // Twice is as good as once, so it may be asked again as a question is.
      const page: { user_id: string }[] = await this.db.all(
        DIRTY_PAGE,
        [after, MAX_DIRTY_PER_STATEMENT],
        options,
      );
      after = page.at(-1)?.user_id;
    }
  }

  async clearDirty(options: { touched: readonly DirtyUser[] } & Abortable): Promise<void> {
    await this.db.run(
      `DELETE FROM touched USING ${unnestOf({ user_id: "text", token: "bigint" })}
       WHERE touched.user_id = input.user_id AND touched.token = input.token`,
      [options.touched.map((touch) => touch.user_id), options.touched.map((touch) => touch.token)],
      options,
    );
  }

  async users(options: { after: string | null; limit: number } & Abortable): Promise<string[]> {
    const rows = await this.db.all<{ user_id: string }>(USERS("$1", "$2"), [
      options.after ?? "",
      options.limit,
    ], options);
    return rows.map(({ user_id }) => user_id);
  }

  engagement(options: { user_ids: readonly string[] } & Abortable): Promise<Engagement[]> {
    const sql = `SELECT user_id, campaign_id, ${BY_TYPE}, max(timestamp) AS last FROM events
      WHERE user_id = ANY($1::text[]) GROUP BY user_id, campaign_id ORDER BY user_id, campaign_id`;
    return this.db.all<Engagement>(sql, [options.user_ids], options);
  }

  eventsOf(options: { user_ids: readonly string[]; limit: number } & Abortable): Promise<EngagementEvent[]> {
    return this.events.select(NEWEST_EVENTS, [options.user_ids, options.limit], options);
  }

  campaigns(options: { campaign_ids: readonly string[] } & Abortable): Promise<Campaign[]> {
    const clause = "WHERE campaign_id = ANY($1::text[]) ORDER BY campaign_id";
    return this.catalogue.select(clause, [options.campaign_ids], options);
  }

  campaignPage(options: { after: string | null; limit: number } & Abortable): Promise<Campaign[]> {
    return this.catalogue.page(options);
  }

  stats(options: { version: number; campaign_ids: readonly string[] } & Abortable): Promise<CampaignStats[]> {
    return this.versions.stats(options);
  }

  popular(options: { version: number; limit: number } & Abortable): Promise<CampaignStats[]> {
    return this.versions.popular(options);
  }

  async daily(options: { since: string; until: string } & Abortable): Promise<EngagementDay[]> {
    const sql = `${DAILY} WHERE timestamp >= $1 AND timestamp < $2 GROUP BY day ORDER BY day`;
    return await this.db.all<EngagementDay>(sql, [options.since, options.until], options);
  }

  async byCampaign(
    options: { since: string; until: string; limit: number } & Abortable,
  ): Promise<CampaignEngagement[]> {
    const sql = `${BY_CAMPAIGN} WHERE timestamp >= $1 AND timestamp < $2 ${BY_RANK} LIMIT $3`;
    return await this.db.all<CampaignEngagement>(sql, [options.since, options.until, options.limit], options);
  }

  async byStrategy(
    options: { since: string; until: string; limit: number } & Abortable,
  ): Promise<StrategyEngagement[]> {
    const json = "metadata::json";
    const named = `CASE json_typeof(${json} -> 'strategy') WHEN 'string' THEN ${json} ->> 'strategy' END`;
    const sql = byStrategySql(named, "timestamp >= $1 AND timestamp < $2");
    return await this.db.all<StrategyEngagement>(`${sql} LIMIT $3`, [
      options.since,
      options.until,
      options.limit,
    ], options);
  }

  async finalEngagement(options: { user_id: string } & Abortable): Promise<FinalEngagement[]> {
    return finalEngagement(
      await this.db.all<FinalEngagementRow>(FINAL_ENGAGEMENT("$1"), [options.user_id], options),
    );
  }

  async epoch(options: { user_id: string } & Abortable): Promise<number> {
    const sql = "SELECT epoch FROM epochs WHERE user_id = $1";
    return (await this.db.get<{ epoch: number }>(sql, [options.user_id], options))?.epoch ?? 0;
  }

  buildStats(options: BuildStats): Promise<{ campaigns: number }> {
    return this.versions.build(options);
  }

  setWords(options: Parameters<AnalyticsStore["setWords"]>[0]): Promise<void> {
    return this.words.set(options);
  }

  profileWords(options: { user_id: string } & Abortable): Promise<ProfileWords | null> {
    return this.words.ofProfile(options);
  }

  conversationWords(
    options: { after: string | null; limit: number } & Abortable,
  ): Promise<ConversationWords[]> {
    return this.words.conversations(options);
  }

  saveFile(options: { version: number; name: string; bytes: Uint8Array } & Abortable): Promise<void> {
    return this.versions.saveFile(options);
  }

  file(options: { version: number; name: string } & Abortable): Promise<Uint8Array<ArrayBuffer> | null> {
    return this.versions.file(options);
  }

  published(options: Abortable = {}): Promise<Published | null> {
    return this.versions.published(options);
  }

  publish(
    options: { published: Omit<Published, "previous">; sources: readonly SourceRecord[] } & Abortable,
  ): Promise<Published> {
    return this.versions.publish(options);
  }

  source(options: { kind: Kind; uri: string } & Abortable): Promise<SourceRecord | null> {
    const sql = "SELECT * FROM sources WHERE kind = $1 AND uri = $2";
    return this.db.get<SourceRecord>(sql, [options.kind, options.uri], options);
  }

  /** In ascending kind and URI. */
  sources(options: Abortable = {}): Promise<SourceRecord[]> {
    return this.db.all<SourceRecord>("SELECT * FROM sources ORDER BY kind, uri", [], options);
  }

  async forgetSources(options: { uris: readonly string[] } & Abortable): Promise<void> {
    await this.db.run("DELETE FROM sources WHERE uri = ANY($1::text[])", [options.uris], options);
  }

  async deleteUsers(options: { user_ids: readonly string[] } & Abortable): Promise<number> {
    let gone = 0;
    while (true) {
      const deleted = await this.deleteSome(options);
      gone += deleted;
      if (deleted < DELETE_LIMIT) return gone;
    }
  }

  /** Events, and at the last of them what else there is of these users, in the same transaction. */
  private deleteSome({ user_ids, signal }: { user_ids: readonly string[] } & Abortable): Promise<number> {
    return this.db.write(async (session) => {
      const deleted = await session.run(
        `DELETE FROM events WHERE event_id IN (
           SELECT event_id FROM events WHERE user_id = ANY($1::text[]) LIMIT $2)`,
        [user_ids, DELETE_LIMIT],
      );
      if (deleted < DELETE_LIMIT) {
        for (const table of ["touched", "epochs"]) {
          await session.run(`DELETE FROM ${table} WHERE user_id = ANY($1::text[])`, [user_ids]);
        }
        await deleteWords(session, user_ids);
      }
      return deleted;
    }, { ...WHOLE, signal });
  }

  deleteCampaigns(options: { campaign_ids: readonly string[] } & Abortable): Promise<number> {
    return this.db.write(async (session) => {
      await session.run("DELETE FROM stats WHERE campaign_id = ANY($1::text[])", [options.campaign_ids]);
      return await session.run("DELETE FROM campaigns WHERE campaign_id = ANY($1::text[])", [
        options.campaign_ids,
      ]);
    }, options);
  }

  counts(options: Abortable = {}): Promise<AnalyticsCounts> {
    const sql =
      `SELECT (SELECT count(*) FROM campaigns) AS campaigns, (SELECT count(*) FROM events) AS events,
        (SELECT count(DISTINCT user_id) FROM events) AS users`;
    const limits = { ...WHOLE, signal: options.signal };
    return this.db.read(async (session) => (await session.get<AnalyticsCounts>(sql))!, limits);
  }

  async unknownCampaigns({ limit, signal }: { limit: number } & Abortable): Promise<UnknownCampaigns> {
    const rows = await this.db.read(
      (session) => session.all<{ campaign_id: string; events: number }>(UNKNOWN),
      { ...WHOLE, signal },
    );
    return unknownCampaigns(rows, limit);
  }

  async digest(options: Abortable = {}): Promise<string> {
    const digest = new SetDigest();
    for await (const row of this.catalogue.rows(options)) digest.add(["campaign", { ...row }]);
    for await (const row of this.events.rows(options)) digest.add(["event", { ...row }]);
    return digest.hex();
  }

  health(options: Abortable = {}): Promise<Health> {
    return this.db.health(options);
  }

  close(): Promise<void> {
    return this.db.close();
  }
}

/**
 * A number is drawn when the user's row is held, so that it is beyond all that were committed for this user. An epoch
 * therefore grows, and never comes again after an erasure.
 */
async function markDirty(session: Queryable, user_ids: readonly string[]): Promise<void> {
  if (user_ids.length === 0) return;
  for (const [table, column] of [["touched", "token"], ["epochs", "epoch"]]) {
    await session.run(
      `INSERT INTO ${table} SELECT user_id, nextval('writes') FROM ${unnestOf({ user_id: "text" })}
       ON CONFLICT (user_id) DO UPDATE SET ${column} = nextval('writes')`,
      [user_ids],
    );
  }
}
