import type {
  Abortable,
  Campaign,
  DirtyUser,
  EngagementEvent,
  Health,
  Kind,
  PageOptions,
  Published,
  WriteCounts,
} from "../../../core/types.ts";
import { SetDigest } from "../../engines/set_digest.ts";
import { Postgres } from "../../engines/postgres/postgres.ts";
import { type Queryable, unnestOf } from "../../engines/postgres/session.ts";
import type {
  AnalyticsCounts,
  AnalyticsStore,
  BuildStatsOptions,
  CampaignEngagement,
  CampaignStats,
  ConversationWords,
  Engagement,
  EngagementDay,
  FinalEngagement,
  ProfileWords,
  PublishOptions,
  SetWordsOptions,
  SourceRecord,
  StrategyEngagement,
  TimeSpan,
  UnknownCampaigns,
  VersionFile,
} from "../port.ts";
import { PostgresRows } from "./rows.ts";
import { PostgresReleases } from "./releases.ts";
import { deleteWords, PostgresWording } from "./wording.ts";
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
/** Users that one statement of `markAllDirty` marks at most. */
const MAX_DIRTY_PER_STATEMENT = 500;
const DIRTY_PAGE =
  `WITH page AS (SELECT DISTINCT user_id FROM events WHERE user_id > $1 ORDER BY user_id LIMIT $2),
  marked AS (INSERT INTO touched SELECT user_id, nextval('writes') FROM page ORDER BY user_id
              ON CONFLICT (user_id) DO UPDATE SET token = nextval('writes'))
  SELECT user_id FROM page ORDER BY user_id`;
const NEWEST_EVENTS = `WHERE event_id IN (
    SELECT newest.event_id FROM (SELECT DISTINCT user_id FROM unnest($1::text[]) AS user_id) AS input
    CROSS JOIN LATERAL (SELECT event_id FROM events WHERE events.user_id = input.user_id
      ORDER BY timestamp DESC, event_id DESC LIMIT $2) AS newest)
  ORDER BY user_id, timestamp, event_id`;
/** For statements that read a whole table. */
const WHOLE = { timeout_ms: 60_000 };

/**
 * {@link AnalyticsStore} in PostgreSQL, with the queries of the embedded one. Erased rows are gone for every query at once;
 * their bytes leave the server's files with the next vacuum, and its backups when those expire.
 */
export class PostgresAnalytics implements AnalyticsStore {
  private readonly db: Postgres;
  private readonly catalogue: PostgresRows<Campaign>;
  private readonly events: PostgresRows<EngagementEvent>;
  private readonly releases: PostgresReleases;
  private readonly wording: PostgresWording;

  /** Connects at the first call. `url` is as {@link Postgres} takes it. */
  constructor({ url }: { url: URL }) {
    this.db = new Postgres({ url, store: "analytics", migrations: ANALYTICS_MIGRATIONS });
    this.catalogue = new PostgresRows(this.db, CAMPAIGNS);
    this.events = new PostgresRows(this.db, EVENTS);
    this.releases = new PostgresReleases(this.db);
    this.wording = new PostgresWording(this.db);
  }

  upsertCampaigns(options: { campaigns: readonly Campaign[] } & Abortable): Promise<WriteCounts> {
    return this.catalogue.upsert({ rows: options.campaigns, signal: options.signal });
  }

  campaigns(options: { campaign_ids: readonly string[] } & Abortable): Promise<Campaign[]> {
    const clause = "WHERE campaign_id = ANY($1::text[]) ORDER BY campaign_id";
    return this.catalogue.select(clause, [options.campaign_ids], options);
  }

  campaignPage(options: PageOptions): Promise<Campaign[]> {
    return this.catalogue.page(options);
  }

  deleteCampaigns(options: { campaign_ids: readonly string[] } & Abortable): Promise<number> {
    return this.db.write(async (session) => {
      await session.run("DELETE FROM stats WHERE campaign_id = ANY($1::text[])", [options.campaign_ids]);
      return await session.run("DELETE FROM campaigns WHERE campaign_id = ANY($1::text[])", [
        options.campaign_ids,
      ]);
    }, options);
  }

  upsertEvents(options: { events: readonly EngagementEvent[] } & Abortable): Promise<WriteCounts> {
    return this.events.upsert({ rows: options.events, markDirty, signal: options.signal });
  }

  listDirtyUsers(options: PageOptions): Promise<DirtyUser[]> {
    return this.db.all<DirtyUser>(
      `SELECT user_id, token::text AS token FROM touched WHERE user_id > $1 ORDER BY user_id LIMIT $2`,
      [options.after ?? "", options.limit],
      options,
    );
  }

  async markAllDirty(options: Abortable = {}): Promise<void> {
    for (let after: string | undefined = ""; after !== undefined;) {
      // It may be repeated as reads are, since marking twice does the same as marking once.
      const values = [after, MAX_DIRTY_PER_STATEMENT];
      const page: { user_id: string }[] = await this.db.all(DIRTY_PAGE, values, options);
      after = page.at(-1)?.user_id;
    }
  }

  async clearDirty(options: { users: readonly DirtyUser[] } & Abortable): Promise<void> {
    await this.db.run(
      `DELETE FROM touched USING ${unnestOf({ user_id: "text", token: "bigint" })}
       WHERE touched.user_id = input.user_id AND touched.token = input.token`,
      [options.users.map(({ user_id }) => user_id), options.users.map(({ token }) => token)],
      options,
    );
  }

  async users({ after, limit, signal }: PageOptions): Promise<string[]> {
    const sql = USERS("$1", "$2");
    const rows = await this.db.all<{ user_id: string }>(sql, [after ?? "", limit], { signal });
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

  async daily(options: TimeSpan): Promise<EngagementDay[]> {
    const sql = `${DAILY} WHERE timestamp >= $1 AND timestamp < $2 GROUP BY day ORDER BY day`;
    return await this.db.all<EngagementDay>(sql, [options.since, options.until], options);
  }

  async byCampaign(options: TimeSpan & { limit: number }): Promise<CampaignEngagement[]> {
    const sql = `${BY_CAMPAIGN} WHERE timestamp >= $1 AND timestamp < $2 ${BY_RANK} LIMIT $3`;
    return await this.db.all<CampaignEngagement>(sql, [options.since, options.until, options.limit], options);
  }

  async byStrategy(options: TimeSpan & { limit: number }): Promise<StrategyEngagement[]> {
    const json = "metadata::json";
    const strategy = `CASE json_typeof(${json} -> 'strategy') WHEN 'string' THEN ${json} ->> 'strategy' END`;
    const sql = `${byStrategySql(strategy, "timestamp >= $1 AND timestamp < $2")} LIMIT $3`;
    return await this.db.all<StrategyEngagement>(sql, [options.since, options.until, options.limit], options);
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

  async unknownCampaigns({ limit, signal }: { limit: number } & Abortable): Promise<UnknownCampaigns> {
    const rows = await this.db.read(
      (session) => session.all<{ campaign_id: string; events: number }>(UNKNOWN),
      { ...WHOLE, signal },
    );
    return unknownCampaigns(rows, limit);
  }

  buildStats(options: BuildStatsOptions): Promise<{ campaigns: number }> {
    return this.releases.buildStats(options);
  }

  stats(options: { version: number; campaign_ids: readonly string[] } & Abortable): Promise<CampaignStats[]> {
    return this.releases.stats(options);
  }

  popular(options: { version: number; limit: number } & Abortable): Promise<CampaignStats[]> {
    return this.releases.popular(options);
  }

  saveFile(options: VersionFile & { bytes: Uint8Array }): Promise<void> {
    return this.releases.saveFile(options);
  }

  file(options: VersionFile): Promise<Uint8Array<ArrayBuffer> | null> {
    return this.releases.file(options);
  }

  published(options?: Abortable): Promise<Published | null> {
    return this.releases.published(options);
  }

  publish(options: PublishOptions): Promise<Published> {
    return this.releases.publish(options);
  }

  source(options: { kind: Kind; uri: string } & Abortable): Promise<SourceRecord | null> {
    const sql = "SELECT * FROM sources WHERE kind = $1 AND uri = $2";
    return this.db.get<SourceRecord>(sql, [options.kind, options.uri], options);
  }

  sources(options: Abortable = {}): Promise<SourceRecord[]> {
    return this.db.all<SourceRecord>("SELECT * FROM sources ORDER BY kind, uri", [], options);
  }

  async forgetSources(options: { uris: readonly string[] } & Abortable): Promise<void> {
    await this.db.run("DELETE FROM sources WHERE uri = ANY($1::text[])", [options.uris], options);
  }

  setWords(options: SetWordsOptions): Promise<void> {
    return this.wording.setWords(options);
  }

  profileWords(options: { user_id: string } & Abortable): Promise<ProfileWords | null> {
    return this.wording.profileWords(options);
  }

  conversationWords(options: PageOptions): Promise<ConversationWords[]> {
    return this.wording.conversationWords(options);
  }

  async deleteUsers(options: { user_ids: readonly string[] } & Abortable): Promise<number> {
    let total = 0;
    while (true) {
      const deleted = await this.deleteSome(options);
      total += deleted;
      if (deleted < DELETE_LIMIT) return total;
    }
  }

  /** Deletes events, and with the last of them all other rows of these users, in the same transaction. */
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

  counts(options: Abortable = {}): Promise<AnalyticsCounts> {
    const sql =
      `SELECT (SELECT count(*) FROM campaigns) AS campaigns, (SELECT count(*) FROM events) AS events,
        (SELECT count(DISTINCT user_id) FROM events) AS users`;
    const limits = { ...WHOLE, signal: options.signal };
    return this.db.read(async (session) => (await session.get<AnalyticsCounts>(sql))!, limits);
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
 * A number is taken once the user's row is locked, so that it is greater than all that were committed for this user. An
 * epoch therefore grows, and is never used again after an erasure.
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
