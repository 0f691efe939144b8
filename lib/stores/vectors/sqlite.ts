// deno-lint-ignore-file require-await -- the port is asynchronous, node:sqlite is not
import { batches } from "../../core/batch.ts";
import { ParleyError } from "../../core/errors.ts";
import { type Health, type ModelIdentity, modelKey, type WriteCounts } from "../../core/types.ts";
import { SetDigest } from "../digest.ts";
import { Sqlite, type SqliteOptions } from "../sqlite.ts";
import type { Neighbour } from "./ann.ts";
import { type Indexed, Indexes } from "./indexes.ts";
import type { Collection, Hit, VectorCounts, VectorRow, VectorStore } from "./port.ts";
import { bestFirst, faultOf, floatsOf, rowOf, type StoredRow, turn, unit } from "./rows.ts";
import { VECTOR_MIGRATIONS } from "./schema.ts";
import { eraseRows, putRows, ROWS_PER_TURN } from "./table.ts";

/** Neighbours asked for beyond `k`, so that most ties at the end of an answer from a graph can be put in order. */
const SPARE = 16;

/**
 * Vectors as rows of one SQLite file, with index files beside it that are built by one process and opened read-only
 * by others. Search in a collection of up to 2,000 rows is exact; above, it is approximate, with scores to 1e-6.
 * Rows deleted since a build do not come back from it, at once; their bytes leave the index files with the next
 * `build` and the `keep` after it. A row replaced since is found by the vector that it had when built.
 */
export class SqliteVectors implements VectorStore {
  private readonly sql: Sqlite;
  private readonly indexes: Indexes;

  /** `index_dir` is made by the first build. Writing needs write permission for it and for the folder of `path`. */
  constructor(
    { index_dir, ...o }: Omit<SqliteOptions, "migrations" | "synchronous"> & { index_dir: string },
  ) {
    this.sql = new Sqlite({ ...o, migrations: VECTOR_MIGRATIONS });
    this.indexes = new Indexes(this.sql, index_dir);
  }

  async model(): Promise<ModelIdentity | null> {
    return this.bound();
  }

  private bound(): ModelIdentity | null {
    return this.sql.get<ModelIdentity>("SELECT name, revision, dimension, pooling FROM model");
  }

  private dimension(): number {
    const model = this.bound();
    if (model) return model.dimension;
    throw new ParleyError("invalid", "the vector store is not bound to a model yet: bind it before writing");
  }

  async bind({ model }: { model: ModelIdentity }): Promise<void> {
    const held = this.bound();
    if (held && modelKey(held) === modelKey(model)) return;
    await this.sql.write(() => this.rebind(model));
    if (held) await this.indexes.keep([]);
  }

  private rebind({ name, revision, dimension, pooling }: ModelIdentity): void {
    const held = this.bound();
    if (held && this.sql.get("SELECT 1 FROM vectors LIMIT 1")) {
      const sentence =
        `the vectors at hand are of ${modelKey(held)}, not of ${name}@${revision}: keep that model, ` +
        "or give this one an empty store";
      throw new ParleyError("mismatch", sentence);
    }
    this.sql.run(
      "INSERT OR REPLACE INTO model (one, name, revision, dimension, pooling) VALUES (1, ?, ?, ?, ?)",
      name,
      revision,
      dimension,
      pooling,
    );
  }

  async upsert(o: { collection: Collection; rows: readonly VectorRow[] }): Promise<WriteCounts> {
    const total = { inserted: 0, changed: 0, same: 0 };
    if (o.rows.length === 0) return total;
    this.refuseFaults(o.rows);
    for await (const rows of batches(o.rows, ROWS_PER_TURN)) {
      const outcomes = await this.sql.write(() => putRows(this.sql, o.collection, rows));
      for (const outcome of outcomes) total[outcome]++;
    }
    return total;
  }

  private refuseFaults(rows: readonly VectorRow[]): void {
    const dimension = this.dimension();
    for (const { id, vector } of rows) {
      const fault = faultOf(vector, dimension);
      if (fault) throw new ParleyError("invalid", `the vector of ${id} ${fault}; nothing was written`);
    }
  }

  async hashes(o: { collection: Collection; ids: readonly string[] }): Promise<Map<string, string>> {
    const rows = this.among("id, content_hash", o.collection, o.ids);
    return new Map(rows.map((row) => [row.id, row.content_hash]));
  }

  async get(o: { collection: Collection; ids: readonly string[] }): Promise<Map<string, Float32Array>> {
    const rows = this.among("id, vector", o.collection, o.ids);
    return new Map(rows.map((row) => [row.id, floatsOf(row.vector)]));
  }

  private among(columns: string, collection: Collection, ids: readonly string[]): StoredRow[] {
    return this.sql.all<StoredRow>(
      `SELECT ${columns} FROM vectors WHERE collection = ? AND id IN (SELECT value FROM json_each(?))`,
      collection,
      JSON.stringify(ids),
    );
  }

  async byHash(
    o: { collection: Collection; hashes: readonly string[] },
  ): Promise<Map<string, Float32Array>> {
    // One probe a hash: a common text has thousands of rows, of which any one will do.
    const rows = this.sql.all<{ hash: string; vector: Uint8Array | null }>(
      `SELECT value AS hash, (SELECT vector FROM vectors WHERE collection = ? AND content_hash = value LIMIT 1)
         AS vector FROM json_each(?)`,
      o.collection,
      JSON.stringify(o.hashes),
    );
    return new Map(rows.flatMap(({ hash, vector }) => vector ? [[hash, floatsOf(vector)]] : []));
  }

  async messagesOf(o: { user_id: string; after: string | null; limit: number }): Promise<VectorRow[]> {
    return this.sql.all<StoredRow>(
      `SELECT * FROM vectors WHERE collection = 'messages' AND user_id = ? AND role = 'user' AND id > ?
       ORDER BY id LIMIT ?`,
      o.user_id,
      o.after ?? "",
      o.limit,
    ).map(rowOf);
  }

  async search(
    o: { collection: Indexed; version: number; vector: Float32Array; k: number; exclude?: readonly string[] },
  ): Promise<Hit[]> {
    const query = unit(o.vector, this.bound()?.dimension ?? o.vector.length);
    const index = this.indexes.reader({ ...o, dimension: query.length });
    const excluded = new Set(o.exclude);
    for (let fetch = o.k + excluded.size + SPARE;; fetch *= 2) {
      const hits = this.live(index.nearest(query, Math.min(fetch, index.size))).filter(({ id }) =>
        !excluded.has(id)
      );
      if (hits.length >= o.k || fetch >= index.size) return hits.sort(bestFirst).slice(0, o.k);
    }
  }

  /** Names the rows that are still there. */
  private live(found: readonly Neighbour[]): Hit[] {
    const rows = this.sql.all<{ rowid: number; id: string }>(
      "SELECT rowid, id FROM vectors WHERE rowid IN (SELECT value FROM json_each(?))",
      JSON.stringify(found.map(({ rowid }) => rowid)),
    );
    const ids = new Map(rows.map(({ rowid, id }) => [rowid, id]));
    return found.flatMap(({ rowid, score }) => {
      const id = ids.get(rowid);
      return id === undefined ? [] : [{ id, score }];
    });
  }

  async build({ version }: { version: number }): Promise<VectorCounts> {
    const dimension = this.bound()?.dimension ?? 0;
    const profiles = await this.indexes.build({ collection: "profiles", version, dimension });
    const campaigns = await this.indexes.build({ collection: "campaigns", version, dimension });
    return { messages: this.count("messages"), profiles, campaigns };
  }

  async keep({ versions }: { versions: readonly number[] }): Promise<void> {
    await this.indexes.keep(versions);
  }

  async faults({ limit }: { limit: number }): Promise<string[]> {
    const dimension = this.bound()?.dimension ?? 0;
    const ids: string[] = [];
    for await (const row of this.scan()) {
      if (ids.length >= limit) break;
      const whole = row.vector.length % 4 === 0;
      if (!whole || faultOf(floatsOf(row.vector), dimension)) ids.push(row.id);
    }
    return ids;
  }

  private async *scan(): AsyncGenerator<StoredRow> {
    let after = 0;
    while (true) {
      const rows = this.sql.all<StoredRow>(
        `SELECT * FROM vectors WHERE rowid > ? ORDER BY rowid LIMIT ${ROWS_PER_TURN}`,
        after,
      );
      yield* rows;
      if (rows.length < ROWS_PER_TURN) return;
      after = rows.at(-1)!.rowid;
      await turn();
    }
  }

  async deleteUsers({ user_ids }: { user_ids: readonly string[] }): Promise<number> {
    const messages = await eraseRows(this.sql, {
      collection: "messages",
      column: "user_id",
      values: user_ids,
    });
    const profiles = await eraseRows(this.sql, {
      collection: "profiles",
      column: "user_id",
      values: user_ids,
    });
    await this.truncateLog();
    return messages + profiles;
  }

  async deleteCampaigns({ campaign_ids }: { campaign_ids: readonly string[] }): Promise<number> {
    const gone = await eraseRows(this.sql, { collection: "campaigns", column: "id", values: campaign_ids });
    await this.truncateLog();
    return gone;
  }

  /** Empties the write-ahead log, which else keeps erased rows for a while. */
  private async truncateLog(): Promise<void> {
    for (let tries = 0; tries < 100; tries++) {
      const { busy } = this.sql.get<{ busy: number }>("PRAGMA wal_checkpoint(TRUNCATE)")!;
      if (busy === 0) return;
      await new Promise((resume) => setTimeout(resume, 20));
    }
    throw new ParleyError(
      "unavailable",
      "rows are deleted, but readers keep the log from being emptied: repeat it",
    );
  }

  async counts(): Promise<VectorCounts> {
    return {
      messages: this.count("messages"),
      profiles: this.count("profiles"),
      campaigns: this.count("campaigns"),
    };
  }

  private count(collection: Collection): number {
    const sql = "SELECT count(*) AS rows FROM vectors WHERE collection = ?";
    return this.sql.get<{ rows: number }>(sql, collection)!.rows;
  }

  async digest(): Promise<string> {
    const digest = new SetDigest();
    for await (const { collection, id, user_id, role, timestamp, content_hash, vector } of this.scan()) {
      digest.add([collection, id, user_id, role, timestamp, content_hash, vector.toHex()]);
    }
    return digest.hex();
  }

  async health(): Promise<Health> {
    const start = performance.now();
    const { version } = this.sql.get<{ version: string }>("SELECT sqlite_version() AS version")!;
    return { adapter: "sqlite", version, latency_ms: performance.now() - start };
  }

  async close(): Promise<void> {
    this.indexes.close();
    this.sql.close();
  }
}
