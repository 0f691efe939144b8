import { loadUsearch } from "../../../deps.ts";

/**
 * Index files: the vectors of one collection under one data version, keyed by rowid. Up to {@link FLAT_MAX} rows they
 * are a plain block that is scanned whole, which is exact; above, an HNSW graph of usearch, which is approximate. A
 * file's extension says which. Numbers are little-endian, as on every platform that Deno runs on.
 */

/** Where a scan of 384 dimensions takes about a millisecond. */
export const FLAT_MAX = 2_000;

export type IndexKind = "flat" | "usearch";

/** A row with its cosine similarity to what was asked for. */
export interface Neighbour {
  readonly rowid: number;
  readonly score: number;
}

/** An index file opened to be read. */
export interface IndexReader {
  readonly size: number;
  /**
   * The `k` nearest rows to a unit vector, or all where there are fewer, in any order. A scan also gives every row
   * that ties with the last, so that the caller can order ties.
   */
  nearest(vector: Float32Array, k: number): Neighbour[];
}

/** An index in memory on its way to a file. */
export interface IndexWriter {
  readonly kind: IndexKind;
  readonly size: number;
  /** Adds a row, or replaces the one with this rowid. */
  put(rowid: number, vector: Float32Array): void;
  save(path: string): void;
}

/** An empty index that suits this many rows. */
export function createIndex(o: { rows: number; dimension: number }): IndexWriter {
  return o.rows <= FLAT_MAX ? new FlatWriter(o.dimension) : new UsearchWriter(usearch(o.dimension));
}

/** Loads a usearch file into memory, to go on from it. */
export function extendIndex(o: { path: string; dimension: number }): IndexWriter {
  const index = usearch(o.dimension);
  index.load(o.path);
  return new UsearchWriter(index);
}

/** Opens an index file; a usearch file is mapped into memory and read as it is needed. */
export function openIndex(o: { path: string; kind: IndexKind; dimension: number }): IndexReader {
  if (o.kind === "flat") return new FlatReader(Deno.readFileSync(o.path), o.dimension);
  const index = usearch(o.dimension);
  index.view(o.path);
  return new UsearchReader(index);
}

/** Rowids as float64, then their vectors, in the same order. */
class FlatWriter implements IndexWriter {
  readonly kind = "flat";
  private readonly rows = new Map<number, Float32Array>();

  constructor(private readonly dimension: number) {}

  get size(): number {
    return this.rows.size;
  }

  put(rowid: number, vector: Float32Array): void {
    this.rows.set(rowid, vector);
  }

  save(path: string): void {
    const bytes = new ArrayBuffer(this.size * (8 + 4 * this.dimension));
    new Float64Array(bytes, 0, this.size).set([...this.rows.keys()]);
    const vectors = new Float32Array(bytes, 8 * this.size);
    [...this.rows.values()].forEach((vector, at) => vectors.set(vector, at * this.dimension));
    Deno.writeFileSync(path, new Uint8Array(bytes));
  }
}

class FlatReader implements IndexReader {
  readonly size: number;
  private readonly rowids: Float64Array;
  private readonly vectors: Float32Array;

  constructor(file: Uint8Array<ArrayBuffer>, private readonly dimension: number) {
    this.size = Math.floor(file.byteLength / (8 + 4 * dimension));
    this.rowids = new Float64Array(file.buffer, 0, this.size);
    this.vectors = new Float32Array(file.buffer, 8 * this.size, this.size * dimension);
  }

  nearest(vector: Float32Array, k: number): Neighbour[] {
    const scores = this.scores(vector);
    const last = scores.toSorted()[Math.max(0, this.size - k)] ?? Infinity;
    const found: Neighbour[] = [];
    for (const [at, score] of scores.entries()) {
      if (score >= last) found.push({ rowid: this.rowids[at]!, score });
    }
    return found;
  }

  private scores(vector: Float32Array): Float64Array {
    const scores = new Float64Array(this.size);
    for (let row = 0, at = 0; row < this.size; row++) {
      let sum = 0;
      for (let d = 0; d < this.dimension; d++) sum += vector[d]! * this.vectors[at++]!;
      scores[row] = sum;
    }
    return scores;
  }
}

type UsearchIndex = ReturnType<typeof usearch>;

/**
 * HNSW with 16 links a node, 128 candidates when adding and 64 when searching. In memory or on disk a row takes its
 * vector, 4 bytes a dimension, and about 150 bytes of links.
 */
function usearch(dimensions: number) {
  const { Index, MetricKind, ScalarKind } = loadUsearch();
  return new Index({
    dimensions,
    metric: MetricKind.Cos,
    quantization: ScalarKind.F32,
    connectivity: 16,
    expansion_add: 128,
    expansion_search: 64,
    multi: false,
  });
}

/** One thread: the core beside it serves. */
const THREADS = 1;

class UsearchWriter implements IndexWriter {
  readonly kind = "usearch";

  constructor(private readonly index: UsearchIndex) {}

  get size(): number {
    return this.index.size();
  }

  put(rowid: number, vector: Float32Array): void {
    const key = BigInt(rowid);
    if (this.index.contains(key)) this.index.remove(key);
    this.index.add(key, vector, THREADS);
  }

  save(path: string): void {
    this.index.save(path);
  }
}

class UsearchReader implements IndexReader {
  readonly size: number;

  constructor(private readonly index: UsearchIndex) {
    this.size = index.size();
  }

  nearest(vector: Float32Array, k: number): Neighbour[] {
    const { keys, distances } = this.index.search(vector, k, THREADS);
    return Array.from(keys, (key, at) => ({ rowid: Number(key), score: 1 - distances[at]! }));
  }
}
