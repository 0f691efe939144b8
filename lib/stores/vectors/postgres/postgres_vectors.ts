import { batches, paged } from "../../../core/batches.ts";
import { dot } from "../../../core/dot.ts";
import type { Abortable, ModelIdentity, PageOptions, WriteCounts } from "../../../core/types.ts";
import { addCounts, NO_WRITES } from "../../../core/write_counts.ts";
import { PostgresError } from "../../engines/postgres/errors.ts";
import type { Postgres } from "../../engines/postgres/postgres.ts";
import { type PgSession, type SqlValue, transposed } from "../../engines/postgres/session.ts";
import { SetDigest } from "../../engines/set_digest.ts";
import { storable } from "../../engines/sql.ts";
import type { TombstoneStore } from "../../tombstones/port.ts";
import { modelTag } from "../names.ts";
import {
  type Collection,
  type DeleteExcept,
  type Hit,
  INDEXED,
  type Indexed,
  type IndexFault,
  PERSONAL,
  type Search,
  type VectorCounts,
  type VectorRow,
  type VectorStore,
} from "../port.ts";
import { bestFirst, bytesOf, compareRows, refuseFaults, unit, vectorHash } from "../rows.ts";
import {
  type Build,
  BuildCache,
  createBuild,
  dropBuilds,
  entriesOf,
  faultySql,
  membersOf,
  operand,
  removeMembers,
  settleBuild,
  verifyBuilds,
} from "./builds.ts";
import { decodeVector, encodeVector, realArray } from "./encoding.ts";
import { ServerStore } from "../../engines/server_store.ts";

/** Rows that one transaction writes, or one query reads, at most. */
const PAGE_ROWS = 500;
/** Neighbours asked for beyond `k`, so that close scores at the end of an answer can be put in order. */
const SPARE = 16;
/** For statements that read or delete a large part of a table. */
const WHOLE = { timeout_ms: 60_000 };
/** A million vectors of 384 dimensions take some twenty minutes. */
const BUILD = { timeout_ms: 3 * 3_600_000 };

type StoredRow = Omit<VectorRow, "vector">;

/** `vector` is what `vector_send` gives. */
type RowWithVector = StoredRow & { readonly collection: Collection; readonly vector: Uint8Array };

const SCALARS = "id, user_id, role, timestamp, content_hash";
const OF_COLLECTION = "model = $1 AND collection = $2";

/**
 * One model's vectors in PostgreSQL with pgvector. Search in a collection of up to 2,000 distinct vectors is exact, with the
 * scores of the embedded store; above, it is approximate, with scores to 1e-6. Vectors that agree in every component to 2^-16
 * count as one. `build` is one transaction: one that ends early leaves nothing. It adds what is new to the graph of the build
 * before it, or makes a new one if much has changed. Erased rows leave all versions at once; their bytes leave the server's files with the next vacuum.
 */
export class PostgresVectors extends ServerStore implements VectorStore {
  readonly tombstones: TombstoneStore = {
    add: ({ hashes, signal }) => this.addTombstones(hashes, { signal }),
    page: ({ after, limit, signal }) =>
      this.tombstonesWhere(`user_hash > $2 ORDER BY user_hash LIMIT $3`, [after ?? "", limit], { signal }),
    among: ({ hashes, signal }) =>
      this.tombstonesWhere("user_hash = ANY($2::text[]) ORDER BY user_hash", [hashes], { signal }),
    remove: async ({ hashes, signal }) => {
      const sql = "DELETE FROM vector_tombstones WHERE model = $1 AND user_hash = ANY($2::text[])";
      await this.db.write((session) => session.run(sql, [this.tag, hashes]), { signal });
    },
  };
  private readonly tag: string;
  private readonly builds: BuildCache;

  constructor(readonly model: ModelIdentity, private readonly db: Postgres) {
    super();
    this.tag = modelTag(model);
    this.builds = new BuildCache(db, this.tag);
  }

  async upsert(
    { collection, rows, signal }: { collection: Collection; rows: readonly VectorRow[] } & Abortable,
  ): Promise<WriteCounts> {
    signal?.throwIfAborted();
    let total = NO_WRITES;
    refuseFaults(rows, this.model);
    for await (const some of batches(rows, PAGE_ROWS)) {
      total = addCounts(
        total,
        await this.db.write((session) => this.put(session, collection, some), { signal }),
      );
    }
    return total;
  }

  /** Rows are written in the order of their ids, as by all writers. Of two that insert a row at one time, both count it. */
  private async put(
    session: PgSession,
    collection: Collection,
    rows: readonly VectorRow[],
  ): Promise<WriteCounts> {
    const clean = rows.map((row) => ({
      ...row,
      id: storable(row.id),
      user_id: row.user_id && storable(row.user_id),
    }));
    const stored = await session.all<StoredRow>(
      `SELECT ${SCALARS} FROM vectors WHERE ${OF_COLLECTION} AND id = ANY($3::text[])`,
      [this.tag, collection, clean.map(({ id }) => id)],
    );
    const { counts, written } = compareRows(clean, new Map(stored.map((row) => [row.id, row])));
    if (written.size === 0) return counts;
    await this.insertModel(session);
    const sorted = [...written.values()].sort((a, b) => a.id < b.id ? -1 : 1);
    const values = sorted.map((row) => [
      row.id,
      row.user_id,
      row.role,
      row.timestamp,
      row.content_hash,
      vectorHash(row.vector),
    ]);
    const { dimension } = this.model;
    await session.run(
      `INSERT INTO vectors (model, collection, ${SCALARS}, vector_hash, vector)
       SELECT $1, $2, ${SCALARS}, vector_hash,
         ($3::real[])[(n::int - 1) * ${dimension} + 1 : n::int * ${dimension}]::vector
       FROM unnest($4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::bigint[])
         WITH ORDINALITY AS input (${SCALARS}, vector_hash, n)
       ON CONFLICT (model, collection, id) DO UPDATE SET user_id = excluded.user_id, role = excluded.role,
         timestamp = excluded.timestamp, content_hash = excluded.content_hash,
         vector_hash = excluded.vector_hash, vector = excluded.vector`,
      [
        this.tag,
        collection,
        realArray(sorted.map(({ vector }) => vector), dimension),
        ...transposed(values, 6),
      ],
    );
    return counts;
  }

  /** Makes this model's row. No other transaction removes it until this one ends. */
  private async insertModel(session: PgSession): Promise<void> {
    const { name, revision, dimension, pooling } = this.model;
    await session.run("INSERT INTO vector_models VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING", [
      this.tag,
      name,
      revision,
      dimension,
      pooling,
    ]);
    await session.run("SELECT FROM vector_models WHERE model = $1 FOR KEY SHARE", [this.tag]);
  }

  async hashes(
    options: { collection: Collection; ids: readonly string[] } & Abortable,
  ): Promise<Map<string, string>> {
    const rows = await this.among<{ id: string; content_hash: string }>("id, content_hash", options);
    return new Map(rows.map((row) => [row.id, row.content_hash]));
  }

  async get(
    options: { collection: Collection; ids: readonly string[] } & Abortable,
  ): Promise<Map<string, Float32Array>> {
    const columns = "id, vector_send(vector) AS vector";
    const rows = await this.among<{ id: string; vector: Uint8Array }>(columns, options);
    return new Map(rows.map((row) => [row.id, decodeVector(row.vector)]));
  }

  async page(
    { collection, after, limit, user_id, signal }: PageOptions & { collection: Collection; user_id?: string },
  ): Promise<VectorRow[]> {
    // All rows in the order of ids are not read to find one user's.
    const [id, own] = user_id === undefined ? ["id", ""] : ["(id || '')", "AND user_id = $5"];
    const rows = await this.db.all<RowWithVector>(
      `SELECT ${SCALARS}, vector_send(vector) AS vector FROM vectors
       WHERE ${OF_COLLECTION} AND ${id} > $3 ${own} ORDER BY ${id} LIMIT $4`,
      [this.tag, collection, after ?? "", limit, ...user_id === undefined ? [] : [user_id]],
      { signal },
    );
    return rows.map((row) => ({ ...row, vector: decodeVector(row.vector) }));
  }

  private among<Row>(
    columns: string,
    { collection, ids, signal }: { collection: Collection; ids: readonly string[] } & Abortable,
  ): Promise<Row[]> {
    return this.db.all<Row>(
      `SELECT ${columns} FROM vectors WHERE ${OF_COLLECTION} AND id = ANY($3::text[])`,
      [this.tag, collection, ids],
      { signal },
    );
  }

  async byHash(
    { collection, hashes, signal }: { collection: Collection; hashes: readonly string[] } & Abortable,
  ): Promise<Map<string, Float32Array>> {
    // One probe a hash: a common text has thousands of rows, of which any one will do.
    const rows = await this.db.all<{ hash: string; vector: Uint8Array }>(
      `SELECT hash, found.vector FROM unnest($3::text[]) AS hash CROSS JOIN LATERAL (
         SELECT vector_send(vector) AS vector FROM vectors
         WHERE ${OF_COLLECTION} AND content_hash = hash AND NOT ${faultySql(this.model.dimension)}
         LIMIT 1) AS found`,
      [this.tag, collection, hashes],
      { signal },
    );
    return new Map(rows.map((row) => [row.hash, decodeVector(row.vector)]));
  }

  async search(options: Search): Promise<Hit[]> {
    options.signal?.throwIfAborted();
    const query = unit(options.vector, this.model.dimension);
    const build = await this.builds.get({ ...options, signal: options.signal });
    try {
      return await this.nearest(build, query, options);
    } catch (error) {
      if (!(error instanceof PostgresError) || !error.lacksTable) throw error;
      // Another process has replaced or dropped it since.
      const known = build;
      return await this.nearest(
        await this.builds.get({ ...options, known, signal: options.signal }),
        query,
        options,
      );
    }
  }

  /**
   * Of a build without a graph, scores are computed again in double precision, as the embedded store does. With one, entries are
   * taken from the graph one after the other until enough of them have ids in this build.
   */
  private async nearest(
    build: Build,
    query: Float32Array,
    { k, exclude = [], signal }: Search,
  ): Promise<Hit[]> {
    const { dimension } = this.model;
    const order = `${operand("vector", dimension)} <#> ${operand("$1::vector", dimension)}`;
    const distance = "vector <#> $1::vector AS distance";
    const entries = entriesOf(build);
    const members = `LATERAL (SELECT id FROM ${membersOf(build)} AS member
      WHERE member.entry = near.entry AND id <> ALL($3::text[]) ORDER BY id LIMIT $4) AS members`;
    const sql = build.indexed
      ? `SELECT id, distance, NULL AS vector
         FROM (SELECT id, ${distance} FROM ${entries} AS near CROSS JOIN ${members}
               ORDER BY ${order} FETCH FIRST $2 ROWS WITH TIES) AS found`
      : `SELECT id, distance, vector_send(vector) AS vector
         FROM (SELECT entry, vector, ${distance} FROM ${entries}
               ORDER BY ${order} FETCH FIRST $2 ROWS WITH TIES) AS near CROSS JOIN ${members}`;
    const limit = k + SPARE;
    const rows = await this.db.all<{ id: string; distance: number; vector: Uint8Array | null }>(
      `${sql} ORDER BY distance, id LIMIT $4`,
      [encodeVector(query), build.indexed ? limit : limit + exclude.length, exclude, limit],
      { signal },
    );
    const hits = rows.map(({ id, distance, vector }) => ({
      id,
      score: vector === null ? -distance : dot(query, decodeVector(vector)),
    }));
    return hits.sort(bestFirst).slice(0, k);
  }

  build({ version, signal }: { version: number } & Abortable): Promise<VectorCounts> {
    const { tag: model, model: { dimension } } = this;
    return this.db.write(async (session) => {
      await this.insertModel(session);
      const created: (Build & { collection: Indexed })[] = [];
      for (const collection of INDEXED) {
        created.push({ collection, ...await createBuild(session, { model, dimension, collection }) });
      }
      await this.lock(session, "NO KEY UPDATE");
      for (const each of created) await settleBuild(session, { model, collection: each.collection }, each);
      await this.replaceBuilds(session, "version = $2", [version], async () => {
        for (const { collection, build, entries, indexed } of created) {
          const values = [model, collection, version, build, entries, String(indexed)];
          await session.run("INSERT INTO vector_builds VALUES ($1, $2, $3, $4, $5, $6::boolean)", values);
        }
      });
      return await this.countsIn(session);
    }, { ...BUILD, signal });
  }

  /** Deletions wait while a build is being settled, which would miss them; others only keep the model in place. */
  private async lock(session: PgSession, how: "SHARE" | "NO KEY UPDATE"): Promise<void> {
    await session.run(`SELECT FROM vector_models WHERE model = $1 FOR ${how}`, [this.tag]);
  }

  /** Drops builds by a condition, once others that may use their entries are inserted. */
  private async replaceBuilds(
    session: PgSession,
    condition: string,
    values: readonly SqlValue[],
    insert: () => Promise<void> = () => Promise.resolve(),
  ): Promise<void> {
    const dropped = await session.all<Build>(
      `DELETE FROM vector_builds WHERE model = $1 AND ${condition} RETURNING build, entries, indexed`,
      [this.tag, ...values],
    );
    await insert();
    await dropBuilds(session, dropped, await this.buildsIn(session));
  }

  private buildsIn(session: PgSession): Promise<(Build & { collection: Collection })[]> {
    const sql =
      "SELECT collection, build, entries, indexed FROM vector_builds WHERE model = $1 ORDER BY build";
    return session.all(sql, [this.tag]);
  }

  verify({ version, signal }: { version: number } & Abortable): Promise<IndexFault[]> {
    return verifyBuilds(this.db, { model: this.tag, version, signal });
  }

  async dropVersionsExcept({ versions, signal }: { versions: readonly number[] } & Abortable): Promise<void> {
    await this.db.write(async (session) => {
      await this.lock(session, "SHARE");
      await this.replaceBuilds(session, "version <> ALL($2::int[])", [versions]);
    }, { ...WHOLE, signal });
  }

  /** Removes all rows and builds. */
  async drop({ signal }: Abortable): Promise<void> {
    await this.db.write(async (session) => {
      await this.replaceBuilds(session, "TRUE", []);
      await session.run("DELETE FROM vector_models WHERE model = $1", [this.tag]);
    }, { ...BUILD, signal });
  }

  async faults({ limit, signal }: { limit: number } & Abortable): Promise<string[]> {
    const sql = `SELECT id FROM vectors WHERE model = $1 AND ${faultySql(this.model.dimension)} LIMIT $2`;
    const rows = await this.db.read((session) => session.all<{ id: string }>(sql, [this.tag, limit]), {
      ...WHOLE,
      signal,
    });
    return rows.map(({ id }) => id);
  }

  dropFaults(options: Abortable = {}): Promise<number> {
    return this.erase(["messages", ...INDEXED], faultySql(this.model.dimension), [], options);
  }

  deleteExcept({ collection, user_ids, ids, signal }: DeleteExcept): Promise<number> {
    const condition = `user_id = ANY($3::text[])
      AND NOT EXISTS (SELECT FROM unnest($4::text[]) AS kept WHERE kept = id)`;
    return this.erase([collection], condition, [user_ids, ids], { signal });
  }

  deleteUsers({ user_ids, signal }: { user_ids: readonly string[] } & Abortable): Promise<number> {
    return this.erase(PERSONAL, "user_id = ANY($3::text[])", [user_ids], { signal });
  }

  deleteCampaigns(
    { campaign_ids, signal }: { campaign_ids: readonly string[] } & Abortable,
  ): Promise<number> {
    return this.erase(["campaigns"], "id = ANY($3::text[])", [campaign_ids], { signal });
  }

  /** Deletes rows by a condition, also from the builds of all versions; returns how many rows. */
  private erase(
    collections: readonly Collection[],
    condition: string,
    values: readonly SqlValue[],
    { signal }: Abortable,
  ): Promise<number> {
    return this.db.write(async (session) => {
      await this.lock(session, "SHARE");
      const builds = await this.buildsIn(session);
      let total = 0;
      for (const collection of collections) {
        const deleted = await session.all<{ id: string }>(
          `DELETE FROM vectors WHERE ${OF_COLLECTION} AND ${condition} RETURNING id`,
          [this.tag, collection, ...values],
        );
        total += deleted.length;
        const own = builds.filter((build) => build.collection === collection);
        await removeMembers(session, own, deleted.map(({ id }) => id));
      }
      return total;
    }, { ...WHOLE, signal });
  }

  private async addTombstones(hashes: readonly string[], { signal }: Abortable): Promise<void> {
    if (hashes.length === 0) return signal?.throwIfAborted();
    const sql = `INSERT INTO vector_tombstones SELECT $1, hash FROM unnest($2::text[]) AS hash
      ON CONFLICT DO NOTHING`;
    await this.db.write(async (session) => {
      await this.insertModel(session);
      await session.run(sql, [this.tag, hashes]);
    }, { signal });
  }

  private async tombstonesWhere(
    condition: string,
    values: readonly SqlValue[],
    options: Abortable,
  ): Promise<string[]> {
    const sql = `SELECT user_hash FROM vector_tombstones WHERE model = $1 AND ${condition}`;
    const rows = await this.db.all<{ user_hash: string }>(sql, [this.tag, ...values], options);
    return rows.map(({ user_hash }) => user_hash);
  }

  counts(options: Abortable = {}): Promise<VectorCounts> {
    return this.db.read((session) => this.countsIn(session), { ...WHOLE, signal: options.signal });
  }

  private async countsIn(session: PgSession): Promise<VectorCounts> {
    const counts = { messages: 0, profiles: 0, conversations: 0, campaigns: 0 };
    const sql = "SELECT collection, count(*) AS rows FROM vectors WHERE model = $1 GROUP BY collection";
    const found = await session.all<{ collection: Collection; rows: number }>(sql, [this.tag]);
    for (const { collection, rows } of found) counts[collection] = rows;
    return counts;
  }

  async isEmpty({ collection, signal }: { collection: Collection } & Abortable): Promise<boolean> {
    const sql = `SELECT 1 FROM vectors WHERE ${OF_COLLECTION} LIMIT 1`;
    return await this.db.get(sql, [this.tag, collection], { signal }) === null;
  }

  async digest({ signal }: Abortable = {}): Promise<string> {
    const digest = new SetDigest();
    for (const collection of ["messages", ...INDEXED] as const) {
      const page = (after: string | null, limit: number) => this.page({ collection, after, limit, signal });
      for await (const row of paged(PAGE_ROWS, ({ id }) => id, page)) {
        const { id, user_id, role, timestamp, content_hash, vector } = row;
        const hex = bytesOf(vector).toHex();
        digest.add([collection, id, user_id, role, timestamp, content_hash, hex]);
      }
    }
    return digest.hex();
  }
}
