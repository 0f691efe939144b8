import type {
  Abortable,
  Campaign,
  DirtyUser,
  EngagementEvent,
  Kind,
  PageOptions,
  Published,
  WriteCounts,
} from "../../core/types.ts";
import { yieldToEventLoop } from "../../core/abort.ts";
import { DirtyUsers, numberUsers } from "../engines/dirty_users.ts";
import { KeyedTable } from "../engines/keyed_table.ts";
import { SetDigest } from "../engines/set_digest.ts";
import {
  all,
  type Counter,
  type Dialect,
  get,
  run,
  runRows,
  type SqlDatabase,
  type SqlValue,
  type Steps,
  storableJson,
} from "../engines/sql.ts";
import { SqlStore } from "../engines/sql_store.ts";
import { SqlTables } from "../engines/sql_tables.ts";
import type { StoredTables } from "../runs/port.ts";
import type { TombstoneStore } from "../tombstones/port.ts";
import type {
  AnalyticsCounts,
  AnalyticsStore,
  ArmEngagement,
  BuildStatsOptions,
  CampaignEngagement,
  CampaignSearch,
  CampaignStats,
  ConversationWords,
  Engagement,
  EngagementDay,
  Epochs,
  FinalEngagement,
  PendingErasure,
  ProfileWords,
  PublishOptions,
  RaiseEpochsOptions,
  SetPersonalisationOptions,
  SetWordsOptions,
  SourceRecord,
  StrategyEngagement,
  TimeSpan,
  UnknownCampaigns,
  VersionFile,
} from "./port.ts";
import { ANALYTICS_TABLES, BY_TYPE, CAMPAIGNS, DIRTY_USERS, EVENTS } from "./schema.ts";
import { SqlReleases } from "./sql_releases.ts";
import { hasWords, searchSql } from "./campaign_search.ts";
import { SqlRights } from "./sql_rights.ts";
import { SqlWording } from "./sql_wording.ts";

/** Rows of the catalogue that one statement looks for words in: it takes some milliseconds. */
const PART_ROWS = 2_000;
/** Events of an arm, about, that one statement counts. */
const ARM_PART_ROWS = 5_000;
/** For statements that read or delete a large part of a table. */
const WHOLE = { timeout_ms: 60_000 };
/** The name of the secret that ids are signed with. */
const SIGNING = "signing";
const SECRET_BYTES = 32;
const CAMPAIGN_ID = { campaign_id: "text" } as const;

/** The row of epochs that is the catalogue's: no user has an empty id. */
const CATALOGUE = "";

interface EpochRow {
  readonly user_epoch: number;
  readonly catalogue_epoch: number;
}

type FinalEngagementRow = Omit<FinalEngagement, "repurchase_days"> & {
  /** JSON. */
  readonly repurchase_days: string | null;
};

const SPAN = "timestamp >= $1 AND timestamp < $2";

const sumOf = (column: string) => `CAST(coalesce(sum(${column}), 0) AS bigint) AS ${column}`;

/** Each is answered from one index, so that no recount of events reads their rows; see `ANALYTICS_MIGRATIONS`. */
function statements(dialect: Dialect, counter: Counter) {
  const { isIn, jsonText } = dialect;
  const most = "ORDER BY count(*) DESC, campaign_id";
  const users = "SELECT DISTINCT user_id FROM events WHERE user_id > $1 ORDER BY user_id LIMIT $2";
  const usersWithWords = "SELECT user_id FROM profile_words WHERE user_id > $1 ORDER BY user_id LIMIT $2";
  return {
    users,
    knownUsers: `SELECT user_id FROM (${users}) AS a UNION SELECT user_id FROM (${usersWithWords}) AS b
      ORDER BY user_id LIMIT $2`,
    engagement: `SELECT user_id, campaign_id, ${BY_TYPE}, max(timestamp) AS last FROM events
      WHERE ${isIn("user_id", "$1")} GROUP BY user_id, campaign_id ORDER BY user_id, campaign_id`,
    eventPage: `WHERE user_id = $1 AND ${dialect.unindexed("event_id")} > $2
      ORDER BY ${dialect.unindexed("event_id")} LIMIT $3`,
    daily: (where: string) =>
      `SELECT substr(timestamp, 1, 10) AS day, ${BY_TYPE} FROM events WHERE ${where} GROUP BY day ORDER BY day`,
    byCampaign:
      `SELECT campaign_id, ${BY_TYPE} FROM events WHERE ${SPAN} GROUP BY campaign_id ${most} LIMIT $3`,
    byStrategy: (where: string) =>
      `SELECT ${jsonText("metadata", "strategy")} AS strategy, ${BY_TYPE} FROM events WHERE ${where}
      GROUP BY 1 ORDER BY count(*) DESC, 1 NULLS LAST LIMIT $3`,
    armEngagement: (users: string) =>
      `SELECT count(*) AS users, count(*) FILTER (WHERE clicks > 0) AS clicked,
        count(*) FILTER (WHERE conversions > 0) AS converted,
        ${["impressions", "clicks", "conversions", "dismissals"].map(sumOf).join(", ")} FROM (
        SELECT user_id, ${BY_TYPE} FROM events WHERE ${isIn("arm", "$3")} AND ${SPAN} AND ${users}
          AND user_id NOT IN (SELECT user_id FROM opted_out)
        GROUP BY user_id
      ) AS engagement WHERE impressions > 0`,
    // Arms with fewer rows left do not end a part.
    armPartEnd: `SELECT min(last) AS user_id FROM (
        SELECT (SELECT user_id FROM events WHERE arm = arms.text AND user_id > $2
          ORDER BY user_id LIMIT 1 OFFSET ${ARM_PART_ROWS}) AS last
        FROM ${dialect.texts("$1")} AS arms
      ) AS ends`,
    recentUsers: `SELECT user_id FROM (
        SELECT user_id, timestamp FROM events WHERE campaign_id = $1 ORDER BY timestamp DESC LIMIT $2
      ) AS newest GROUP BY user_id ORDER BY max(timestamp) DESC, user_id`,
    finalEngagement: `SELECT campaign_id, max(timestamp) FILTER (WHERE type = 'conversion') AS converted_at,
        count(*) FILTER (WHERE type = 'dismissal') AS dismissals,
        (SELECT repurchase_days FROM campaigns WHERE campaigns.campaign_id = events.campaign_id) AS repurchase_days
      FROM events WHERE user_id = $1 AND type IN ('conversion', 'dismissal')
        AND NOT EXISTS (SELECT 1 FROM opted_out WHERE opted_out.user_id = $1)
      GROUP BY campaign_id ORDER BY campaign_id`,
    unknownCampaigns: `SELECT campaign_id, count(*) AS events FROM events
      WHERE campaign_id NOT IN (SELECT campaign_id FROM campaigns) GROUP BY campaign_id ${most}`,
    campaigns: `WHERE ${isIn("campaign_id", "$1")} ORDER BY campaign_id`,
    partEnd: `SELECT max(campaign_id) AS campaign_id FROM (
      SELECT campaign_id FROM campaigns WHERE campaign_id > $1 ORDER BY campaign_id LIMIT $2) AS part`,
    // An epoch is a number of the user's last write: it grows, and is never used again after an erasure.
    raiseEpochs: numberUsers(dialect, counter, "epochs", "epoch"),
    // Each is looked up by its key: one scan with IN takes SQLite four times as long.
    epochs: `SELECT coalesce((SELECT epoch FROM epochs WHERE user_id = $1), 0) AS user_epoch,
        coalesce((SELECT epoch FROM epochs WHERE user_id = '${CATALOGUE}'), 0) AS catalogue_epoch`,
    markChanged: `UPDATE campaigns SET changed = (SELECT epoch FROM epochs WHERE user_id = '${CATALOGUE}')
      WHERE ${isIn("campaign_id", "$1")}`,
    changedCampaigns:
      "SELECT campaign_id FROM campaigns WHERE changed > $1 ORDER BY changed DESC, campaign_id LIMIT $2",
    deleteCampaigns: dialect.deleteRows("campaigns", ["campaign_id"]),
    deleteStats: dialect.deleteRows("stats", ["campaign_id"]),
    deleteEvents: `DELETE FROM events WHERE event_id IN (
      SELECT event_id FROM events WHERE ${isIn("user_id", "$1")} LIMIT $2)`,
    deleteEpochs: `DELETE FROM epochs WHERE ${isIn("user_id", "$1")}`,
    deleteOptedOut: `DELETE FROM opted_out WHERE ${isIn("user_id", "$1")}`,
    forgetSources: `DELETE FROM sources WHERE ${isIn("uri", "$1")}`,
    counts: `SELECT (SELECT count(*) FROM campaigns) AS campaigns, (SELECT count(*) FROM events) AS events,
      (SELECT count(DISTINCT user_id) FROM events) AS users`,
  };
}

/**
 * {@link AnalyticsStore} in SQL. Stats cover the campaigns that exist when they are built; events of a campaign that is deleted
 * stay, as they are what its users did.
 */
export class SqlAnalytics extends SqlStore implements AnalyticsStore {
  readonly tables: StoredTables;
  private readonly sql: ReturnType<typeof statements>;
  private readonly catalogue: KeyedTable<Campaign>;
  private readonly events: KeyedTable<EngagementEvent>;
  private readonly dirtyUsers: DirtyUsers;
  private readonly releases: SqlReleases;
  private readonly wording: SqlWording;
  private readonly rights: SqlRights;

  /**
   * `newestEvents` is the engine's clause that follows `FROM events` and reads the newest $2 events of each user of the JSON
   * array $1, in ascending user, time and id. A sort with a limit needs memory for no more rows than that, however many events
   * one user has.
   */
  protected constructor(db: SqlDatabase, private readonly newestEvents: string) {
    super(db);
    this.tables = new SqlTables(db, ANALYTICS_TABLES);
    this.catalogue = new KeyedTable(db, CAMPAIGNS);
    this.events = new KeyedTable(db, EVENTS);
    this.dirtyUsers = new DirtyUsers(db, DIRTY_USERS);
    this.sql = statements(db.dialect, this.dirtyUsers.counter);
    this.releases = new SqlReleases(db);
    this.wording = new SqlWording(db);
    this.rights = new SqlRights(db, { dirtyUsers: this.dirtyUsers, raiseEpochs: this.sql.raiseEpochs });
  }

  get tombstones(): TombstoneStore {
    return this.rights.tombstones;
  }

  upsertCampaigns(
    { campaigns: rows, ...options }: Parameters<AnalyticsStore["upsertCampaigns"]>[0],
  ): Promise<WriteCounts> {
    return this.catalogue.upsert({ rows, markDirty: (ids) => this.markChanged(ids), ...options });
  }

  changeCampaign(
    { campaign_id: id, ...options }: Parameters<AnalyticsStore["changeCampaign"]>[0],
  ): Promise<Campaign | null> {
    return this.catalogue.change({ id, markDirty: () => this.markChanged([id]), ...options });
  }

  async changedCampaigns(
    { since, limit, signal }: { since: number; limit: number } & Abortable,
  ): Promise<string[]> {
    const read = () => all<{ campaign_id: string }>(this.sql.changedCampaigns, since, limit);
    return (await this.db.query(read, { signal })).map(({ campaign_id }) => campaign_id);
  }

  /** Raises the catalogue's epoch, and notes it with these campaigns. Its row is locked first, so that they are in one order. */
  private *markChanged(campaign_ids: readonly string[]): Steps<void> {
    yield* this.raise([CATALOGUE]);
    if (campaign_ids.length > 0) yield* run(this.sql.markChanged, storableJson(campaign_ids));
  }

  private *raise(user_ids: readonly string[]): Steps<void> {
    const { advance } = this.dirtyUsers.counter;
    if (advance !== null) yield* run(advance);
    yield* run(this.sql.raiseEpochs, storableJson(user_ids));
  }

  campaigns(options: { campaign_ids: readonly string[] } & Abortable): Promise<Campaign[]> {
    return this.catalogue.select(this.sql.campaigns, [storableJson(options.campaign_ids)], options);
  }

  campaignPage(options: PageOptions & { search?: CampaignSearch }): Promise<Campaign[]> {
    const { search = {}, ...page } = options;
    const { conditions, values } = searchSql(search, this.db.dialect);
    if (conditions.length === 0) return this.catalogue.page(page);
    return this.searchedPage({ ...page, search, values, where: conditions.join(" AND ") });
  }

  /** Reads the catalogue in parts, because a rare word is in few of its rows: on SQLite a statement stops the event loop. */
  private async searchedPage(
    options: PageOptions & { search: CampaignSearch; where: string; values: readonly SqlValue[] },
  ): Promise<Campaign[]> {
    const { search, where, values } = options;
    const clause = `WHERE campaign_id > $1 AND campaign_id <= $2 AND ${where} ORDER BY campaign_id LIMIT $3`;
    const found: Campaign[] = [];
    for (let after = options.after ?? "";;) {
      const from = after;
      const end = () => get<{ campaign_id: string | null }>(this.sql.partEnd, from, PART_ROWS);
      const to = (await this.db.query(end, options))?.campaign_id ?? null;
      if (to === null) return found;
      for (let rest = options.limit - found.length; rest > 0; rest = options.limit - found.length) {
        const rows = await this.catalogue.select(clause, [after, to, rest, ...values], options);
        found.push(...rows.filter((row) => hasWords(row, search.words)));
        if (rows.length < rest) break;
        after = rows.at(-1)!.campaign_id;
      }
      if (found.length === options.limit) return found;
      after = to;
      await yieldToEventLoop(options);
    }
  }

  async deleteCampaigns(options: { campaign_ids: readonly string[] } & Abortable): Promise<number> {
    const { deleteStats, deleteCampaigns } = this.sql;
    const beforeCommit = () => this.markChanged([]);
    const rows = options.campaign_ids.map((campaign_id) => ({ campaign_id }));
    const deleted = await this.db.writeEach(rows, function* (group) {
      yield* runRows(deleteStats, [], CAMPAIGN_ID, group);
      return yield* runRows(deleteCampaigns, [], CAMPAIGN_ID, group);
    }, { ...WHOLE, beforeCommit, signal: options.signal });
    return deleted.reduce((sum, count) => sum + count, 0);
  }

  upsertEvents(
    { events: rows, ...options }: Parameters<AnalyticsStore["upsertEvents"]>[0],
  ): Promise<WriteCounts> {
    const { dirtyUsers, sql } = this;
    const markDirty = function* (users: readonly string[]) {
      yield* dirtyUsers.mark(users);
      yield* run(sql.raiseEpochs, storableJson(users));
    };
    return this.events.upsert({ rows, markDirty, ...options });
  }

  findDirtyUsers(options: { user_ids: readonly string[] } & Abortable): Promise<DirtyUser[]> {
    return this.dirtyUsers.among(options.user_ids, options);
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

  users(options: PageOptions): Promise<string[]> {
    return this.userPage(this.sql.users, options);
  }

  knownUsers(options: PageOptions): Promise<string[]> {
    return this.userPage(this.sql.knownUsers, options);
  }

  private async userPage(sql: string, { after, limit, signal }: PageOptions): Promise<string[]> {
    const page = () => all<{ user_id: string }>(sql, after ?? "", limit);
    return (await this.db.query(page, { signal })).map(({ user_id }) => user_id);
  }

  engagement(options: { user_ids: readonly string[] } & Abortable): Promise<Engagement[]> {
    const users = storableJson(options.user_ids);
    return this.db.query(() => all<Engagement>(this.sql.engagement, users), options);
  }

  eventsOf(options: { user_ids: readonly string[]; limit: number } & Abortable): Promise<EngagementEvent[]> {
    const values = [storableJson(options.user_ids), options.limit];
    return this.events.select(this.newestEvents, values, options);
  }

  eventPage(
    { user_id, after, limit, signal }: PageOptions & { user_id: string },
  ): Promise<EngagementEvent[]> {
    return this.events.select(this.sql.eventPage, [user_id, after ?? "", limit], { signal });
  }

  daily(
    { since, until, campaign_id, signal }: TimeSpan & { campaign_id?: string },
  ): Promise<EngagementDay[]> {
    const { daily } = this.sql;
    const read = campaign_id === undefined
      ? () => all<EngagementDay>(daily(SPAN), since, until)
      : () => all<EngagementDay>(daily(`campaign_id = $3 AND ${SPAN}`), since, until, campaign_id);
    return this.db.query(read, { signal });
  }

  byCampaign(options: TimeSpan & { limit: number }): Promise<CampaignEngagement[]> {
    const { since, until, limit } = options;
    return this.db.query(() => all<CampaignEngagement>(this.sql.byCampaign, since, until, limit), options);
  }

  byStrategy(
    options: TimeSpan & { limit: number; campaign_id?: string },
  ): Promise<StrategyEngagement[]> {
    const { since, until, limit, campaign_id } = options;
    const { byStrategy } = this.sql;
    const read = campaign_id === undefined
      ? () => all<StrategyEngagement>(byStrategy(SPAN), since, until, limit)
      : () =>
        all<StrategyEngagement>(byStrategy(`campaign_id = $4 AND ${SPAN}`), since, until, limit, campaign_id);
    return this.db.query(read, options);
  }

  /** Counts users in parts, each some milliseconds long: on SQLite a statement stops the event loop. */
  async armEngagement(options: TimeSpan & { arms: readonly string[] }): Promise<ArmEngagement> {
    const { since, until } = options;
    const { armEngagement, armPartEnd } = this.sql;
    const arms = storableJson(options.arms);
    const parts: ArmEngagement[] = [];
    for (let after = "", isLast = false; !isLast;) {
      const from = after;
      const end = () => get<{ user_id: string | null }>(armPartEnd, arms, from);
      const to = (await this.db.query(end, options))!.user_id;
      const read = to === null
        ? () => get<ArmEngagement>(armEngagement("user_id > $4"), since, until, arms, from)
        : () =>
          get<ArmEngagement>(armEngagement("user_id > $4 AND user_id <= $5"), since, until, arms, from, to);
      parts.push((await this.db.query(read, options))!);
      isLast = to === null;
      after = to ?? from;
      if (!isLast) await yieldToEventLoop(options);
    }
    return parts.reduce(plus);
  }

  async recentUsers(options: { campaign_id: string; limit: number } & Abortable): Promise<string[]> {
    const read = () => all<{ user_id: string }>(this.sql.recentUsers, options.campaign_id, options.limit);
    return (await this.db.query(read, options)).map(({ user_id }) => user_id);
  }

  async finalEngagement(options: { user_id: string } & Abortable): Promise<FinalEngagement[]> {
    const read = () => all<FinalEngagementRow>(this.sql.finalEngagement, options.user_id);
    return (await this.db.query(read, options)).map((row) => ({
      ...row,
      repurchase_days: row.repurchase_days === null ? null : Number(row.repurchase_days),
    }));
  }

  async epochs({ user_id, signal }: { user_id: string } & Abortable): Promise<Epochs> {
    const row = await this.db.query(() => get<EpochRow>(this.sql.epochs, user_id), { signal });
    return { user: row!.user_epoch, catalogue: row!.catalogue_epoch };
  }

  async raiseEpochs(
    { user_ids, campaign_ids, all = false, signal }: RaiseEpochsOptions,
  ): Promise<void> {
    const users = [...new Set(user_ids)].sort();
    const raise = function* (this: SqlAnalytics): Steps<void> {
      if (all || campaign_ids.length > 0) yield* this.markChanged(campaign_ids);
      if (users.length > 0) yield* this.raise(users);
    };
    await this.db.write(() => raise.call(this), { signal });
  }

  async unknownCampaigns({ limit, signal }: { limit: number } & Abortable): Promise<UnknownCampaigns> {
    const read = () => all<{ campaign_id: string; events: number }>(this.sql.unknownCampaigns);
    const rows = await this.db.read(read, { ...WHOLE, signal });
    const events = rows.reduce((sum, row) => sum + row.events, 0);
    return { events, campaigns: rows.length, examples: rows.slice(0, limit).map((row) => row.campaign_id) };
  }

  buildStats(options: BuildStatsOptions): Promise<{ campaigns: number }> {
    return this.releases.buildStats(options);
  }

  statsWithout(options: Parameters<AnalyticsStore["statsWithout"]>[0]): Promise<CampaignStats[]> {
    return this.releases.statsWithout(options);
  }

  stats(options: { version: number; campaign_ids: readonly string[] } & Abortable): Promise<CampaignStats[]> {
    return this.releases.stats(options);
  }

  popular(options: { version: number; limit: number } & Abortable): Promise<CampaignStats[]> {
    return this.releases.popular(options);
  }

  leastShown(
    options: { version: number; max_impressions: number; limit: number } & Abortable,
  ): Promise<CampaignStats[]> {
    return this.releases.leastShown(options);
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

  dropPrevious(options?: Abortable): Promise<void> {
    return this.releases.dropPrevious(options);
  }

  source({ kind, uri, signal }: { kind: Kind; uri: string } & Abortable): Promise<SourceRecord | null> {
    const sql = "SELECT * FROM sources WHERE kind = $1 AND uri = $2";
    return this.db.query(() => get<SourceRecord>(sql, kind, uri), { signal });
  }

  sources(options: Abortable = {}): Promise<SourceRecord[]> {
    return this.db.query(() => all<SourceRecord>("SELECT * FROM sources ORDER BY kind, uri"), options);
  }

  async forgetSources(options: { uris: readonly string[] } & Abortable): Promise<void> {
    await this.db.write(() => run(this.sql.forgetSources, storableJson(options.uris)), options);
  }

  setWords(options: SetWordsOptions): Promise<void> {
    return this.wording.setWords(options);
  }

  profileWords(options: { user_id: string } & Abortable): Promise<ProfileWords | null> {
    return this.wording.profileWords(options);
  }

  conversationWords(options: PageOptions & { user_id?: string }): Promise<ConversationWords[]> {
    return this.wording.conversationWords(options);
  }

  /** What is about these users goes in the transaction that deletes the last of their events. */
  async deleteUsers({ user_ids, signal }: { user_ids: readonly string[] } & Abortable): Promise<number> {
    const { sql, dirtyUsers } = this;
    const markChanged = this.markChanged.bind(this);
    const users = storableJson(user_ids);
    await this.wording.deleteUsers({ user_ids, signal });
    const deleted = await this.db.writeAll(function* (limit) {
      const events = yield* run(sql.deleteEvents, users, limit);
      if (events < limit) {
        yield* dirtyUsers.forget(user_ids);
        yield* run(sql.deleteEpochs, users);
        yield* run(sql.deleteOptedOut, users);
        yield* markChanged([]);
      }
      return events;
    }, { ...WHOLE, signal });
    await this.db.scrub();
    return deleted;
  }

  async secret(options: Abortable = {}): Promise<Uint8Array> {
    const sql = "SELECT secret FROM secrets WHERE name = $1";
    const read = () => this.db.query(() => get<{ secret: string }>(sql, SIGNING), options);
    let stored = await read();
    if (stored === null) {
      const random = crypto.getRandomValues(new Uint8Array(SECRET_BYTES)).toHex();
      const insert = "INSERT INTO secrets (name, secret) VALUES ($1, $2) ON CONFLICT DO NOTHING";
      await this.db.write(() => run(insert, SIGNING, random), options);
      // Of several processes the first one's stays.
      stored = await read();
    }
    return Uint8Array.fromHex(stored!.secret);
  }

  pendingErasures(options: PageOptions): Promise<PendingErasure[]> {
    return this.rights.pendingErasures(options);
  }

  addPendingErasures(options: { users: readonly PendingErasure[] } & Abortable): Promise<void> {
    return this.rights.addPendingErasures(options);
  }

  endErasures(options: { user_ids: readonly string[]; until: string } & Abortable): Promise<void> {
    return this.rights.endErasures(options);
  }

  setPersonalisation(options: SetPersonalisationOptions): Promise<boolean> {
    return this.rights.setPersonalisation(options);
  }

  optedOut(options: { user_ids: readonly string[] } & Abortable): Promise<string[]> {
    return this.rights.optedOut(options);
  }

  async counts({ signal }: Abortable = {}): Promise<AnalyticsCounts> {
    return (await this.db.read(() => get<AnalyticsCounts>(this.sql.counts), { ...WHOLE, signal }))!;
  }

  async digest(options: Abortable = {}): Promise<string> {
    const digest = new SetDigest();
    for await (const row of this.catalogue.rows(options)) digest.add(["campaign", { ...row }]);
    for await (const row of this.events.rows(options)) digest.add(["event", { ...row }]);
    return digest.hex();
  }
}

function plus(a: ArmEngagement, b: ArmEngagement): ArmEngagement {
  return {
    users: a.users + b.users,
    clicked: a.clicked + b.clicked,
    converted: a.converted + b.converted,
    impressions: a.impressions + b.impressions,
    clicks: a.clicks + b.clicks,
    conversions: a.conversions + b.conversions,
    dismissals: a.dismissals + b.dismissals,
  };
}
