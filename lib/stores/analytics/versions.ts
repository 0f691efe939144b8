import { yieldToEventLoop } from "../../core/abort.ts";
import { batches, paged } from "../../core/batch.ts";
import { ParleyError } from "../../core/errors.ts";
import type { Abortable, Published } from "../../core/types.ts";
import type { Sqlite } from "../engines/sqlite/sqlite.ts";
import { type CampaignDay, Popularity } from "./popularity.ts";
import type { BuildStats, CampaignStats, SourceRecord } from "./port.ts";

/** Campaigns whose days are read at once, and rows that one transaction deletes at most. */
const PAGE = 200;

/** Stats of the whole catalogue by data version, and which version is published, in an analytics database. */
export class Versions {
  constructor(private readonly db: Sqlite) {}

  /** Builds stats of every campaign in the catalogue. Memory grows with campaigns, not with events. */
  async build(options: BuildStats): Promise<{ campaigns: number }> {
    options.signal?.throwIfAborted();
    this.refuseOlder(options.version);
    const stats = await this.derive(options);
    await this.db.writeAll({
      sql: `DELETE FROM stats WHERE version = ?1 AND campaign_id IN (
              SELECT campaign_id FROM stats WHERE version = ?1 LIMIT ?2)`,
      values: [options.version],
      limit: PAGE,
      signal: options.signal,
    });
    await this.db.writeEach(stats, (row) => this.insert(options.version, row), options);
    return { campaigns: stats.length };
  }

  /** Throws `conflict` for a version that is published or older than the published one. */
  refuseOlder(version: number): void {
    const published = this.published();
    if (published !== null && version <= published.version) throw older(version, published);
  }

  private async derive(options: BuildStats): Promise<CampaignStats[]> {
    const newest = this.db.get<{ day: string | null }>(
      "SELECT substr(max(timestamp), 1, 10) AS day FROM events WHERE timestamp <= ?",
      options.latest,
    );
    const popularity = new Popularity({
      newest: newest?.day ?? null,
      half_life_days: options.half_life_days,
    });
    const ids = paged(PAGE, (id: string) => id, async (after, limit) => {
      await yieldToEventLoop(options);
      return this.ids(after, limit);
    });
    for await (const page of batches(ids, PAGE)) {
      for (const day of this.days(page)) popularity.add(day);
    }
    return popularity.stats();
  }

  private ids(after: string | null, limit: number): string[] {
    const sql = "SELECT campaign_id FROM campaigns WHERE campaign_id > ? ORDER BY campaign_id LIMIT ?";
    return this.db.all<{ campaign_id: string }>(sql, after ?? "", limit).map((row) => row.campaign_id);
  }

  private days(campaign_ids: readonly string[]): CampaignDay[] {
    return this.db.all<CampaignDay>(
      `SELECT input.value AS campaign_id, substr(timestamp, 1, 10) AS day,
              count(*) FILTER (WHERE events.type = 'impression') AS impressions,
              count(*) FILTER (WHERE events.type = 'click') AS clicks,
              count(*) FILTER (WHERE events.type = 'conversion') AS conversions,
              count(*) FILTER (WHERE events.type = 'dismissal') AS dismissals
       FROM json_each(?) AS input LEFT JOIN events ON events.campaign_id = input.value
       GROUP BY input.value, day ORDER BY input.value, day`,
      JSON.stringify(campaign_ids),
    );
  }

  private insert(version: number, row: CampaignStats): void {
    this.db.run(
      `INSERT INTO stats (version, campaign_id, impressions, clicks, conversions, dismissals, popularity)
       VALUES (?, ?, ?, ?, ?, ?, ?)`,
      ...[version, row.campaign_id, row.impressions, row.clicks, row.conversions, row.dismissals],
      row.popularity,
    );
  }

  /** One row for each distinct id, in ascending id; zeros where the version has none. */
  stats(options: { version: number; campaign_ids: readonly string[] }): CampaignStats[] {
    return this.db.all<CampaignStats>(
      `SELECT input.value AS campaign_id, coalesce(impressions, 0) AS impressions, coalesce(clicks, 0) AS clicks,
              coalesce(conversions, 0) AS conversions, coalesce(dismissals, 0) AS dismissals,
              coalesce(popularity, 0.0) AS popularity
       FROM (SELECT DISTINCT value FROM json_each(?)) AS input
       LEFT JOIN stats ON stats.campaign_id = input.value AND version = ? ORDER BY input.value`,
      JSON.stringify(options.campaign_ids),
      options.version,
    );
  }

  popular(options: { version: number; limit: number }): CampaignStats[] {
    return this.db.all<CampaignStats>(
      `SELECT campaign_id, impressions, clicks, conversions, dismissals, popularity FROM stats
       WHERE version = ? ORDER BY popularity DESC, campaign_id LIMIT ?`,
      options.version,
      options.limit,
    );
  }

  published(): Published | null {
    return this.db.get<Published>("SELECT version, previous, run_id, model, at FROM published");
  }

  publish(
    options: { published: Omit<Published, "previous">; sources: readonly SourceRecord[] } & Abortable,
  ): Promise<Published> {
    return this.db.write(() => {
      const current = this.published();
      if (current?.version === options.published.version) return current;
      if (current !== null && options.published.version < current.version) {
        throw older(options.published.version, current);
      }
      const next = { ...options.published, previous: current?.version ?? null };
      this.flip(next);
      for (const source of options.sources) this.record(source);
      return next;
    }, options);
  }

  private flip(next: Published): void {
    this.db.run(
      "INSERT OR REPLACE INTO published (only, version, previous, run_id, model, at) VALUES (1, ?, ?, ?, ?, ?)",
      ...[next.version, next.previous, next.run_id, next.model, next.at],
    );
    this.db.run("DELETE FROM stats WHERE version NOT IN (?, ?)", next.version, next.previous ?? next.version);
  }

  private record(source: SourceRecord): void {
    this.db.run(
      "INSERT OR REPLACE INTO sources (kind, uri, sha256, rows, run_id, at) VALUES (?, ?, ?, ?, ?, ?)",
      ...[source.kind, source.uri, source.sha256, source.rows, source.run_id, source.at],
    );
  }
}

export function older(version: number, published: Published): ParleyError {
  return new ParleyError(
    "conflict",
    `data version ${version} is not newer than ${published.version}, which run ${published.run_id} published`,
  );
}
