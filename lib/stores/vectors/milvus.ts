import { batches } from "../../core/batch.ts";
import { ParleyError } from "../../core/errors.ts";
import { type Health, type ModelIdentity, modelKey, type WriteCounts } from "../../core/types.ts";
import { SetDigest } from "../digest.ts";
import { Milvus } from "./milvus_client.ts";
import { settled } from "./milvus_hits.ts";
import { decodeRow, encodeRow, FIELDS, hexOf, LIVE, planUpsert, retired } from "./milvus_rows.ts";
import { SCALARS, vectorOf, WHOLE } from "./milvus_rows.ts";
import { MilvusState, type State } from "./milvus_state.ts";
import { among, type MilvusRow, MilvusTable, MOST_ROWS, quoted, VALUES } from "./milvus_table.ts";
import { parseMilvusUrl } from "./milvus_url.ts";
import type { Collection, Hit, VectorCounts, VectorRow, VectorStore } from "./port.ts";
import { faultOf, unit } from "./rows.ts";

const COLLECTIONS = ["messages", "profiles", "campaigns"] as const;
/** Of these, what a build has is searched; messages are only looked up. */
const INDEXED = ["profiles", "campaigns"] as const;
type Indexed = typeof INDEXED[number];

/** Rows that one write takes. */
const BATCH = 500;
/** Neighbours asked for beyond `k`, so that ties at the end of an answer can be put in order. */
const SPARE = 16;
/**
 * Vectors in Milvus 2.3 or newer, or Zilliz Cloud: a collection each for messages, profiles and campaigns, and a
 * small one for what holds for all of them. The first `bind` makes them; see {@link parseMilvusUrl} for the URL.
 *
 * Milvus has one live index a collection. Frozen data versions are had by numbering builds: a row says from which
 * build on it is valid and up to which, a search filters by the number of its version's build, and replacing a row
 * that a built version has keeps the old one beside it until `keep` drops the last such version. So `build` costs two
 * counts, whatever the number of rows. Erased rows leave all versions at once; their bytes leave the disk when
 * Milvus compacts. Searches see a build, and an erasure, of any process: both return only when reads find them so
 * (of several replicas, others than the one that was asked may take seconds).
 *
 * There are no transactions: of two processes that write the same row at one time, the last wins.
 */
export class MilvusVectors implements VectorStore {
  private readonly milvus: Milvus;
  private readonly tables: Readonly<Record<Collection, MilvusTable>>;
  private readonly state: MilvusState;

  /** Connects at the first call. `timeout_ms` is what one call may take. */
  constructor({ url, timeout_ms = 5_000 }: { url: URL; timeout_ms?: number }) {
    this.milvus = new Milvus(parseMilvusUrl(url), timeout_ms);
    const table = (name: string) => new MilvusTable(this.milvus, `${this.milvus.address.prefix}${name}`);
    this.tables = { messages: table("messages"), profiles: table("profiles"), campaigns: table("campaigns") };
    this.state = new MilvusState(table("state"));
  }

  async model(): Promise<ModelIdentity | null> {
    return (await this.state.now()).model;
  }

  async bind({ model }: { model: ModelIdentity }): Promise<void> {
    const { name, revision, dimension, pooling } = model;
    const state = await this.state.now();
    const { model: held } = state;
    if (held && modelKey(held) === modelKey(model)) return;
    if (held && !(await this.isEmpty())) {
      const sentence =
        `the vectors at hand are of ${modelKey(held)}, not of ${name}@${revision}: keep that model, ` +
        "or give this one an empty store";
      throw new ParleyError("mismatch", sentence);
    }
    await Promise.all([
      this.state.prepare(),
      ...COLLECTIONS.map((collection) => this.remake(collection, dimension)),
    ]);
    const builds = held ? {} : state.builds;
    await this.state.write({ ...state, model: { name, revision, dimension, pooling }, builds });
  }

  private async isEmpty(): Promise<boolean> {
    const counts = await this.counts();
    return COLLECTIONS.every((collection) => counts[collection] === 0);
  }

  /** What an interrupted `bind` left may have another dimension. */
  private async remake(collection: Collection, dimension: number): Promise<void> {
    await this.tables[collection].drop();
    await this.tables[collection].create({ fields: FIELDS, dimension });
  }

  async upsert(o: { collection: Collection; rows: readonly VectorRow[] }): Promise<WriteCounts> {
    const total = { inserted: 0, changed: 0, same: 0 };
    if (o.rows.length === 0) return total;
    const state = await this.state.now();
    refuseFaults(state, o.rows);
    for await (const rows of batches(o.rows, BATCH)) {
      const counts = await this.put(this.tables[o.collection], state, rows);
      total.inserted += counts.inserted;
      total.changed += counts.changed;
      total.same += counts.same;
    }
    return total;
  }

  private async put(table: MilvusTable, state: State, rows: readonly VectorRow[]): Promise<WriteCounts> {
    const held = await this.byKey(table, rows.map(({ id }) => id), SCALARS);
    const plan = planUpsert({ rows, held, built: Math.max(-1, ...Object.values(state.builds)) });
    const replaced = await this.byKey(table, plan.retire, WHOLE);
    // In one call, which shows all its rows at one time: a build never misses a row or finds it twice.
    await table.upsert([
      ...[...replaced.values()].map((row) => retired(row, state.next)),
      ...plan.rows.map((row) => encodeRow(row, state.next)),
    ]);
    return plan.counts;
  }

  private async byKey(
    table: MilvusTable,
    keys: readonly string[],
    fields: readonly string[],
  ): Promise<Map<string, MilvusRow>> {
    if (keys.length === 0) return new Map();
    const rows = await table.query({ filter: among("key", keys), fields, freshness: "now" });
    return new Map(rows.map((row) => [String(row.key), row]));
  }

  async hashes(o: { collection: Collection; ids: readonly string[] }): Promise<Map<string, string>> {
    const rows = await this.rowsOf(o, ["key", "content_hash"]);
    return new Map(rows.map((row) => [String(row.key), String(row.content_hash)]));
  }

  async get(o: { collection: Collection; ids: readonly string[] }): Promise<Map<string, Float32Array>> {
    const rows = await this.rowsOf(o, ["key", "vector"]);
    return new Map(rows.map((row) => [String(row.key), vectorOf(row)]));
  }

  private async rowsOf(
    { collection, ids }: { collection: Collection; ids: readonly string[] },
    fields: readonly string[],
  ): Promise<MilvusRow[]> {
    const rows: MilvusRow[] = [];
    for await (const keys of batches(ids, VALUES)) {
      const filter = among("key", keys);
      rows.push(...await this.tables[collection].query({ filter, fields, freshness: "own" }));
    }
    return rows;
  }

  async byHash(
    { collection, hashes }: { collection: Collection; hashes: readonly string[] },
  ): Promise<Map<string, Float32Array>> {
    const found = new Map<string, Float32Array>();
    for await (const some of batches(new Set(hashes), VALUES)) {
      const ids = await this.idByHash(collection, some);
      const vectors = await this.get({ collection, ids: [...ids.values()] });
      for (const [hash, id] of ids) if (vectors.has(id)) found.set(hash, vectors.get(id)!);
    }
    return found;
  }

  /** One live row a hash. A common text has thousands, so each page asks only for the hashes still missing. */
  private async idByHash(collection: Collection, hashes: readonly string[]): Promise<Map<string, string>> {
    const ids = new Map<string, string>();
    for (let missing = hashes; missing.length > 0; missing = hashes.filter((hash) => !ids.has(hash))) {
      const rows = await this.tables[collection].query({
        filter: `${LIVE} and ${among("content_hash", missing)}`,
        fields: ["key", "content_hash"],
        freshness: "own",
        limit: 2 * VALUES,
      });
      if (rows.length === 0) break;
      for (const row of rows) ids.set(String(row.content_hash), String(row.key));
    }
    return ids;
  }

  async messagesOf(o: { user_id: string; after: string | null; limit: number }): Promise<VectorRow[]> {
    const found: VectorRow[] = [];
    const rows = this.tables.messages.scan({
      filter: `user_id == ${quoted(o.user_id)} and role == "user"`,
      fields: WHOLE,
      freshness: "lately",
      after: o.after ?? "",
      limit: o.limit,
    });
    for await (const row of rows) found.push(decodeRow(row));
    return found;
  }

  async search(
    o: { collection: Indexed; version: number; vector: Float32Array; k: number; exclude?: readonly string[] },
  ): Promise<Hit[]> {
    const { state, build } = await this.buildOf(o.version);
    const vector = unit(o.vector, state.model?.dimension ?? o.vector.length);
    if (o.k > MOST_ROWS) throw new ParleyError("invalid", `Milvus finds at most ${MOST_ROWS} rows at once`);
    const exclude = o.exclude?.length ? ` and not (${among("id", o.exclude)})` : "";
    const table = this.tables[o.collection];
    const found = await table.search({
      vector,
      limit: Math.min(o.k + SPARE, MOST_ROWS),
      filter: `born <= ${build} and gone > ${build}${exclude}`,
      fields: ["key", "id"],
    });
    return (await settled({ table, vector, found })).slice(0, o.k);
  }

  /** The number of a version's build; what another process built a moment ago is found, too. */
  private async buildOf(version: number): Promise<{ state: State; build: number }> {
    const known = await this.state.recent();
    const state = known.builds[version] === undefined ? await this.state.now() : known;
    const build = state.builds[version];
    if (build !== undefined) return { state, build };
    throw new ParleyError("not_found", `no index was built for version ${version}`);
  }

  async build({ version }: { version: number }): Promise<VectorCounts> {
    const state = await this.state.now();
    const builds = { ...state.builds, [version]: state.next };
    await this.state.write({ ...state, next: state.next + 1, builds });
    return await this.counts();
  }

  async keep({ versions }: { versions: readonly number[] }): Promise<void> {
    const state = await this.state.now();
    const kept = Object.entries(state.builds).filter(([version]) => versions.includes(Number(version)));
    await this.state.write({ ...state, builds: Object.fromEntries(kept) });
    const oldest = Math.min(state.next, ...kept.map(([, build]) => build));
    for (const collection of INDEXED) await this.tables[collection].delete(`gone <= ${oldest}`);
  }

  async faults({ limit }: { limit: number }): Promise<string[]> {
    const { model } = await this.state.now();
    const ids: string[] = [];
    for await (const { row } of this.scan()) {
      if (ids.length >= limit) break;
      if (faultOf(row.vector, model?.dimension ?? 0)) ids.push(row.id);
    }
    return ids;
  }

  private async *scan(): AsyncGenerator<{ collection: Collection; row: VectorRow }> {
    for (const collection of COLLECTIONS) {
      const rows = this.tables[collection].scan({ filter: LIVE, fields: WHOLE, freshness: "lately" });
      for await (const row of rows) yield { collection, row: decodeRow(row) };
    }
  }

  async deleteUsers({ user_ids }: { user_ids: readonly string[] }): Promise<number> {
    const messages = await this.erase("messages", "user_id", user_ids);
    return messages + await this.erase("profiles", "user_id", user_ids);
  }

  async deleteCampaigns({ campaign_ids }: { campaign_ids: readonly string[] }): Promise<number> {
    return await this.erase("campaigns", "id", campaign_ids);
  }

  /** Takes rows out, those that built versions keep included; returns how many of them were valid. */
  private async erase(collection: Collection, field: string, values: readonly string[]): Promise<number> {
    let gone = 0;
    for await (const some of batches(values, VALUES)) {
      const filter = among(field, some);
      gone += await this.tables[collection].count(`${LIVE} and ${filter}`);
      await this.tables[collection].delete(filter);
    }
    return gone;
  }

  async counts(): Promise<VectorCounts> {
    const [messages = 0, profiles = 0, campaigns = 0] = await Promise.all(
      COLLECTIONS.map((collection) => this.tables[collection].count(LIVE)),
    );
    return { messages, profiles, campaigns };
  }

  async digest(): Promise<string> {
    const digest = new SetDigest();
    for await (const { collection, row } of this.scan()) {
      const { id, user_id, role, timestamp, content_hash, vector } = row;
      digest.add([collection, id, user_id, role, timestamp, content_hash, hexOf(vector)]);
    }
    return digest.hex();
  }

  async health(): Promise<Health> {
    await this.milvus.version();
    const start = performance.now();
    const { version } = await this.milvus.call((client) => client.getVersion());
    return { adapter: "milvus", version, latency_ms: performance.now() - start };
  }

  async close(): Promise<void> {
    await this.milvus.close();
  }
}

function refuseFaults({ model }: State, rows: readonly VectorRow[]): void {
  if (!model) {
    throw new ParleyError("invalid", "the vector store is not bound to a model yet: bind it before writing");
  }
  for (const { id, vector } of rows) {
    const fault = faultOf(vector, model.dimension);
    if (fault) throw new ParleyError("invalid", `the vector of ${id} ${fault}; nothing was written`);
  }
}
