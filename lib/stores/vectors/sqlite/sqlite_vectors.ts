// deno-lint-ignore-file require-await -- the port is asynchronous, node:sqlite is not
import { yieldToEventLoop } from "../../../core/abort.ts";
import { batches } from "../../../core/batches.ts";
import type { Abortable, ModelIdentity, PageOptions, WriteCounts } from "../../../core/types.ts";
import type { TombstoneStore } from "../../tombstones/port.ts";
import { SetDigest } from "../../engines/set_digest.ts";
import type { Sqlite } from "../../engines/sqlite/sqlite.ts";
import {
  type Collection,
  type DeleteExcept,
  type Hit,
  INDEXED,
  type IndexFault,
  PERSONAL,
  type Search,
  type VectorCounts,
  type VectorRow,
  type VectorStore,
} from "../port.ts";
import { bestFirst, faultOf, floatsOf, refuseFaults, type StoredRow, unit } from "../rows.ts";
import type { VectorFiles } from "./vector_files.ts";
import { SqliteTombstones } from "./tombstones.ts";
import { eraseRows, putRows, ROWS_PER_TURN } from "./table.ts";
import type { NearRow } from "./indexes.ts";

/** Neighbours asked for beyond `k`, so that most ties at the end of an answer from codes can be put in order. */
const SPARE = 16;

/**
 * One model's vectors as rows of a SQLite file, with index files next to it that any process may build and others open.
 * An index file is verified before it is used; a damaged one is rebuilt from the rows. Search in a collection of up to
 * 2,000 distinct vectors is exact; above, it is approximate, with scores to 1e-5. Vectors that agree in every component
 * to 2^-16 count as one. Rows that were deleted since a build are no longer found; their bytes leave the index files with
 * the next `build` and the `dropVersionsExcept` after it. A row that was replaced since is found by its former vector.
 */
export class SqliteVectors implements VectorStore {
  readonly tombstones: TombstoneStore;

  constructor(readonly model: ModelIdentity, private readonly files: VectorFiles) {
    this.tombstones = new SqliteTombstones(files);
  }

  private get sql(): Sqlite {
    return this.files.read().sql;
  }

  async upsert(
    { collection, rows, signal }: { collection: Collection; rows: readonly VectorRow[] } & Abortable,
  ): Promise<WriteCounts> {
    signal?.throwIfAborted();
    const total = { inserted: 0, changed: 0, same: 0 };
    if (rows.length === 0) return total;
    refuseFaults(rows, this.model);
    const { sql } = this.files.write();
    for await (const some of batches(rows, ROWS_PER_TURN)) {
      signal?.throwIfAborted();
      const outcomes = await sql.write(() => putRows(sql, collection, some));
      for (const outcome of outcomes) total[outcome]++;
    }
    return total;
  }

  async hashes(
    options: { collection: Collection; ids: readonly string[] } & Abortable,
  ): Promise<Map<string, string>> {
    const rows = this.among("id, content_hash", options);
    return new Map(rows.map((row) => [row.id, row.content_hash]));
  }

  async get(
    options: { collection: Collection; ids: readonly string[] } & Abortable,
  ): Promise<Map<string, Float32Array>> {
    const rows = this.among("id, vector", options);
    return new Map(rows.map((row) => [row.id, floatsOf(row.vector)]));
  }

  async page(
    { collection, after, limit, user_id, signal }: PageOptions & { collection: Collection; user_id?: string },
  ): Promise<VectorRow[]> {
    signal?.throwIfAborted();
    // All rows in the order of ids are not read to find one user's.
    const [id, own] = user_id === undefined ? ["id", ""] : ["+id", "AND user_id = ?4"];
    const rows = this.sql.all<StoredRow>(
      `SELECT id, user_id, role, timestamp, content_hash, vector FROM vectors
       WHERE collection = ?1 AND ${id} > ?2 ${own} ORDER BY ${id} LIMIT ?3`,
      collection,
      after ?? "",
      limit,
      ...user_id === undefined ? [] : [user_id],
    );
    return rows.map((row) => ({ ...row, vector: floatsOf(row.vector) }));
  }

  private among(
    columns: string,
    { collection, ids, signal }: { collection: Collection; ids: readonly string[] } & Abortable,
  ): StoredRow[] {
    signal?.throwIfAborted();
    return this.sql.all<StoredRow>(
      `SELECT ${columns} FROM vectors WHERE collection = ? AND id IN (SELECT value FROM json_each(?))`,
      collection,
      JSON.stringify(ids),
    );
  }

  async byHash(
    options: { collection: Collection; hashes: readonly string[] } & Abortable,
  ): Promise<Map<string, Float32Array>> {
    options.signal?.throwIfAborted();
    // One probe a hash: a common text has thousands of rows, of which any one will do.
    const rows = this.sql.all<{ hash: string; vector: Uint8Array | null }>(
      `SELECT value AS hash, (SELECT vector FROM vectors WHERE collection = ? AND content_hash = value LIMIT 1)
         AS vector FROM json_each(?)`,
      options.collection,
      JSON.stringify(options.hashes),
    );
    return new Map(
      rows.flatMap(({ hash, vector }) => vector && !this.isFaulty(vector) ? [[hash, floatsOf(vector)]] : []),
    );
  }

  async search(options: Search): Promise<Hit[]> {
    options.signal?.throwIfAborted();
    const query = unit(options.vector, this.model.dimension);
    const index = await this.files.read().indexes.reader(options);
    options.signal?.throwIfAborted();
    const excluded = new Set(options.exclude);
    for (let fetch = options.k + excluded.size + SPARE;; fetch *= 2) {
      const hits = this.live(index.nearest(query, fetch)).filter(({ id }) => !excluded.has(id));
      if (hits.length >= options.k || fetch >= index.rows) return hits.sort(bestFirst).slice(0, options.k);
    }
  }

  /** Names the rows that still exist, each once. */
  private live(found: readonly NearRow[]): Hit[] {
    const rows = this.sql.all<{ rowid: number; id: string }>(
      "SELECT rowid, id FROM vectors WHERE rowid IN (SELECT value FROM json_each(?))",
      JSON.stringify(found.map(({ rowid }) => rowid)),
    );
    const ids = new Map(rows.map(({ rowid, id }) => [rowid, id]));
    return found.flatMap(({ rowid, score }) => {
      const id = ids.get(rowid);
      // A row whose vector changed during a build may be in two groups.
      ids.delete(rowid);
      return id === undefined ? [] : [{ id, score }];
    });
  }

  async build(options: { version: number; log?: (line: string) => void } & Abortable): Promise<VectorCounts> {
    options.signal?.throwIfAborted();
    const { builder } = this.files.write().indexes;
    const counts = await this.counts(options);
    for (const collection of INDEXED) counts[collection] = await builder.build({ ...options, collection });
    return counts;
  }

  async verify({ version, signal }: { version: number } & Abortable): Promise<IndexFault[]> {
    signal?.throwIfAborted();
    return await this.files.read().indexes.verify({ version, signal });
  }

  async dropVersionsExcept({ versions, signal }: { versions: readonly number[] } & Abortable): Promise<void> {
    signal?.throwIfAborted();
    await this.files.read().indexes.dropVersionsExcept(versions);
  }

  async faults({ limit, signal }: { limit: number } & Abortable): Promise<string[]> {
    const ids: string[] = [];
    let last: number | null = 0;
    while (last !== null && ids.length < limit) {
      const after: number = last;
      const page = await this.sql.write(() => this.verifySome(after), { signal });
      ids.push(...page.faulty);
      last = page.last;
    }
    return ids.slice(0, limit);
  }

  /** Looks at some rows that were written since they were last looked at; those without a fault are not looked at again. */
  private verifySome(after: number): { faulty: string[]; last: number | null } {
    const rows = this.sql.all<{ row: number; id: string | null; vector: Uint8Array | null }>(
      `SELECT row, id, vector FROM unverified LEFT JOIN vectors ON vectors.rowid = row
       WHERE row > ? ORDER BY row LIMIT ${ROWS_PER_TURN}`,
      after,
    );
    const isFaulty = ({ vector }: { vector: Uint8Array | null }) => vector !== null && this.isFaulty(vector);
    const verified = rows.filter((each) => !isFaulty(each)).map(({ row }) => row);
    this.sql.run(
      "DELETE FROM unverified WHERE row IN (SELECT value FROM json_each(?))",
      JSON.stringify(verified),
    );
    return { faulty: rows.filter(isFaulty).map(({ id }) => id!), last: rows.at(-1)?.row ?? null };
  }

  async dropFaults({ signal }: Abortable = {}): Promise<number> {
    let deleted = 0;
    for await (const { collection, id, vector } of this.scan(signal)) {
      if (!this.isFaulty(vector)) continue;
      deleted += await eraseRows(this.sql, {
        collection: collection as Collection,
        column: "id",
        values: [id],
        signal,
      });
    }
    return deleted;
  }

  private isFaulty(vector: Uint8Array): boolean {
    return vector.length % 4 !== 0 || faultOf(floatsOf(vector), this.model.dimension) !== null;
  }

  private async *scan(signal: AbortSignal | undefined): AsyncGenerator<StoredRow> {
    let after = 0;
    while (true) {
      signal?.throwIfAborted();
      const rows = this.sql.all<StoredRow>(
        `SELECT * FROM vectors WHERE rowid > ? ORDER BY rowid LIMIT ${ROWS_PER_TURN}`,
        after,
      );
      yield* rows;
      if (rows.length < ROWS_PER_TURN) return;
      after = rows.at(-1)!.rowid;
      await yieldToEventLoop();
    }
  }

  async deleteExcept({ collection, user_ids, ids, signal }: DeleteExcept): Promise<number> {
    signal?.throwIfAborted();
    const left = this.sql.all<{ id: string }>(
      `SELECT id FROM vectors WHERE collection = ? AND user_id IN (SELECT value FROM json_each(?))
         AND id NOT IN (SELECT value FROM json_each(?))`,
      collection,
      JSON.stringify(user_ids),
      JSON.stringify(ids),
    );
    if (left.length === 0) return 0;
    return await eraseRows(this.sql, { collection, column: "id", values: left.map(({ id }) => id), signal });
  }

  async deleteUsers({ user_ids, signal }: { user_ids: readonly string[] } & Abortable): Promise<number> {
    let deleted = 0;
    for (const collection of PERSONAL) {
      deleted += await eraseRows(this.sql, { collection, column: "user_id", values: user_ids, signal });
    }
    await this.sql.scrub();
    return deleted;
  }

  async deleteCampaigns(
    { campaign_ids, signal }: { campaign_ids: readonly string[] } & Abortable,
  ): Promise<number> {
    const campaigns = { collection: "campaigns", column: "id", values: campaign_ids, signal } as const;
    const deleted = await eraseRows(this.sql, campaigns);
    await this.sql.scrub();
    return deleted;
  }

  inBulk<T>(work: () => Promise<T>): Promise<T> {
    return this.files.write().sql.inBulk(work);
  }

  async compact({ signal }: Abortable = {}): Promise<void> {
    await this.sql.compact({ signal });
  }

  async counts(options: Abortable = {}): Promise<Record<Collection, number>> {
    options.signal?.throwIfAborted();
    const counts: Record<Collection, number> = { messages: 0, profiles: 0, conversations: 0, campaigns: 0 };
    const sql = "SELECT collection, count(*) AS rows FROM vectors GROUP BY collection";
    const found = this.sql.all<{ collection: Collection; rows: number }>(sql);
    for (const { collection, rows } of found) counts[collection] = rows;
    return counts;
  }

  async isEmpty({ collection, signal }: { collection: Collection } & Abortable): Promise<boolean> {
    signal?.throwIfAborted();
    return this.sql.all("SELECT 1 FROM vectors WHERE collection = ? LIMIT 1", collection).length === 0;
  }

  async digest(options: Abortable = {}): Promise<string> {
    const digest = new SetDigest();
    for await (
      const { collection, id, user_id, role, timestamp, content_hash, vector } of this.scan(options.signal)
    ) {
      digest.add([collection, id, user_id, role, timestamp, content_hash, vector.toHex()]);
    }
    return digest.hex();
  }
}
