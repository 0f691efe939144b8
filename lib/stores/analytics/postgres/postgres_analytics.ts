import type {
  Abortable,
  Campaign,
  EngagementEvent,
  Health,
  Kind,
  Published,
  Touched,
  WriteCounts,
} from "../../../core/types.ts";
import { SetDigest } from "../../engines/set_digest.ts";
import { Postgres } from "../../engines/postgres/postgres.ts";
import { postgresDialect } from "../../engines/postgres/schema.ts";
import { given, type Questions } from "../../engines/postgres/session.ts";
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

/** Rows that one transaction deletes at most. */
const DELETE_LIMIT = 10_000;
/** Users that one statement touches at most, where all are touched. */
const TOUCH_LIMIT = 500;
const TOUCH_PAGE =
  `WITH page AS (SELECT DISTINCT user_id FROM events WHERE user_id > $1 ORDER BY user_id LIMIT $2),
  written AS (INSERT INTO touched SELECT user_id, nextval('writes') FROM page ORDER BY user_id
              ON CONFLICT (user_id) DO UPDATE SET token = nextval('writes'))
  SELECT user_id FROM page ORDER BY user_id`;
const NEWEST_EVENTS = `WHERE event_id IN (
    SELECT newest.event_id FROM (SELECT DISTINCT user_id FROM unnest($1::text[]) AS user_id) AS given
    CROSS JOIN LATERAL (SELECT event_id FROM events WHERE events.user_id = given.user_id
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

  upsertCampaigns(o: { campaigns: readonly Campaign[] } & Abortable): Promise<WriteCounts> {
    return this.catalogue.upsert({ rows: o.campaigns, signal: o.signal });
  }

  upsertEvents(o: { events: readonly EngagementEvent[] } & Abortable): Promise<WriteCounts> {
    return this.events.upsert({ rows: o.events, touch, signal: o.signal });
  }

  touched(o: { after: string | null; limit: number } & Abortable): Promise<Touched[]> {
    return this.db.all<Touched>(
      `SELECT user_id, token::text AS token FROM touched WHERE user_id > $1 ORDER BY user_id LIMIT $2`,
      [o.after ?? "", o.limit],
      o,
    );
  }

  async touchAll(o: Abortable = {}): Promise<void> {
    for (let after: string | undefined = ""; after !== undefined;) {
      // Twice is as good as once, so it may be asked again as a question is.
      const page: { user_id: string }[] = await this.db.all(TOUCH_PAGE, [after, TOUCH_LIMIT], o);
      after = page.at(-1)?.user_id;
    }
  }

  async settle(o: { touched: readonly Touched[] } & Abortable): Promise<void> {
    await this.db.run(
      `DELETE FROM touched USING ${given({ user_id: "text", token: "bigint" })}
       WHERE touched.user_id = given.user_id AND touched.token = given.token`,
      [o.touched.map((touch) => touch.user_id), o.touched.map((touch) => touch.token)],
      o,
    );
  }

  async users(o: { after: string | null; limit: number } & Abortable): Promise<string[]> {
    const rows = await this.db.all<{ user_id: string }>(USERS("$1", "$2"), [o.after ?? "", o.limit], o);
    return rows.map(({ user_id }) => user_id);
  }

  engagement(o: { user_ids: readonly string[] } & Abortable): Promise<Engagement[]> {
    const sql = `SELECT user_id, campaign_id, ${BY_TYPE}, max(timestamp) AS last FROM events
      WHERE user_id = ANY($1::text[]) GROUP BY user_id, campaign_id ORDER BY user_id, campaign_id`;
    return this.db.all<Engagement>(sql, [o.user_ids], o);
  }

  eventsOf(o: { user_ids: readonly string[]; limit: number } & Abortable): Promise<EngagementEvent[]> {
    return this.events.select(NEWEST_EVENTS, [o.user_ids, o.limit], o);
  }

  campaigns(o: { campaign_ids: readonly string[] } & Abortable): Promise<Campaign[]> {
    const clause = "WHERE campaign_id = ANY($1::text[]) ORDER BY campaign_id";
    return this.catalogue.select(clause, [o.campaign_ids], o);
  }

  campaignPage(o: { after: string | null; limit: number } & Abortable): Promise<Campaign[]> {
    return this.catalogue.page(o);
  }

  stats(o: { version: number; campaign_ids: readonly string[] } & Abortable): Promise<CampaignStats[]> {
    return this.versions.stats(o);
  }

  popular(o: { version: number; limit: number } & Abortable): Promise<CampaignStats[]> {
    return this.versions.popular(o);
  }

  async daily(o: { since: string; until: string } & Abortable): Promise<EngagementDay[]> {
    const sql = `${DAILY} WHERE timestamp >= $1 AND timestamp < $2 GROUP BY day ORDER BY day`;
    return await this.db.all<EngagementDay>(sql, [o.since, o.until], o);
  }

  async byCampaign(
    o: { since: string; until: string; limit: number } & Abortable,
  ): Promise<CampaignEngagement[]> {
    const sql = `${BY_CAMPAIGN} WHERE timestamp >= $1 AND timestamp < $2 ${MOST_FIRST} LIMIT $3`;
    return await this.db.all<CampaignEngagement>(sql, [o.since, o.until, o.limit], o);
  }

  async byStrategy(
    o: { since: string; until: string; limit: number } & Abortable,
  ): Promise<StrategyEngagement[]> {
    const json = "metadata::json";
    const named = `CASE json_typeof(${json} -> 'strategy') WHEN 'string' THEN ${json} ->> 'strategy' END`;
    const sql = byStrategySql(named, "timestamp >= $1 AND timestamp < $2");
    return await this.db.all<StrategyEngagement>(`${sql} LIMIT $3`, [o.since, o.until, o.limit], o);
  }

  async finalEngagement(o: { user_id: string } & Abortable): Promise<FinalEngagement[]> {
    return finalEngagement(await this.db.all<FinalEngagementRow>(FINAL_ENGAGEMENT("$1"), [o.user_id], o));
  }

  async epoch(o: { user_id: string } & Abortable): Promise<number> {
    const sql = "SELECT epoch FROM epochs WHERE user_id = $1";
    return (await this.db.get<{ epoch: number }>(sql, [o.user_id], o))?.epoch ?? 0;
  }

  buildStats(o: BuildStats): Promise<{ campaigns: number }> {
    return this.versions.build(o);
  }

  setWords(o: Parameters<AnalyticsStore["setWords"]>[0]): Promise<void> {
    return this.words.set(o);
  }

  profileWords(o: { user_id: string } & Abortable): Promise<ProfileWords | null> {
    return this.words.ofProfile(o);
  }

  conversationWords(o: { after: string | null; limit: number } & Abortable): Promise<ConversationWords[]> {
    return this.words.conversations(o);
  }

  saveFile(o: { version: number; name: string; bytes: Uint8Array } & Abortable): Promise<void> {
    return this.versions.saveFile(o);
  }

  file(o: { version: number; name: string } & Abortable): Promise<Uint8Array<ArrayBuffer> | null> {
    return this.versions.file(o);
  }

  published(o: Abortable = {}): Promise<Published | null> {
    return this.versions.published(o);
  }

  publish(
    o: { published: Omit<Published, "previous">; sources: readonly SourceRecord[] } & Abortable,
  ): Promise<Published> {
    return this.versions.publish(o);
  }

  source(o: { kind: Kind; uri: string } & Abortable): Promise<SourceRecord | null> {
    const sql = "SELECT * FROM sources WHERE kind = $1 AND uri = $2";
    return this.db.get<SourceRecord>(sql, [o.kind, o.uri], o);
  }

  /** In ascending kind and URI. */
  sources(o: Abortable = {}): Promise<SourceRecord[]> {
    return this.db.all<SourceRecord>("SELECT * FROM sources ORDER BY kind, uri", [], o);
  }

  async forgetSources(o: { uris: readonly string[] } & Abortable): Promise<void> {
    await this.db.run("DELETE FROM sources WHERE uri = ANY($1::text[])", [o.uris], o);
  }

  async deleteUsers(o: { user_ids: readonly string[] } & Abortable): Promise<number> {
    let gone = 0;
    while (true) {
      const deleted = await this.deleteSome(o);
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

  deleteCampaigns(o: { campaign_ids: readonly string[] } & Abortable): Promise<number> {
    return this.db.write(async (session) => {
      await session.run("DELETE FROM stats WHERE campaign_id = ANY($1::text[])", [o.campaign_ids]);
      return await session.run("DELETE FROM campaigns WHERE campaign_id = ANY($1::text[])", [o.campaign_ids]);
    }, o);
  }

  counts(o: Abortable = {}): Promise<AnalyticsCounts> {
    const sql =
      `SELECT (SELECT count(*) FROM campaigns) AS campaigns, (SELECT count(*) FROM events) AS events,
        (SELECT count(DISTINCT user_id) FROM events) AS users`;
    const limits = { ...WHOLE, signal: o.signal };
    return this.db.read(async (session) => (await session.get<AnalyticsCounts>(sql))!, limits);
  }

  async unknownCampaigns({ limit, signal }: { limit: number } & Abortable): Promise<UnknownCampaigns> {
    const rows = await this.db.read(
      (session) => session.all<{ campaign_id: string; events: number }>(UNKNOWN),
      { ...WHOLE, signal },
    );
    return unknownCampaigns(rows, limit);
  }

  async digest(o: Abortable = {}): Promise<string> {
    const digest = new SetDigest();
    for await (const row of this.catalogue.rows(o)) digest.add(["campaign", { ...row }]);
    for await (const row of this.events.rows(o)) digest.add(["event", { ...row }]);
    return digest.hex();
  }

  health(o: Abortable = {}): Promise<Health> {
    return this.db.health(o);
  }

  close(): Promise<void> {
    return this.db.close();
  }
}

/**
 * A number is drawn when the user's row is held, so that it is beyond all that were committed for this user. An epoch
 * therefore grows, and never comes again after an erasure.
 */
async function touch(session: Questions, user_ids: readonly string[]): Promise<void> {
  if (user_ids.length === 0) return;
  for (const [table, column] of [["touched", "token"], ["epochs", "epoch"]]) {
    await session.run(
      `INSERT INTO ${table} SELECT user_id, nextval('writes') FROM ${given({ user_id: "text" })}
       ON CONFLICT (user_id) DO UPDATE SET ${column} = nextval('writes')`,
      [user_ids],
    );
  }
}
