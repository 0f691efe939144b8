// deno-lint-ignore-file require-await -- the port is asynchronous, this engine is not
import type {
  Abortable,
  Campaign,
  DirtyUser,
  EngagementEvent,
  Health,
  HealthOptions,
  Kind,
  PageOptions,
  Published,
  WriteCounts,
} from "../../../core/types.ts";
import { SetDigest } from "../../engines/set_digest.ts";
import { KeyedTable } from "../../engines/keyed_table.ts";
import { DirtyUsers } from "../../engines/dirty_users.ts";
import { run } from "../../engines/sql.ts";
import { BASE_ROWS_REFILL, type Sqlite, type SqliteOptions } from "../../engines/sqlite/sqlite.ts";
import { SqliteDatabase } from "../../engines/sqlite/sqlite_database.ts";
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
import {
  ANALYTICS_MIGRATIONS,
  BY_CAMPAIGN,
  BY_RANK,
  BY_TYPE,
  byStrategySql,
  CAMPAIGNS,
  DAILY,
  DIRTY_USERS,
  EVENTS,
  FINAL_ENGAGEMENT,
  finalEngagement,
  type FinalEngagementRow,
  UNKNOWN,
  unknownCampaigns,
  USERS,
} from "../schema.ts";
import { SqliteReleases } from "./releases.ts";
import { SqliteWording } from "./wording.ts";

/** Rows that one transaction deletes at most. */
const DELETE_LIMIT = 500;

/** A sort with a limit needs memory for no more rows than that, however many events one user has. */
const NEWEST_EVENTS = `WHERE rowid IN (
    SELECT newest.rowid FROM (SELECT DISTINCT value AS user_id FROM json_each($1)) AS input
    JOIN events AS newest ON newest.rowid IN (
      SELECT rowid FROM events WHERE user_id = input.user_id ORDER BY timestamp DESC, event_id DESC LIMIT $2))
  ORDER BY user_id, timestamp, event_id`;

/**
 * {@link AnalyticsStore} in one SQLite file. Stats cover the campaigns that exist when they are built; events of a
 * campaign that is deleted stay, as they are what its users did.
 */
export class SqliteAnalytics implements AnalyticsStore {
  private readonly database: SqliteDatabase;
  private readonly db: Sqlite;
  private readonly catalogue: KeyedTable<Campaign>;
  private readonly events: KeyedTable<EngagementEvent>;
  private readonly dirtyUsers: DirtyUsers;
  private readonly releases: SqliteReleases;
  private readonly wording: SqliteWording;

  /** Opens or creates the file. The folder must exist; `:memory:` is a store that ends with the process. */
  constructor(options: Pick<SqliteOptions, "path" | "busy_ms" | "create">) {
    this.database = new SqliteDatabase({
      ...options,
      migrations: ANALYTICS_MIGRATIONS,
      refill: BASE_ROWS_REFILL,
    });
    this.db = this.database.sqlite;
    this.dirtyUsers = new DirtyUsers(this.database, DIRTY_USERS);
    this.releases = new SqliteReleases(this.db);
    this.wording = new SqliteWording(this.db);
    this.catalogue = new KeyedTable(this.database, CAMPAIGNS);
    this.events = new KeyedTable(this.database, EVENTS);
  }

  upsertCampaigns(options: { campaigns: readonly Campaign[] } & Abortable): Promise<WriteCounts> {
    return this.catalogue.upsert({ rows: options.campaigns, signal: options.signal });
  }

  campaigns(options: { campaign_ids: readonly string[] } & Abortable): Promise<Campaign[]> {
    return this.catalogue.select(
      "WHERE campaign_id IN (SELECT value FROM json_each($1)) ORDER BY campaign_id",
      [JSON.stringify(options.campaign_ids)],
      options,
    );
  }

  campaignPage(options: PageOptions): Promise<Campaign[]> {
    return this.catalogue.page(options);
  }

  async deleteCampaigns(options: { campaign_ids: readonly string[] } & Abortable): Promise<number> {
    let deleted = 0;
    await this.db.writeEach(options.campaign_ids, (id) => {
      deleted += this.db.run("DELETE FROM campaigns WHERE campaign_id = ?", id);
      this.db.run("DELETE FROM stats WHERE campaign_id = ?", id);
    }, options);
    return deleted;
  }

  upsertEvents(options: { events: readonly EngagementEvent[] } & Abortable): Promise<WriteCounts> {
    // An epoch is the number of the user's last write: it grows, and is never used again after an erasure.
    const markDirty = (users: readonly string[]) => this.dirtyUsers.mark(users, { epochs: "epoch" });
    return this.events.upsert({ rows: options.events, markDirty, signal: options.signal });
  }

  listDirtyUsers(options: PageOptions): Promise<DirtyUser[]> {
    return this.dirtyUsers.page(options);
  }

  markAllDirty(options: Abortable = {}): Promise<void> {
    return this.dirtyUsers.markAll("events", options);
  }

  clearDirty(options: { users: readonly DirtyUser[] } & Abortable): Promise<void> {
    return this.dirtyUsers.clear(options.users, options);
  }

  async users(options: PageOptions): Promise<string[]> {
    options.signal?.throwIfAborted();
    const rows = this.db.all<{ user_id: string }>(USERS("?", "?"), options.after ?? "", options.limit);
    return rows.map(({ user_id }) => user_id);
  }

  async engagement(options: { user_ids: readonly string[] } & Abortable): Promise<Engagement[]> {
    options.signal?.throwIfAborted();
    return this.db.all<Engagement>(
      `SELECT user_id, campaign_id, ${BY_TYPE}, max(timestamp) AS last
       FROM events WHERE user_id IN (SELECT value FROM json_each(?))
       GROUP BY user_id, campaign_id ORDER BY user_id, campaign_id`,
      JSON.stringify(options.user_ids),
    );
  }

  eventsOf(options: { user_ids: readonly string[]; limit: number } & Abortable): Promise<EngagementEvent[]> {
    return this.events.select(NEWEST_EVENTS, [JSON.stringify(options.user_ids), options.limit], options);
  }

  async daily(options: TimeSpan): Promise<EngagementDay[]> {
    options.signal?.throwIfAborted();
    return this.db.all<EngagementDay>(
      `${DAILY} WHERE timestamp >= ? AND timestamp < ? GROUP BY day ORDER BY day`,
      options.since,
      options.until,
    );
  }

  async byCampaign(options: TimeSpan & { limit: number }): Promise<CampaignEngagement[]> {
    options.signal?.throwIfAborted();
    return this.db.all<CampaignEngagement>(
      `${BY_CAMPAIGN} WHERE timestamp >= ? AND timestamp < ? ${BY_RANK} LIMIT ?`,
      ...[options.since, options.until, options.limit],
    );
  }

  async byStrategy(options: TimeSpan & { limit: number }): Promise<StrategyEngagement[]> {
    options.signal?.throwIfAborted();
    const strategy = "CASE json_type(metadata, '$.strategy') WHEN 'text' THEN metadata ->> '$.strategy' END";
    const sql = byStrategySql(strategy, "timestamp >= ? AND timestamp < ?");
    return this.db.all<StrategyEngagement>(`${sql} LIMIT ?`, options.since, options.until, options.limit);
  }

  async finalEngagement(options: { user_id: string } & Abortable): Promise<FinalEngagement[]> {
    options.signal?.throwIfAborted();
    return finalEngagement(this.db.all<FinalEngagementRow>(FINAL_ENGAGEMENT("?"), options.user_id));
  }

  async epoch(options: { user_id: string } & Abortable): Promise<number> {
    options.signal?.throwIfAborted();
    const sql = "SELECT epoch FROM epochs WHERE user_id = ?";
    return this.db.get<{ epoch: number }>(sql, options.user_id)?.epoch ?? 0;
  }

  async unknownCampaigns(options: { limit: number } & Abortable): Promise<UnknownCampaigns> {
    options.signal?.throwIfAborted();
    return unknownCampaigns(this.db.all<{ campaign_id: string; events: number }>(UNKNOWN), options.limit);
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

  async source(options: { kind: Kind; uri: string } & Abortable): Promise<SourceRecord | null> {
    options.signal?.throwIfAborted();
    const sql = "SELECT * FROM sources WHERE kind = ? AND uri = ?";
    return this.db.get<SourceRecord>(sql, options.kind, options.uri);
  }

  async sources(options: Abortable = {}): Promise<SourceRecord[]> {
    options.signal?.throwIfAborted();
    return this.db.all<SourceRecord>("SELECT * FROM sources ORDER BY kind, uri");
  }

  async forgetSources(options: { uris: readonly string[] } & Abortable): Promise<void> {
    const sql = "DELETE FROM sources WHERE uri IN (SELECT value FROM json_each(?))";
    await this.db.write(() => this.db.run(sql, JSON.stringify(options.uris)), options);
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
    const users = JSON.stringify(options.user_ids);
    const deleted = await this.db.writeAll({
      sql: `DELETE FROM events WHERE rowid IN (
              SELECT events.rowid FROM events WHERE user_id IN (SELECT value FROM json_each(?)) LIMIT ?)`,
      values: [users],
      limit: DELETE_LIMIT,
      signal: options.signal,
    });
    await this.wording.deleteUsers(options);
    const { dirtyUsers } = this;
    await this.database.write(function* () {
      yield* dirtyUsers.forget(options.user_ids);
      yield* run("DELETE FROM epochs WHERE user_id IN (SELECT value FROM json_each($1))", users);
    }, options);
    await this.db.scrub();
    return deleted;
  }

  async counts(options: Abortable = {}): Promise<AnalyticsCounts> {
    options.signal?.throwIfAborted();
    return this.db.get<AnalyticsCounts>(
      `SELECT (SELECT count(*) FROM campaigns) AS campaigns, (SELECT count(*) FROM events) AS events,
              (SELECT count(DISTINCT user_id) FROM events) AS users`,
    )!;
  }

  async digest(options: Abortable = {}): Promise<string> {
    const digest = new SetDigest();
    for await (const row of this.catalogue.rows(options)) digest.add(["campaign", { ...row }]);
    for await (const row of this.events.rows(options)) digest.add(["event", { ...row }]);
    return digest.hex();
  }

  async health(options: HealthOptions = {}): Promise<Health> {
    options.signal?.throwIfAborted();
    return this.db.health(options);
  }

  async close(): Promise<void> {
    this.db.close();
  }
}
