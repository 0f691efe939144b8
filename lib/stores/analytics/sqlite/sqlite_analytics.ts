// deno-lint-ignore-file require-await -- the port is asynchronous, this engine is not
import type {
  Abortable,
  Campaign,
  EngagementEvent,
  Health,
  HealthOptions,
  Kind,
  Published,
  Touched,
  WriteCounts,
} from "../../../core/types.ts";
import { SetDigest } from "../../engines/set_digest.ts";
import { KeyedTable } from "../../engines/keyed_table.ts";
import { BASE_ROWS_REFILL, Sqlite, type SqliteOptions } from "../../engines/sqlite/sqlite.ts";
import { Touches } from "../../engines/sqlite/dirty_users.ts";
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
import {
  ANALYTICS_MIGRATIONS,
  BY_CAMPAIGN,
  BY_TYPE,
  byStrategySql,
  CAMPAIGNS,
  DAILY,
  EVENTS,
  FINAL_ENGAGEMENT,
  finalEngagement,
  type FinalEngagementRow,
  MOST_FIRST,
  UNKNOWN,
  unknownCampaigns,
  USERS,
} from "../schema.ts";
import { VersionFiles } from "../version_files.ts";
import { Versions } from "../versions.ts";
import { Words } from "./words.ts";

/** Rows that one transaction deletes at most. */
const DELETE_LIMIT = 500;

/** A sort that is cut off holds no more than its limit, however many events one user has. */
const NEWEST_EVENTS = `WHERE rowid IN (
    SELECT newest.rowid FROM (SELECT DISTINCT value AS user_id FROM json_each(?1)) AS given
    JOIN events AS newest ON newest.rowid IN (
      SELECT rowid FROM events WHERE user_id = given.user_id ORDER BY timestamp DESC, event_id DESC LIMIT ?2))
  ORDER BY user_id, timestamp, event_id`;

/**
 * {@link AnalyticsStore} in one SQLite file. Stats cover the campaigns that exist when they are built; events of a
 * campaign that is deleted stay, as they are what its users did.
 */
export class SqliteAnalytics implements AnalyticsStore {
  private readonly db: Sqlite;
  private readonly catalogue: KeyedTable<Campaign>;
  private readonly events: KeyedTable<EngagementEvent>;
  private readonly touches: Touches;
  private readonly versions: Versions;
  private readonly files: VersionFiles;
  private readonly words: Words;

  /** Opens the file, or makes it. The folder must exist; `:memory:` is a store that ends with the process. */
  constructor(o: Pick<SqliteOptions, "path" | "busy_ms" | "create">) {
    this.db = new Sqlite({ ...o, migrations: ANALYTICS_MIGRATIONS, refill: BASE_ROWS_REFILL });
    this.touches = new Touches(this.db);
    this.versions = new Versions(this.db);
    this.files = new VersionFiles(this.db);
    this.words = new Words(this.db);
    this.catalogue = new KeyedTable(this.db, CAMPAIGNS);
    this.events = new KeyedTable(this.db, EVENTS);
  }

  upsertCampaigns(o: { campaigns: readonly Campaign[] } & Abortable): Promise<WriteCounts> {
    return this.catalogue.upsert({ rows: o.campaigns, signal: o.signal });
  }

  upsertEvents(o: { events: readonly EngagementEvent[] } & Abortable): Promise<WriteCounts> {
    return this.events.upsert({ rows: o.events, touch: (users) => this.touch(users), signal: o.signal });
  }

  /** An epoch is the token of the user's last write: it grows, and never comes again after an erasure. */
  private touch(user_ids: readonly string[]): void {
    const token = this.touches.touch(user_ids);
    this.db.run(
      `INSERT INTO epochs SELECT value, ? FROM json_each(?) WHERE true
       ON CONFLICT (user_id) DO UPDATE SET epoch = excluded.epoch`,
      token,
      JSON.stringify(user_ids),
    );
  }

  async touched(o: { after: string | null; limit: number } & Abortable): Promise<Touched[]> {
    o.signal?.throwIfAborted();
    return this.touches.page(o);
  }

  touchAll(o: Abortable = {}): Promise<void> {
    return this.touches.touchAll("events", o);
  }

  settle(o: { touched: readonly Touched[] } & Abortable): Promise<void> {
    return this.touches.settle(o.touched, o);
  }

  async users(o: { after: string | null; limit: number } & Abortable): Promise<string[]> {
    o.signal?.throwIfAborted();
    const rows = this.db.all<{ user_id: string }>(USERS("?", "?"), o.after ?? "", o.limit);
    return rows.map(({ user_id }) => user_id);
  }

  async engagement(o: { user_ids: readonly string[] } & Abortable): Promise<Engagement[]> {
    o.signal?.throwIfAborted();
    return this.db.all<Engagement>(
      `SELECT user_id, campaign_id, ${BY_TYPE}, max(timestamp) AS last
       FROM events WHERE user_id IN (SELECT value FROM json_each(?))
       GROUP BY user_id, campaign_id ORDER BY user_id, campaign_id`,
      JSON.stringify(o.user_ids),
    );
  }

  async eventsOf(
    o: { user_ids: readonly string[]; limit: number } & Abortable,
  ): Promise<EngagementEvent[]> {
    o.signal?.throwIfAborted();
    return this.events.select(NEWEST_EVENTS, JSON.stringify(o.user_ids), o.limit);
  }

  async campaigns(o: { campaign_ids: readonly string[] } & Abortable): Promise<Campaign[]> {
    o.signal?.throwIfAborted();
    return this.catalogue.select(
      "WHERE campaign_id IN (SELECT value FROM json_each(?)) ORDER BY campaign_id",
      JSON.stringify(o.campaign_ids),
    );
  }

  async campaignPage(o: { after: string | null; limit: number } & Abortable): Promise<Campaign[]> {
    o.signal?.throwIfAborted();
    return this.catalogue.page(o);
  }

  async stats(o: { version: number; campaign_ids: readonly string[] } & Abortable): Promise<CampaignStats[]> {
    o.signal?.throwIfAborted();
    return this.versions.stats(o);
  }

  async popular(o: { version: number; limit: number } & Abortable): Promise<CampaignStats[]> {
    o.signal?.throwIfAborted();
    return this.versions.popular(o);
  }

  async daily(o: { since: string; until: string } & Abortable): Promise<EngagementDay[]> {
    o.signal?.throwIfAborted();
    return this.db.all<EngagementDay>(
      `${DAILY} WHERE timestamp >= ? AND timestamp < ? GROUP BY day ORDER BY day`,
      o.since,
      o.until,
    );
  }

  async byCampaign(
    o: { since: string; until: string; limit: number } & Abortable,
  ): Promise<CampaignEngagement[]> {
    o.signal?.throwIfAborted();
    return this.db.all<CampaignEngagement>(
      `${BY_CAMPAIGN} WHERE timestamp >= ? AND timestamp < ? ${MOST_FIRST} LIMIT ?`,
      ...[o.since, o.until, o.limit],
    );
  }

  async byStrategy(
    o: { since: string; until: string; limit: number } & Abortable,
  ): Promise<StrategyEngagement[]> {
    o.signal?.throwIfAborted();
    const named = "CASE json_type(metadata, '$.strategy') WHEN 'text' THEN metadata ->> '$.strategy' END";
    const sql = byStrategySql(named, "timestamp >= ? AND timestamp < ?");
    return this.db.all<StrategyEngagement>(`${sql} LIMIT ?`, o.since, o.until, o.limit);
  }

  async finalEngagement(o: { user_id: string } & Abortable): Promise<FinalEngagement[]> {
    o.signal?.throwIfAborted();
    return finalEngagement(this.db.all<FinalEngagementRow>(FINAL_ENGAGEMENT("?"), o.user_id));
  }

  async epoch(o: { user_id: string } & Abortable): Promise<number> {
    o.signal?.throwIfAborted();
    return this.db.get<{ epoch: number }>("SELECT epoch FROM epochs WHERE user_id = ?", o.user_id)?.epoch ??
      0;
  }

  buildStats(o: BuildStats): Promise<{ campaigns: number }> {
    return this.versions.build(o);
  }

  setWords(o: Parameters<AnalyticsStore["setWords"]>[0]): Promise<void> {
    return this.words.set(o);
  }

  async profileWords(o: { user_id: string } & Abortable): Promise<ProfileWords | null> {
    o.signal?.throwIfAborted();
    return this.words.ofProfile(o.user_id);
  }

  async conversationWords(
    o: { after: string | null; limit: number } & Abortable,
  ): Promise<ConversationWords[]> {
    o.signal?.throwIfAborted();
    return this.words.conversations(o);
  }

  async saveFile(o: { version: number; name: string; bytes: Uint8Array } & Abortable): Promise<void> {
    o.signal?.throwIfAborted();
    this.versions.refuseOlder(o.version);
    await this.files.save(o);
  }

  file(o: { version: number; name: string } & Abortable): Promise<Uint8Array<ArrayBuffer> | null> {
    return this.files.read(o);
  }

  async published(o: Abortable = {}): Promise<Published | null> {
    o.signal?.throwIfAborted();
    return this.versions.published();
  }

  async publish(
    o: { published: Omit<Published, "previous">; sources: readonly SourceRecord[] } & Abortable,
  ): Promise<Published> {
    const published = await this.versions.publish(o);
    await this.files.dropVersionsExcept(published);
    return published;
  }

  async source(o: { kind: Kind; uri: string } & Abortable): Promise<SourceRecord | null> {
    o.signal?.throwIfAborted();
    return this.db.get<SourceRecord>("SELECT * FROM sources WHERE kind = ? AND uri = ?", o.kind, o.uri);
  }

  /** In ascending kind and URI. */
  async sources(o: Abortable = {}): Promise<SourceRecord[]> {
    o.signal?.throwIfAborted();
    return this.db.all<SourceRecord>("SELECT * FROM sources ORDER BY kind, uri");
  }

  async forgetSources(o: { uris: readonly string[] } & Abortable): Promise<void> {
    const sql = "DELETE FROM sources WHERE uri IN (SELECT value FROM json_each(?))";
    await this.db.write(() => this.db.run(sql, JSON.stringify(o.uris)), o);
  }

  async deleteUsers(o: { user_ids: readonly string[] } & Abortable): Promise<number> {
    const users = JSON.stringify(o.user_ids);
    const gone = await this.db.writeAll({
      sql: `DELETE FROM events WHERE rowid IN (
              SELECT events.rowid FROM events WHERE user_id IN (SELECT value FROM json_each(?)) LIMIT ?)`,
      values: [users],
      limit: DELETE_LIMIT,
      signal: o.signal,
    });
    await this.words.deleteUsers(o);
    await this.db.write(() => {
      this.touches.forget(o.user_ids);
      this.db.run("DELETE FROM epochs WHERE user_id IN (SELECT value FROM json_each(?))", users);
    }, o);
    await this.db.scrub();
    return gone;
  }

  async deleteCampaigns(o: { campaign_ids: readonly string[] } & Abortable): Promise<number> {
    let gone = 0;
    await this.db.writeEach(o.campaign_ids, (id) => {
      gone += this.db.run("DELETE FROM campaigns WHERE campaign_id = ?", id);
      this.db.run("DELETE FROM stats WHERE campaign_id = ?", id);
    }, o);
    return gone;
  }

  async counts(o: Abortable = {}): Promise<AnalyticsCounts> {
    o.signal?.throwIfAborted();
    return this.db.get<AnalyticsCounts>(
      `SELECT (SELECT count(*) FROM campaigns) AS campaigns, (SELECT count(*) FROM events) AS events,
              (SELECT count(DISTINCT user_id) FROM events) AS users`,
    )!;
  }

  async unknownCampaigns(o: { limit: number } & Abortable): Promise<UnknownCampaigns> {
    o.signal?.throwIfAborted();
    return unknownCampaigns(this.db.all<{ campaign_id: string; events: number }>(UNKNOWN), o.limit);
  }

  async digest(o: Abortable = {}): Promise<string> {
    const digest = new SetDigest();
    for await (const row of this.catalogue.rows(o)) digest.add(["campaign", { ...row }]);
    for await (const row of this.events.rows(o)) digest.add(["event", { ...row }]);
    return digest.hex();
  }

  async health(o: HealthOptions = {}): Promise<Health> {
    o.signal?.throwIfAborted();
    return this.db.health(o);
  }

  async close(): Promise<void> {
    this.db.close();
  }
}
