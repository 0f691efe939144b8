import { batches, paged } from "../../../core/batches.ts";
import type { Abortable, PageOptions, Published } from "../../../core/types.ts";
import type { Postgres } from "../../engines/postgres/postgres.ts";
import { type Queryable, transposed, unnestOf } from "../../engines/postgres/session.ts";
import { type CampaignDay, Popularity } from "../popularity.ts";
import type {
  BuildStatsOptions,
  CampaignStats,
  PublishOptions,
  ReleaseStore,
  SourceRecord,
  VersionFile,
} from "../port.ts";
import { partsOf, refusePublished } from "../releases.ts";

/** Campaigns whose days are read, or whose stats are written, at once. */
const PAGE = 1_000;
/** For statements whose time grows with the catalogue. */
const BULK = { timeout_ms: 60_000 };

const STATS = {
  campaign_id: "text",
  impressions: "bigint",
  clicks: "bigint",
  conversions: "bigint",
  dismissals: "bigint",
  popularity: "double precision",
} as const;
const STATS_NAMES = Object.keys(STATS) as (keyof CampaignStats)[];

const SOURCES = {
  kind: "text",
  uri: "text",
  sha256: "text",
  rows: "bigint",
  run_id: "text",
  at: "text",
} as const;
const SOURCES_NAMES = Object.keys(SOURCES) as (keyof SourceRecord)[];

const PUBLISHED = "SELECT version, previous, run_id, model, at FROM published";

export class PostgresReleases implements ReleaseStore {
  constructor(private readonly db: Postgres) {}

  /** Builds stats of every campaign in the catalogue. Memory grows with campaigns, not with events. */
  async buildStats(options: BuildStatsOptions): Promise<{ campaigns: number }> {
    refusePublished(options.version, await this.published(options));
    const stats = await this.derive(options);
    await this.db.write(async (session) => {
      await session.run("DELETE FROM stats WHERE version = $1", [options.version]);
      for await (const page of batches(stats, PAGE)) await insertStats(session, options.version, page);
    }, { ...BULK, signal: options.signal });
    return { campaigns: stats.length };
  }

  private async derive(options: BuildStatsOptions): Promise<CampaignStats[]> {
    const { half_life_days, latest, signal } = options;
    const sql = "SELECT substr(max(timestamp), 1, 10) AS day FROM events WHERE timestamp <= $1";
    const newest = await this.db.read((session) => session.get<{ day: string | null }>(sql, [latest]), {
      ...BULK,
      signal,
    });
    const popularity = new Popularity({ newest: newest?.day ?? null, half_life_days });
    const ids = paged(PAGE, (id: string) => id, (after, limit) => this.campaignIds({ after, limit, signal }));
    for await (const page of batches(ids, PAGE)) {
      for (const day of await this.days(page, options)) popularity.add(day);
    }
    return popularity.stats();
  }

  private async campaignIds({ after, limit, signal }: PageOptions): Promise<string[]> {
    const sql = "SELECT campaign_id FROM campaigns WHERE campaign_id > $1 ORDER BY campaign_id LIMIT $2";
    const rows = await this.db.all<{ campaign_id: string }>(sql, [after ?? "", limit], { signal });
    return rows.map((row) => row.campaign_id);
  }

  private days(campaign_ids: readonly string[], { signal }: Abortable): Promise<CampaignDay[]> {
    const sql = `SELECT input.campaign_id, substr(events.timestamp, 1, 10) AS day,
        count(*) FILTER (WHERE events.type = 'impression') AS impressions,
        count(*) FILTER (WHERE events.type = 'click') AS clicks,
        count(*) FILTER (WHERE events.type = 'conversion') AS conversions,
        count(*) FILTER (WHERE events.type = 'dismissal') AS dismissals
      FROM ${unnestOf({ campaign_id: "text" })} LEFT JOIN events ON events.campaign_id = input.campaign_id
      GROUP BY input.campaign_id, day ORDER BY input.campaign_id COLLATE "C", day`;
    return this.db.read((session) => session.all<CampaignDay>(sql, [campaign_ids]), { ...BULK, signal });
  }

  /** One row for each distinct id. */
  stats(options: { version: number; campaign_ids: readonly string[] } & Abortable): Promise<CampaignStats[]> {
    return this.db.all<CampaignStats>(
      `SELECT campaign_id, coalesce(impressions, 0) AS impressions, coalesce(clicks, 0) AS clicks,
              coalesce(conversions, 0) AS conversions, coalesce(dismissals, 0) AS dismissals,
              coalesce(popularity, 0) AS popularity
       FROM (SELECT DISTINCT campaign_id FROM ${unnestOf({ campaign_id: "text" })}) AS input
       LEFT JOIN (SELECT * FROM stats WHERE version = $2) AS stats USING (campaign_id)
       ORDER BY campaign_id COLLATE "C"`,
      [options.campaign_ids, options.version],
      options,
    );
  }

  popular(options: { version: number; limit: number } & Abortable): Promise<CampaignStats[]> {
    return this.db.all<CampaignStats>(
      `SELECT ${STATS_NAMES.join(", ")} FROM stats
       WHERE version = $1 ORDER BY popularity DESC, campaign_id LIMIT $2`,
      [options.version, options.limit],
      options,
    );
  }

  async saveFile({ version, name, bytes, signal }: VersionFile & { bytes: Uint8Array }): Promise<void> {
    refusePublished(version, await this.published({ signal }));
    await this.db.write(async (session) => {
      // One save at a time, so that two saves do not mix their parts. Readers do not wait.
      await session.run("LOCK TABLE files IN SHARE ROW EXCLUSIVE MODE");
      await session.run("DELETE FROM files WHERE version = $1 AND name = $2", [version, name]);
      for (const part of partsOf(bytes)) {
        await session.run(
          "INSERT INTO files (version, name, save, part, size, bytes) VALUES ($1, $2, 1, $3, $4, $5)",
          [version, name, part.part, bytes.length, part.bytes],
        );
      }
    }, { ...BULK, signal });
  }

  async file({ version, name, signal }: VersionFile): Promise<Uint8Array<ArrayBuffer> | null> {
    const sql = "SELECT size, bytes FROM files WHERE version = $1 AND name = $2 ORDER BY part";
    const parts = await this.db.read(
      (session) => session.all<{ size: number; bytes: Uint8Array }>(sql, [version, name]),
      { ...BULK, signal },
    );
    if (parts.length === 0) return null;
    const file = new Uint8Array(parts[0]!.size);
    let end = 0;
    for (const { bytes } of parts) {
      file.set(bytes, end);
      end += bytes.length;
    }
    return file;
  }

  published(options: Abortable = {}): Promise<Published | null> {
    return this.db.get<Published>(PUBLISHED, [], options);
  }

  publish(options: PublishOptions): Promise<Published> {
    return this.db.write(async (session) => {
      // The table, because the row may not exist yet. Readers do not wait.
      await session.run("LOCK TABLE published IN SHARE ROW EXCLUSIVE MODE");
      const current = await session.get<Published>(PUBLISHED);
      if (current?.version === options.published.version) return current;
      refusePublished(options.published.version, current);
      const next = { ...options.published, previous: current?.version ?? null };
      await flip(session, next);
      await record(session, options.sources);
      return next;
    }, { ...BULK, signal: options.signal });
  }
}

async function insertStats(
  session: Queryable,
  version: number,
  stats: readonly CampaignStats[],
): Promise<void> {
  const columns = STATS_NAMES.join(", ");
  await session.run(
    `INSERT INTO stats (version, ${columns}) SELECT $1, ${columns} FROM ${unnestOf(STATS, 2)}`,
    [version, ...transposed(stats.map((row) => STATS_NAMES.map((name) => row[name])), STATS_NAMES.length)],
  );
}

async function flip(session: Queryable, next: Published): Promise<void> {
  await session.run(
    `INSERT INTO published ("only", version, previous, run_id, model, at) VALUES (1, $1, $2, $3, $4, $5)
     ON CONFLICT ("only") DO UPDATE SET version = excluded.version, previous = excluded.previous,
       run_id = excluded.run_id, model = excluded.model, at = excluded.at`,
    [next.version, next.previous, next.run_id, next.model, next.at],
  );
  const kept = [next.version, next.previous ?? next.version];
  for (const table of ["stats", "files"]) {
    await session.run(`DELETE FROM ${table} WHERE version NOT IN ($1, $2)`, kept);
  }
}

async function record(session: Queryable, sources: readonly SourceRecord[]): Promise<void> {
  // One statement cannot set a row twice: the last record of a source counts.
  const last = new Map(sources.map((source) => [JSON.stringify([source.kind, source.uri]), source]));
  const rows = [...last.values()].map((source) => SOURCES_NAMES.map((name) => source[name]));
  const columns = SOURCES_NAMES.join(", ");
  await session.run(
    `INSERT INTO sources (${columns}) SELECT ${columns} FROM ${unnestOf(SOURCES)}
     ON CONFLICT (kind, uri) DO UPDATE SET sha256 = excluded.sha256, rows = excluded.rows,
       run_id = excluded.run_id, at = excluded.at`,
    transposed(rows, SOURCES_NAMES.length),
  );
}
