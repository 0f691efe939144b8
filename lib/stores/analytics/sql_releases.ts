import { yieldToEventLoop } from "../../core/abort.ts";
import { batches, paged } from "../../core/batches.ts";
import { ParleyError } from "../../core/errors.ts";
import { compareText } from "../../core/text.ts";
import { iso } from "../../core/clock.ts";
import type { Abortable, EngagementEvent, EventType, Published } from "../../core/types.ts";
import {
  all,
  type Dialect,
  get,
  replacing,
  run,
  runRows,
  type SqlDatabase,
  type SqlValue,
  storableJson,
} from "../engines/sql.ts";
import { deleteParts, type FilePart, PART_BYTES, partsOf } from "./file_parts.ts";
import { type CampaignDay, Popularity } from "./popularity.ts";
import type {
  BuildStatsOptions,
  CampaignStats,
  PublishOptions,
  ReleaseStore,
  SourceRecord,
  VersionFile,
} from "./port.ts";
import { BY_TYPE } from "./schema.ts";

/** Campaigns whose days are read at once. */
const PAGE = 200;
/** Rows of stats that one transaction deletes at most: they are narrow. */
const MAX_STATS = 2_000;
/** Parts that are read at once. */
const READ_PARTS = 4;
/** Rows of a common size that a part of a file takes as long as, about. */
const PART_SIZE = 16;
/** For statements whose time grows with the catalogue. */
const BULK = { timeout_ms: 60_000 };

/** What a campaign without events has. */
const NO_STATS = { impressions: 0, clicks: 0, conversions: 0, dismissals: 0, popularity: 0 };
const STATS = {
  version: "bigint",
  campaign_id: "text",
  impressions: "bigint",
  clicks: "bigint",
  conversions: "bigint",
  dismissals: "bigint",
  popularity: "double precision",
} as const;
const SOURCE = {
  kind: "text",
  uri: "text",
  sha256: "text",
  rows: "bigint",
  run_id: "text",
  at: "text",
} as const;

const STATS_OF = `SELECT campaign_id, ${Object.keys(NO_STATS).join(", ")} FROM stats`;
const NEWEST_DAY = "SELECT substr(max(timestamp), 1, 10) AS day FROM events WHERE timestamp <= $1";
const EVENTS_OF_DAY = "SELECT count(*) AS events FROM events WHERE timestamp >= $1 AND timestamp <= $2";
const CAMPAIGN_IDS = "SELECT campaign_id FROM campaigns WHERE campaign_id > $1 ORDER BY campaign_id LIMIT $2";
const PUBLISHED = "SELECT version, previous, run_id, model, at FROM published";
const NEXT_SAVE = "SELECT coalesce(max(save), 0) + 1 AS save FROM files WHERE version = $1 AND name = $2";
const NEWEST_SAVE = `SELECT save, size FROM files WHERE version = $1 AND name = $2 AND part = 0
  ORDER BY save DESC LIMIT 1`;
const PARTS = `SELECT bytes FROM files WHERE version = $1 AND name = $2 AND save = $3 AND part >= $4
  ORDER BY part LIMIT $5`;
const INSERT_PART =
  "INSERT INTO files (version, name, save, part, size, bytes) VALUES ($1, $2, $3, $4, $5, $6)";
const FLIP =
  `INSERT INTO published ("only", version, previous, run_id, model, at) VALUES (1, $1, $2, $3, $4, $5)
  ON CONFLICT ("only") DO UPDATE SET version = excluded.version, previous = excluded.previous,
    run_id = excluded.run_id, model = excluded.model, at = excluded.at`;

/** The statements that differ by dialect. */
function statements({ texts, isIn, insertRows }: Dialect) {
  const days = (which: string) =>
    `SELECT input.campaign_id, substr(events.timestamp, 1, 10) AS day, ${BY_TYPE}
      FROM (SELECT text AS campaign_id FROM ${
      texts("$1")
    } AS ids) AS input LEFT JOIN events ON events.campaign_id = input.campaign_id ${which}
      GROUP BY input.campaign_id, day ORDER BY input.campaign_id, day`;
  return {
    days: days(""),
    // Reads the rows of events, since no index has campaigns and users.
    daysOfOthers: days("AND events.user_id NOT IN (SELECT user_id FROM opted_out)"),
    insertStats: `${insertRows("stats", Object.keys(STATS))} ${replacing(STATS, ["version", "campaign_id"])}`,
    stats: `${STATS_OF} WHERE version = $1 AND ${isIn("campaign_id", "$2")} ORDER BY campaign_id`,
    popular: `${STATS_OF} WHERE version = $1 ORDER BY popularity DESC, campaign_id LIMIT $2`,
    leastShown:
      `${STATS_OF} WHERE version = $1 AND impressions < $2 ORDER BY impressions, campaign_id LIMIT $3`,
    record: `${insertRows("sources", Object.keys(SOURCE))} ${replacing(SOURCE, ["kind", "uri"])}`,
  };
}

/** Events that are left out of stats, by campaign and day. */
class DayCounts {
  private readonly counts = new Map<string, EventType[]>();
  private readonly timesByDay = new Map<string, string[]>();

  constructor(events: readonly EngagementEvent[]) {
    for (const { campaign_id, type, timestamp } of events) {
      const day = timestamp.slice(0, 10);
      append(this.counts, `${day} ${campaign_id}`, type);
      append(this.timesByDay, day, timestamp);
    }
  }

  /** How many there are on a day, up to a time of it. */
  eventsOf(day: string, until: string): number {
    return (this.timesByDay.get(day) ?? []).filter((timestamp) => timestamp <= until).length;
  }

  subtractFrom(row: CampaignDay): CampaignDay {
    const types = this.counts.get(`${row.day} ${row.campaign_id}`);
    if (types === undefined) return row;
    const others = (count: number, type: EventType) => count - types.filter((one) => one === type).length;
    return {
      ...row,
      impressions: others(row.impressions, "impression"),
      clicks: others(row.clicks, "click"),
      conversions: others(row.conversions, "conversion"),
      dismissals: others(row.dismissals, "dismissal"),
    };
  }
}

function append<Value>(lists: Map<string, Value[]>, key: string, value: Value): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}

/**
 * Data versions in SQL. Files are stored in parts, so that no transaction is long. Each save has a number and writes its first
 * part last: a save is complete once it has a first part, and the newest complete save is the file.
 */
export class SqlReleases implements ReleaseStore {
  private readonly sql: ReturnType<typeof statements>;

  constructor(private readonly db: SqlDatabase) {
    this.sql = statements(db.dialect);
  }

  /** Builds stats of every campaign in the catalogue. Memory grows with campaigns, not with events. */
  async buildStats(options: BuildStatsOptions): Promise<{ campaigns: number }> {
    const { version, signal } = options;
    refusePublished(version, await this.published(options));
    const stats = await this.derive(options);
    await this.deleteStats({ where: "version = $1", values: [version], signal });
    const rows = stats.map((row) => ({ version, ...row }));
    const insert = (group: readonly typeof rows[number][]) => runRows(this.sql.insertStats, [], STATS, group);
    await this.db.writeEach(rows, insert, { ...BULK, signal });
    return { campaigns: stats.length };
  }

  statsWithout(options: Parameters<ReleaseStore["statsWithout"]>[0]): Promise<CampaignStats[]> {
    return this.derive(options, new DayCounts(options.events));
  }

  private async derive(
    { half_life_days, latest, signal }: Omit<BuildStatsOptions, "version">,
    without = new DayCounts([]),
  ): Promise<CampaignStats[]> {
    const newest = await this.newestDay(latest, without, signal);
    const popularity = new Popularity({ newest, half_life_days });
    const someOptedOut = await this.db.query(() => get("SELECT 1 AS one FROM opted_out LIMIT 1"), { signal });
    const sql = someOptedOut === null ? this.sql.days : this.sql.daysOfOthers;
    const ids = paged(
      PAGE,
      ({ campaign_id }: { campaign_id: string }) => campaign_id,
      async (after, limit) => {
        await yieldToEventLoop({ signal });
        const page = () => all<{ campaign_id: string }>(CAMPAIGN_IDS, after ?? "", limit);
        return this.db.query(page, { signal });
      },
    );
    for await (const page of batches(ids, PAGE)) {
      const days = () => all<CampaignDay>(sql, storableJson(page.map(({ campaign_id }) => campaign_id)));
      for (const day of await this.db.read(days, { ...BULK, signal })) {
        popularity.add(without.subtractFrom(day));
      }
    }
    return popularity.stats();
  }

  /** The day of the newest event up to `latest` that is not left out. */
  private async newestDay(
    latest: string,
    without: DayCounts,
    signal: AbortSignal | undefined,
  ): Promise<string | null> {
    for (let until = latest;;) {
      const newest = () => get<{ day: string | null }>(NEWEST_DAY, until);
      const day = (await this.db.query(newest, { signal }))?.day ?? null;
      const left_out = day === null ? 0 : without.eventsOf(day, until);
      if (day === null || left_out === 0) return day;
      const count = () => get<{ events: number }>(EVENTS_OF_DAY, day, until);
      if ((await this.db.query(count, { signal }))!.events > left_out) return day;
      until = iso(Date.parse(day) - 1);
    }
  }

  /** One row for each distinct id. */
  async stats(
    { version, campaign_ids, signal }: { version: number; campaign_ids: readonly string[] } & Abortable,
  ): Promise<CampaignStats[]> {
    const read = () => all<CampaignStats>(this.sql.stats, version, storableJson(campaign_ids));
    const rows = await this.db.query(read, { signal });
    const missing = new Set(campaign_ids);
    for (const { campaign_id } of rows) missing.delete(campaign_id);
    if (missing.size === 0) return rows;
    return [...rows, ...[...missing].map((campaign_id) => ({ campaign_id, ...NO_STATS }))]
      .sort((a, b) => compareText(a.campaign_id, b.campaign_id));
  }

  popular(options: { version: number; limit: number } & Abortable): Promise<CampaignStats[]> {
    const { version, limit } = options;
    return this.db.query(() => all<CampaignStats>(this.sql.popular, version, limit), options);
  }

  leastShown(
    options: { version: number; max_impressions: number; limit: number } & Abortable,
  ): Promise<CampaignStats[]> {
    const { version, max_impressions, limit } = options;
    return this.db.query(
      () => all<CampaignStats>(this.sql.leastShown, version, max_impressions, limit),
      options,
    );
  }

  async saveFile({ version, name, bytes, signal }: VersionFile & { bytes: Uint8Array }): Promise<void> {
    refusePublished(version, await this.published({ signal }));
    const limits = { ...BULK, signal };
    const { dialect } = this.db;
    const [last, ...others] = partsOf(bytes).reverse() as [FilePart, ...FilePart[]];
    const insert = (save: number, { part, bytes: own }: FilePart) =>
      run(INSERT_PART, version, name, save, part, bytes.length, own);
    const save = await this.db.write(function* () {
      // One number at a time, so that two saves do not mix their parts.
      yield* dialect.lockNames(["files"]);
      const { save } = (yield* get<{ save: number }>(NEXT_SAVE, version, name))!;
      yield* insert(save, last);
      return save;
    }, limits);
    await this.db.writeEach(others, function* (group) {
      for (const part of group) yield* insert(save, part);
    }, { ...limits, size: () => PART_SIZE });
    const former = { where: "version = $1 AND name = $2 AND save < $3", values: [version, name, save] };
    await deleteParts(this.db, { ...former, ...limits });
  }

  async file(options: VersionFile): Promise<Uint8Array<ArrayBuffer> | null> {
    const { version, name } = options;
    const newestSave = () => get<{ save: number; size: number }>(NEWEST_SAVE, version, name);
    while (true) {
      await yieldToEventLoop(options);
      const newest = await this.db.query(newestSave, options);
      if (newest === null) return null;
      const file = new Uint8Array(newest.size);
      // Parts are missing if a newer save or a publish removed them while they were read.
      if (await this.readInto(file, { ...options, save: newest.save })) return file;
    }
  }

  private async readInto(file: Uint8Array, options: VersionFile & { save: number }): Promise<boolean> {
    const { version, name, save } = options;
    let part = 0;
    while (part * PART_BYTES < file.length) {
      if (part > 0) await yieldToEventLoop(options);
      const count = Math.min(READ_PARTS, Math.ceil(file.length / PART_BYTES) - part);
      const read = () => all<{ bytes: Uint8Array }>(PARTS, version, name, save, part, count);
      const rows = await this.db.query(read, options);
      if (rows.length < count) return false;
      for (const { bytes } of rows) file.set(bytes, PART_BYTES * part++);
    }
    return true;
  }

  published(options: Abortable = {}): Promise<Published | null> {
    return this.db.query(() => get<Published>(PUBLISHED), options);
  }

  async publish({ published: next, sources, signal }: PublishOptions): Promise<Published> {
    const { dialect } = this.db;
    const { record } = this.sql;
    // One statement cannot set a row twice: of a source that is given twice, the last record counts.
    const records = [...new Map(sources.map((source) => [sourceKey(source), source])).values()];
    const published = await this.db.write(function* () {
      // Not the row, because it may not exist yet.
      yield* dialect.lockNames(["published"]);
      const current = yield* get<Published>(PUBLISHED);
      if (current?.version === next.version) return current;
      refusePublished(next.version, current);
      const previous = current?.version ?? null;
      yield* run(FLIP, next.version, previous, next.run_id, next.model, next.at);
      if (records.length > 0) yield* runRows(record, [], SOURCE, records);
      return { ...next, previous };
    }, { ...BULK, signal });
    const { version, previous } = published;
    // Without the signal: the version is published, and the answer says so.
    await this.deleteOthers([version, previous ?? version]);
    return published;
  }

  async dropPrevious({ signal }: Abortable = {}): Promise<void> {
    const published = await this.published({ signal });
    if (published === null) return;
    const { version } = published;
    const forget = "UPDATE published SET previous = NULL WHERE version = $1";
    await this.db.write(() => run(forget, version), { signal });
    await this.deleteOthers([version, version], { signal });
  }

  private async deleteOthers(kept: readonly [number, number], { signal }: Abortable = {}): Promise<void> {
    const others = { where: "version NOT IN ($1, $2)", values: kept, signal };
    await this.deleteStats(others);
    await deleteParts(this.db, { ...others, ...BULK });
  }

  private async deleteStats(
    { where, values, signal }: { where: string; values: readonly SqlValue[] } & Abortable,
  ): Promise<void> {
    const sql = `DELETE FROM stats WHERE (campaign_id, version) IN (
      SELECT campaign_id, version FROM stats WHERE ${where} LIMIT $${values.length + 1})`;
    await this.db.writeAll((limit) => run(sql, ...values, limit), { ...BULK, limit: MAX_STATS, signal });
  }
}

function sourceKey({ kind, uri }: SourceRecord): string {
  return JSON.stringify([kind, uri]);
}

/** Throws `conflict` for a version that is published or older than the published one. */
function refusePublished(version: number, published: Published | null): void {
  if (published === null || version > published.version) return;
  throw new ParleyError(
    "conflict",
    `data version ${version} is not newer than ${published.version}, which run ${published.run_id} published`,
  );
}
