import { batches } from "../../../core/batches.ts";
import { ParleyError } from "../../../core/errors.ts";
import type { Abortable, ModelIdentity, PageOptions, WriteCounts } from "../../../core/types.ts";
import { addCounts, NO_WRITES } from "../../../core/write_counts.ts";
import { SetDigest } from "../../engines/set_digest.ts";
import type { Milvus } from "./client.ts";
import { mergeHits } from "./hits.ts";
import { decodeRow, encodeRow, FIELDS, hexOf, LIVE, planUpsert, retired } from "./rows.ts";
import { SCALARS, vectorOf, WHOLE } from "./rows.ts";
import { type IndexState, MilvusState, notBuilt } from "./state.ts";
import { MilvusTombstones } from "./tombstones.ts";
import { among, MAX_ROWS, MAX_VALUES, type MilvusRow, MilvusTable, quoted } from "./table.ts";
import { COLLECTIONS, INDEXED, PERSONAL } from "../port.ts";
import type {
  Collection,
  DeleteExcept,
  Hit,
  IndexFault,
  Search,
  VectorCounts,
  VectorRow,
  VectorStore,
} from "../port.ts";
import { faultOf, refuseFaults, unit } from "../rows.ts";
import { ServerStore } from "../../engines/server_store.ts";

type Signal = AbortSignal | undefined;

/** Rows in one write. */
const BATCH = 500;
/** Neighbours asked for beyond `k`, so that ties at the end of an answer can be put in order. */
const SPARE = 16;

/**
 * One model's vectors in Milvus 2.3 or newer, or Zilliz Cloud: a collection each for messages, profiles, conversations
 * and campaigns, and a small one for the state. The first write creates them.
 *
 * Milvus has one live index for each collection. Data versions are frozen by numbering builds: a row has the numbers of
 * the builds in which it is valid, a search filters by the number of its version's build, and a replaced row that a built
 * version has stays until `dropVersionsExcept` drops the last such version. So `build` costs two counts, whatever the
 * number of rows. Erased rows leave all versions at once; their bytes leave the disk when Milvus compacts. Searches see a
 * build, and an erasure, of any process: both return only when reads find them so (other replicas than the one that was
 * called may take seconds).
 *
 * There are no transactions: of two processes that write the same row at one time, the last wins.
 */
export class MilvusVectors extends ServerStore implements VectorStore {
  private readonly tables: Readonly<Record<Collection, MilvusTable>>;
  private readonly state: MilvusState;
  readonly tombstones: MilvusTombstones;

  /** `prefix` is that of this model's collections. */
  constructor(readonly model: ModelIdentity, { milvus, prefix }: { milvus: Milvus; prefix: string }) {
    super();
    const table = (name: string) => new MilvusTable(milvus, `${prefix}${name}`);
    const tables = COLLECTIONS.map((name) => [name, table(name)]);
    this.tables = Object.fromEntries(tables) as Record<Collection, MilvusTable>;
    this.state = new MilvusState(table("state"));
    this.tombstones = new MilvusTombstones(table("tombstones"));
  }

  /**
   * The state as of now. Creates the collections, also those that later versions of Parley added. Other callers may create
   * the same ones at the same time.
   */
  private async prepared(signal: Signal): Promise<IndexState> {
    const state = await this.state.now(signal);
    const { model } = this;
    await Promise.all(COLLECTIONS.map(async (name) => {
      const table = this.tables[name];
      if (state.model !== null && await table.ready(signal)) return;
      await table.create({ fields: FIELDS, dimension: model.dimension, signal });
    }));
    if (state.model === null) await this.state.write({ ...state, model }, signal);
    return { ...state, model };
  }

  /** Drops all collections, the one with the state last. */
  async drop({ signal }: Abortable): Promise<void> {
    await this.tombstones.drop(signal);
    await Promise.all(COLLECTIONS.map((collection) => this.tables[collection].drop(signal)));
    await this.state.drop(signal);
  }

  async upsert(
    options: { collection: Collection; rows: readonly VectorRow[] } & Abortable,
  ): Promise<WriteCounts> {
    options.signal?.throwIfAborted();
    let total = NO_WRITES;
    if (options.rows.length === 0) return total;
    refuseFaults(options.rows, this.model);
    const state = await this.prepared(options.signal);
    for await (const rows of batches(options.rows, BATCH)) {
      total = addCounts(total, await this.put(this.tables[options.collection], state, rows, options.signal));
    }
    return total;
  }

  private async put(
    table: MilvusTable,
    state: IndexState,
    rows: readonly VectorRow[],
    signal: Signal,
  ): Promise<WriteCounts> {
    const byKey = async (keys: readonly string[], fields: readonly string[]) => {
      if (keys.length === 0) return new Map<string, MilvusRow>();
      const held = await table.query({ filter: among("key", keys), fields, freshness: "now", signal });
      return new Map(held.map((row) => [String(row.key), row]));
    };
    const held = await byKey(rows.map(({ id }) => id), SCALARS);
    const plan = planUpsert({ rows, held, built: Math.max(-1, ...Object.values(state.builds)) });
    const replaced = await byKey(plan.retire, WHOLE);
    // In one call, whose rows become visible at one time: a build never misses a row or finds it twice.
    const written = [
      ...[...replaced.values()].map((row) => retired(row, state.next)),
      ...plan.rows.map((row) => encodeRow(row, state.next)),
    ];
    await table.upsert(written, signal);
    return plan.counts;
  }

  async hashes(
    options: { collection: Collection; ids: readonly string[] } & Abortable,
  ): Promise<Map<string, string>> {
    const rows = await this.rowsOf(options, ["key", "content_hash"]);
    return new Map(rows.map((row) => [String(row.key), String(row.content_hash)]));
  }

  async get(
    options: { collection: Collection; ids: readonly string[] } & Abortable,
  ): Promise<Map<string, Float32Array>> {
    const rows = await this.rowsOf(options, ["key", "vector"]);
    return new Map(rows.map((row) => [String(row.key), vectorOf(row)]));
  }

  private async rowsOf(
    { collection, ids, signal }: { collection: Collection; ids: readonly string[] } & Abortable,
    fields: readonly string[],
  ): Promise<MilvusRow[]> {
    signal?.throwIfAborted();
    const rows: MilvusRow[] = [];
    for await (const keys of batches(ids, MAX_VALUES)) {
      const filter = among("key", keys);
      rows.push(...await this.tables[collection].query({ filter, fields, freshness: "own", signal }));
    }
    return rows;
  }

  async page(
    { collection, after, limit, user_id, signal }: PageOptions & { collection: Collection; user_id?: string },
  ): Promise<VectorRow[]> {
    signal?.throwIfAborted();
    const own = user_id === undefined ? "" : ` and user_id == ${quoted(user_id)}`;
    const filter = `${LIVE} and key > ${quoted(after ?? "")}${own}`;
    const rows = await this.tables[collection].query({
      filter,
      fields: WHOLE,
      freshness: "now",
      limit,
      signal,
    });
    return rows.map(decodeRow);
  }

  async byHash(
    options: { collection: Collection; hashes: readonly string[] } & Abortable,
  ): Promise<Map<string, Float32Array>> {
    options.signal?.throwIfAborted();
    const found = new Map<string, Float32Array>();
    for await (const hashes of batches(new Set(options.hashes), MAX_VALUES)) {
      const ids = await this.idByHash({ ...options, hashes });
      const vectors = await this.get({ ...options, ids: [...ids.values()] });
      for (const [hash, id] of ids) {
        const vector = vectors.get(id);
        if (vector !== undefined && faultOf(vector, this.model.dimension) === null) found.set(hash, vector);
      }
    }
    return found;
  }

  /** One live row for each hash. A common text has thousands, so each page is only for the hashes that are still missing. */
  private async idByHash(
    { collection, hashes, signal }: { collection: Collection; hashes: readonly string[] } & Abortable,
  ): Promise<Map<string, string>> {
    const ids = new Map<string, string>();
    for (let missing = hashes; missing.length > 0; missing = hashes.filter((hash) => !ids.has(hash))) {
      const rows = await this.tables[collection].query({
        filter: `${LIVE} and ${among("content_hash", missing)}`,
        fields: ["key", "content_hash"],
        freshness: "own",
        limit: 2 * MAX_VALUES,
        signal,
      });
      if (rows.length === 0) break;
      for (const row of rows) ids.set(String(row.content_hash), String(row.key));
    }
    return ids;
  }

  async search(options: Search): Promise<Hit[]> {
    const { signal } = options;
    signal?.throwIfAborted();
    const vector = unit(options.vector, this.model.dimension);
    const build = await this.state.buildOf(options.version, signal);
    if (options.k > MAX_ROWS) {
      throw new ParleyError("invalid", `Milvus finds at most ${MAX_ROWS} rows at once`);
    }
    const exclude = options.exclude?.length ? ` and not (${among("id", options.exclude)})` : "";
    const table = this.tables[options.collection];
    const found = await table.search({
      vector,
      limit: Math.min(options.k + SPARE, MAX_ROWS),
      filter: `born <= ${build} and gone > ${build}${exclude}`,
      fields: ["key", "id"],
      signal,
    });
    return (await mergeHits({ table, vector, found, signal })).slice(0, options.k);
  }

  async build({ version, signal }: { version: number } & Abortable): Promise<VectorCounts> {
    const state = await this.prepared(signal);
    const builds = { ...state.builds, [version]: state.next };
    await this.state.write({ ...state, next: state.next + 1, builds }, signal);
    return await this.counts({ signal });
  }

  async verify({ version, signal }: { version: number } & Abortable): Promise<IndexFault[]> {
    const { builds } = await this.state.now(signal);
    return builds[version] === undefined ? [{ text: notBuilt(version), rebuilt: false }] : [];
  }

  async dropVersionsExcept({ versions, signal }: { versions: readonly number[] } & Abortable): Promise<void> {
    const state = await this.state.now(signal);
    if (state.model === null) return;
    const kept = Object.entries(state.builds).filter(([version]) => versions.includes(Number(version)));
    await this.state.write({ ...state, builds: Object.fromEntries(kept) }, signal);
    const oldest = Math.min(state.next, ...kept.map(([, build]) => build));
    for (const collection of INDEXED) await this.tables[collection].delete(`gone <= ${oldest}`, signal);
  }

  async faults({ limit, signal }: { limit: number } & Abortable): Promise<string[]> {
    const ids: string[] = [];
    for await (const { row } of this.scan(signal)) {
      if (ids.length >= limit) break;
      if (faultOf(row.vector, this.model.dimension)) ids.push(row.id);
    }
    return ids;
  }

  async dropFaults({ signal }: Abortable = {}): Promise<number> {
    let deleted = 0;
    for await (const { collection, row } of this.scan(signal)) {
      if (faultOf(row.vector, this.model.dimension)) {
        deleted += await this.erase(collection, "id", [row.id], signal);
      }
    }
    return deleted;
  }

  private async *scan(signal: Signal): AsyncGenerator<{ collection: Collection; row: VectorRow }> {
    signal?.throwIfAborted();
    for (const collection of COLLECTIONS) {
      const which = { filter: LIVE, fields: WHOLE, freshness: "lately", signal } as const;
      for await (const row of this.tables[collection].scan(which)) yield { collection, row: decodeRow(row) };
    }
  }

  async deleteExcept({ collection, user_ids, ids, signal }: DeleteExcept): Promise<number> {
    signal?.throwIfAborted();
    const keep = new Set(ids);
    const left: string[] = [];
    for await (const some of batches(user_ids, MAX_VALUES)) {
      const filter = `${LIVE} and ${among("user_id", some)}`;
      const rows = this.tables[collection].scan({ filter, fields: ["key", "id"], freshness: "own", signal });
      for await (const { id } of rows) if (!keep.has(String(id))) left.push(String(id));
    }
    return await this.erase(collection, "id", left, signal);
  }

  async deleteUsers({ user_ids, signal }: { user_ids: readonly string[] } & Abortable): Promise<number> {
    let deleted = 0;
    for (const collection of PERSONAL) deleted += await this.erase(collection, "user_id", user_ids, signal);
    return deleted;
  }

  async deleteCampaigns(
    { campaign_ids, signal }: { campaign_ids: readonly string[] } & Abortable,
  ): Promise<number> {
    return await this.erase("campaigns", "id", campaign_ids, signal);
  }

  /** Deletes rows, also those of built versions; returns how many of them were valid. */
  private async erase(
    collection: Collection,
    field: string,
    values: readonly string[],
    signal: Signal,
  ): Promise<number> {
    signal?.throwIfAborted();
    let deleted = 0;
    for await (const some of batches(values, MAX_VALUES)) {
      const filter = among(field, some);
      deleted += await this.tables[collection].count(`${LIVE} and ${filter}`, signal);
      await this.tables[collection].delete(filter, signal);
    }
    return deleted;
  }

  async counts({ signal }: Abortable = {}): Promise<VectorCounts> {
    signal?.throwIfAborted();
    const counts = COLLECTIONS.map(async (name) =>
      [name, await this.tables[name].count(LIVE, signal)] as const
    );
    return Object.fromEntries(await Promise.all(counts)) as VectorCounts;
  }

  async isEmpty({ collection, signal }: { collection: Collection } & Abortable): Promise<boolean> {
    signal?.throwIfAborted();
    const first = { filter: LIVE, fields: ["key"], freshness: "own", limit: 1, signal } as const;
    return (await this.tables[collection].query(first)).length === 0;
  }

  async digest({ signal }: Abortable = {}): Promise<string> {
    const digest = new SetDigest();
    for await (const { collection, row } of this.scan(signal)) {
      const { id, user_id, role, timestamp, content_hash, vector } = row;
      digest.add([collection, id, user_id, role, timestamp, content_hash, hexOf(vector)]);
    }
    return digest.hex();
  }
}
