import { sleep } from "../../../core/abort.ts";
import type { Milvus, MilvusClient } from "./client.ts";

type Signal = AbortSignal | undefined;

type CreateRequest = Parameters<MilvusClient["createCollection"]>[0];
type QueryRequest = Parameters<MilvusClient["query"]>[0];
type SearchRequest = Parameters<MilvusClient["search"]>[0];

/** A row of the SDK, which returns 64-bit integers as text. */
export type MilvusRow = Record<string, string | number | number[]>;

/** A scalar field. `max_length` is in bytes. */
export interface MilvusField {
  readonly name: string;
  readonly data_type: "VarChar" | "Int64";
  readonly max_length?: number;
  readonly is_primary_key?: boolean;
}

/**
 * Which writes a read must see. `now`: all earlier ones ("Strong"; it waits for the server's next tick, some 200 ms).
 * `own`: those of this object, and those of others that are older than some seconds ("Session" or "Bounded"; it seldom
 * waits). `lately`: `now` once in two seconds and `own` in between, for many reads in a row that must all see what was
 * written before the first.
 */
export type Freshness = "now" | "own" | "lately";
const LATELY_TTL_MS = 2_000;

/** The server's bound on limit + offset of a search. */
export const MAX_ROWS = 16_384;
/** Rows read at once: some megabytes with their vectors. */
const MAX_PAGE_ROWS = 1_000;
/** Values in one `in [...]`. */
export const MAX_VALUES = 500;
/** Creating, loading and dropping a collection takes seconds. */
const SLOW_TIMEOUT_MS = 60_000;

/**
 * Makes the server answer a query with a limit by the rows with the lowest keys. The answer may have more rows than the
 * limit, or fewer although there are more; only an empty one says that there are no more.
 */
const LOWEST_KEYS = { iterator: true, reduce_stop_for_best: true } as const;

/** Links a node, and candidates when adding and when searching. */
const HNSW = { M: 16, efConstruction: 128, ef: 128 } as const;

interface Query {
  readonly filter: string;
  readonly fields: readonly string[];
  readonly freshness: Freshness;
  readonly signal: Signal;
}

/** One collection with the text key `key` and a vector field `vector`. */
export class MilvusTable {
  private loaded = false;
  /** Milvus's time of the newest write of this object. */
  private lastWrite = 0n;
  private caught_up_at = -Infinity;

  constructor(private readonly milvus: Milvus, readonly name: string) {}

  /** Whether the collection exists; if so, it is in memory afterwards. */
  async ready(signal: Signal): Promise<boolean> {
    if (this.loaded) return true;
    const collection_name = this.name;
    const { value } = await this.milvus.call(
      (client, timeout) => client.hasCollection({ collection_name, timeout }),
      { signal },
    );
    if (value) await this.load(signal);
    return !!value;
  }

  private async load(signal: Signal): Promise<void> {
    const collection_name = this.name;
    const state = () =>
      this.milvus.call((client, timeout) => client.getLoadState({ collection_name, timeout }), { signal });
    const loaded = async () => String((await state()).state) === "LoadStateLoaded";
    if (!(await loaded())) {
      await this.callSlow((client, timeout) => client.loadCollection({ collection_name, timeout }), signal);
      const deadline = performance.now() + SLOW_TIMEOUT_MS;
      while (!(await loaded()) && performance.now() < deadline) {
        await sleep(50);
      }
    }
    this.loaded = true;
  }

  /** Creates the collection with these fields and `vector`, indexes and loads it. Repeating it changes nothing. */
  async create(
    options: { fields: readonly MilvusField[]; dimension: number; signal: Signal },
  ): Promise<void> {
    const collection_name = this.name;
    const fields = [...options.fields, { name: "vector", data_type: "FloatVector", dim: options.dimension }];
    // One shard, so that all rows of one upsert become visible at one time.
    const request = { collection_name, fields, shards_num: 1, consistency_level: "Strong" };
    await this.callSlow(
      (client, timeout) => client.createCollection({ ...request, timeout } as unknown as CreateRequest),
      options.signal,
    );
    const index = this.milvus.address.managed
      ? { index_type: "AUTOINDEX" }
      : { index_type: "HNSW", params: { M: HNSW.M, efConstruction: HNSW.efConstruction } };
    await this.callSlow(
      (client, timeout) =>
        client.createIndex({
          collection_name,
          field_name: "vector",
          metric_type: "COSINE",
          ...index,
          timeout,
        }),
      options.signal,
    );
    await this.load(options.signal);
  }

  /** Drops the collection, if it exists. */
  async drop(signal: Signal): Promise<void> {
    if (!(await this.ready(signal))) return;
    this.loaded = false;
    const collection_name = this.name;
    await this.callSlow((client, timeout) => client.dropCollection({ collection_name, timeout }), signal);
  }

  private callSlow<T>(
    ask: (client: MilvusClient, timeout: number) => Promise<T>,
    signal: Signal,
  ): Promise<T> {
    return this.milvus.call(ask, { timeout_ms: SLOW_TIMEOUT_MS, signal });
  }

  async upsert(rows: readonly MilvusRow[], signal: Signal): Promise<void> {
    if (rows.length === 0) return;
    const request = { collection_name: this.name, data: [...rows] };
    await this.write((client, timeout) => client.upsert({ ...request, timeout }), signal);
  }

  /** Deletes by a filter and returns when no read of any process finds the rows any more. */
  async delete(filter: string, signal: Signal): Promise<void> {
    if (!(await this.ready(signal))) return;
    const request = { collection_name: this.name, filter };
    await this.write((client, timeout) => client.delete({ ...request, timeout }), signal);
    await this.count(filter, signal);
  }

  private async write(
    ask: (client: MilvusClient, timeout: number) => Promise<{ timestamp: string }>,
    signal: Signal,
  ): Promise<void> {
    const { timestamp } = await this.milvus.call(ask, { collection: this.name, signal });
    const at = BigInt(timestamp);
    if (at > this.lastWrite) this.lastWrite = at;
  }

  /** Rows that pass a filter; with a limit, at most as many with the lowest keys, in ascending order. */
  async query(options: Query & { limit?: number }): Promise<MilvusRow[]> {
    if (!(await this.ready(options.signal))) return [];
    const begun = performance.now();
    const level = this.level(options.freshness);
    const request = {
      collection_name: this.name,
      filter: options.filter,
      output_fields: [...options.fields],
      ...options.limit === undefined ? {} : { limit: options.limit, params: LOWEST_KEYS },
      ...level,
    };
    const { data } = await this.milvus.call(
      (client, timeout) => client.query({ ...request, timeout } as unknown as QueryRequest),
      { collection: this.name, signal: options.signal },
    );
    if (level.consistency_level === "Strong") this.caught_up_at = begun;
    return (data as MilvusRow[]).slice(0, options.limit);
  }

  /**
   * Rows that pass a filter, in ascending key, page by page. The SDK's iterator is not used, since it does not escape keys
   * in its filters.
   */
  async *scan(options: Query): AsyncGenerator<MilvusRow> {
    for (let after = "";;) {
      const filter = `(${options.filter}) and key > ${quoted(after)}`;
      const rows = await this.query({ ...options, filter, limit: MAX_PAGE_ROWS });
      yield* rows;
      if (rows.length === 0) return;
      after = String(rows.at(-1)!.key);
    }
  }

  /** How many rows pass a filter now. Waits until all writes before are visible to later reads, too. */
  async count(filter: string, signal: Signal): Promise<number> {
    const [row] = await this.query({ filter, fields: ["count(*)"], freshness: "now", signal });
    return Number(row?.["count(*)"] ?? 0);
  }

  /** Nearest rows with their cosine as `score`, best first. Sees what was visible to a `now` read before. */
  async search(
    options: {
      vector: Float32Array;
      limit: number;
      filter: string;
      fields: readonly string[];
      signal: Signal;
    },
  ): Promise<MilvusRow[]> {
    if (!(await this.ready(options.signal))) return [];
    const request = {
      collection_name: this.name,
      data: [...options.vector],
      limit: options.limit,
      filter: options.filter,
      output_fields: [...options.fields],
      metric_type: "COSINE",
      params: this.milvus.address.managed ? {} : { ef: Math.max(HNSW.ef, options.limit) },
      consistency_level: "Bounded",
    };
    const { results } = await this.milvus.call(
      (client, timeout) => client.search({ ...request, timeout } as unknown as SearchRequest),
      { collection: this.name, signal: options.signal },
    );
    return results as unknown as MilvusRow[];
  }

  /** Levels by name: the SDK ignores "Strong" as its enum, which is 0. */
  private level(freshness: Freshness): { consistency_level: string; guarantee_timestamp?: string } {
    const due = performance.now() - this.caught_up_at > LATELY_TTL_MS;
    if (freshness === "now" || (freshness === "lately" && due)) return { consistency_level: "Strong" };
    if (this.lastWrite === 0n) return { consistency_level: "Bounded" };
    return { consistency_level: "Session", guarantee_timestamp: String(this.lastWrite) };
  }
}

/** A literal of Milvus's filter language, whose escapes are those of JSON. */
export function quoted(text: string): string {
  return JSON.stringify(text);
}

/** A filter for rows whose field is among values. */
export function among(field: string, values: readonly string[]): string {
  return `${field} in [${values.map(quoted).join(",")}]`;
}
