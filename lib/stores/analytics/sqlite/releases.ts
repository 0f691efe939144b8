// deno-lint-ignore-file require-await -- the port is asynchronous, this engine is not
import { yieldToEventLoop } from "../../../core/abort.ts";
import { batches, paged } from "../../../core/batches.ts";
import type { Abortable, Published } from "../../../core/types.ts";
import type { Sqlite } from "../../engines/sqlite/sqlite.ts";
import { type CampaignDay, Popularity } from "../popularity.ts";
import type {
  BuildStatsOptions,
  CampaignStats,
  PublishOptions,
  ReleaseStore,
  SourceRecord,
  VersionFile,
} from "../port.ts";
import { PART_BYTES, partsOf, refusePublished } from "../releases.ts";

/** Campaigns whose days are read at once, and rows that one transaction deletes at most. */
const PAGE = 200;
/** Parts of files that one transaction deletes at most. */
const MAX_PARTS = 8;

/**
 * Files are stored in parts, so that no transaction holds the lock for long. Each save has a number and writes its first
 * part last: a save is complete once it has a first part, and the newest complete save is the file.
 */
export class SqliteReleases implements ReleaseStore {
  constructor(private readonly db: Sqlite) {}

  /** Builds stats of every campaign in the catalogue. Memory grows with campaigns, not with events. */
  async buildStats(options: BuildStatsOptions): Promise<{ campaigns: number }> {
    refusePublished(options.version, await this.published(options));
    const stats = await this.derive(options);
    await this.db.writeAll({
      sql: `DELETE FROM stats WHERE version = ?1 AND campaign_id IN (
              SELECT campaign_id FROM stats WHERE version = ?1 LIMIT ?2)`,
      values: [options.version],
      limit: PAGE,
      signal: options.signal,
    });
    await this.db.writeEach(stats, (row) => this.insertStats(options.version, row), options);
    return { campaigns: stats.length };
  }

  private async derive(options: BuildStatsOptions): Promise<CampaignStats[]> {
    const newest = this.db.get<{ day: string | null }>(
      "SELECT substr(max(timestamp), 1, 10) AS day FROM events WHERE timestamp <= ?",
      options.latest,
    );
    const { half_life_days } = options;
    const popularity = new Popularity({ newest: newest?.day ?? null, half_life_days });
    const ids = paged(PAGE, (id: string) => id, async (after, limit) => {
      await yieldToEventLoop(options);
      return this.campaignIds(after, limit);
    });
    for await (const page of batches(ids, PAGE)) {
      for (const day of this.days(page)) popularity.add(day);
    }
    return popularity.stats();
  }

  private campaignIds(after: string | null, limit: number): string[] {
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

  private insertStats(version: number, row: CampaignStats): void {
    this.db.run(
      `INSERT INTO stats (version, campaign_id, impressions, clicks, conversions, dismissals, popularity)
       VALUES (?, ?, ?, ?, ?, ?, ?)`,
      ...[version, row.campaign_id, row.impressions, row.clicks, row.conversions, row.dismissals],
      row.popularity,
    );
  }

  /** One row for each distinct id. */
  async stats(
    options: { version: number; campaign_ids: readonly string[] } & Abortable,
  ): Promise<CampaignStats[]> {
    options.signal?.throwIfAborted();
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

  async popular(options: { version: number; limit: number } & Abortable): Promise<CampaignStats[]> {
    options.signal?.throwIfAborted();
    return this.db.all<CampaignStats>(
      `SELECT campaign_id, impressions, clicks, conversions, dismissals, popularity FROM stats
       WHERE version = ? ORDER BY popularity DESC, campaign_id LIMIT ?`,
      options.version,
      options.limit,
    );
  }

  async saveFile({ version, name, bytes, signal }: VersionFile & { bytes: Uint8Array }): Promise<void> {
    refusePublished(version, await this.published({ signal }));
    let save: number | null = null;
    await this.db.writeEach(partsOf(bytes).reverse(), (part) => {
      save ??= this.nextSave({ version, name });
      this.db.run(
        "INSERT INTO files (version, name, save, part, size, bytes) VALUES (?, ?, ?, ?, ?, ?)",
        ...[version, name, save, part.part, bytes.length, part.bytes],
      );
    }, { signal });
    await this.deleteParts("version = ? AND name = ? AND save < ?", [version, name, save!], signal);
  }

  private nextSave({ version, name }: VersionFile): number {
    const sql = "SELECT coalesce(max(save), 0) + 1 AS save FROM files WHERE version = ? AND name = ?";
    return this.db.get<{ save: number }>(sql, version, name)!.save;
  }

  async file(options: VersionFile): Promise<Uint8Array<ArrayBuffer> | null> {
    while (true) {
      await yieldToEventLoop(options);
      const newest = this.db.get<{ save: number; size: number }>(
        `SELECT save, size FROM files WHERE version = ? AND name = ? AND part = 0 ORDER BY save DESC LIMIT 1`,
        options.version,
        options.name,
      );
      if (newest === null) return null;
      const file = new Uint8Array(newest.size);
      // Parts are missing if a newer save or a publish removed them while they were read.
      if (await this.readInto(file, { ...options, save: newest.save })) return file;
    }
  }

  private async readInto(file: Uint8Array, options: VersionFile & { save: number }): Promise<boolean> {
    for (let part = 0; part * PART_BYTES < file.length; part++) {
      if (part > 0) await yieldToEventLoop(options);
      const row = this.db.get<{ bytes: Uint8Array }>(
        "SELECT bytes FROM files WHERE version = ? AND name = ? AND save = ? AND part = ?",
        ...[options.version, options.name, options.save, part],
      );
      if (row === null) return false;
      file.set(row.bytes, part * PART_BYTES);
    }
    return true;
  }

  /** First parts are deleted first, so that no incomplete save counts. */
  private async deleteParts(
    where: string,
    values: readonly (string | number)[],
    signal?: AbortSignal,
  ): Promise<void> {
    await this.db.writeAll({
      sql: `DELETE FROM files WHERE rowid IN (SELECT rowid FROM files WHERE ${where} ORDER BY part LIMIT ?)`,
      values,
      limit: MAX_PARTS,
      signal,
    });
  }

  async published(options: Abortable = {}): Promise<Published | null> {
    options.signal?.throwIfAborted();
    return this.readPublished();
  }

  private readPublished(): Published | null {
    return this.db.get<Published>("SELECT version, previous, run_id, model, at FROM published");
  }

  async publish(options: PublishOptions): Promise<Published> {
    const published = await this.db.write(() => {
      const current = this.readPublished();
      if (current?.version === options.published.version) return current;
      refusePublished(options.published.version, current);
      const next = { ...options.published, previous: current?.version ?? null };
      this.flip(next);
      for (const source of options.sources) this.record(source);
      return next;
    }, options);
    const { version, previous } = published;
    await this.deleteParts("version NOT IN (?, ?)", [version, previous ?? version]);
    return published;
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
