import { loadUsearch } from "../../../../deps.ts";
import { FLAT_MAX } from "../rows.ts";

/**
 * Index files: distinct vectors by a numeric key. Up to {@link FLAT_MAX} of them are a plain block that is scanned whole,
 * which is exact; more are an HNSW graph of usearch, which is approximate. Numbers are little-endian, as on every
 * platform that Deno runs on. Files are verified before they come here: native code trusts what it reads.
 */

export type IndexKind = "flat" | "usearch";

/**
 * What these functions and `Groups` write. A release of usearch that reads its older files differently is another format.
 */
export const FORMAT = 2;

/** An entry with its cosine similarity to a query. */
interface Neighbour {
  readonly key: number;
  readonly score: number;
}

/** An index file opened to be read. */
export interface IndexReader {
  readonly size: number;
  /**
   * The `k` nearest entries to a unit vector, or all if there are fewer, in any order. A scan also gives every entry
   * that ties with the last, so that the caller can order ties.
   */
  nearest(vector: Float32Array, k: number): Neighbour[];
}

/** An index in memory on its way to a file. */
export interface IndexWriter {
  readonly kind: IndexKind;
  has(key: number): boolean;
  /** Adds an entry under a key that has none. */
  add(key: number, vector: Float32Array): void;
  remove(key: number): void;
  save(path: string): void;
}

/** An empty index that suits this many entries. */
export function createIndex({ size, dimension }: { size: number; dimension: number }): IndexWriter {
  return size <= FLAT_MAX ? new FlatWriter(dimension) : new UsearchWriter(usearch(dimension));
}

/** Loads a usearch file into memory, to be extended. */
export function loadUsearchFile(path: string, dimension: number): IndexWriter {
  const index = usearch(dimension);
  index.load(path);
  return new UsearchWriter(index);
}

/**
 * Maps a usearch file into memory. Loading it would take 180 MB and stop the process for 0.3 s where mapping takes 10 ms
 * (100,000 vectors of 384 dimensions); but what changes in a mapped file changes in the index, up to a crash.
 */
export function mapUsearchFile(path: string, dimension: number): IndexReader {
  const index = usearch(dimension);
  index.view(path);
  return new UsearchReader(index);
}

/** Reads the bytes of a flat file. */
export function readFlat(file: Uint8Array<ArrayBuffer>, dimension: number): IndexReader {
  return new FlatReader(file, dimension);
}

/** Keys as float64, then their vectors, in the same order. */
class FlatWriter implements IndexWriter {
  readonly kind = "flat";
  private readonly entries = new Map<number, Float32Array>();

  constructor(private readonly dimension: number) {}

  has(key: number): boolean {
    return this.entries.has(key);
  }

  add(key: number, vector: Float32Array): void {
    this.entries.set(key, vector);
  }

  remove(key: number): void {
    this.entries.delete(key);
  }

  save(path: string): void {
    const { size } = this.entries;
    const bytes = new ArrayBuffer(size * (8 + 4 * this.dimension));
    new Float64Array(bytes, 0, size).set([...this.entries.keys()]);
    const vectors = new Float32Array(bytes, 8 * size);
    [...this.entries.values()].forEach((vector, at) => vectors.set(vector, at * this.dimension));
    Deno.writeFileSync(path, new Uint8Array(bytes));
  }
}

class FlatReader implements IndexReader {
  readonly size: number;
  private readonly keys: Float64Array;
  private readonly vectors: Float32Array;

  constructor(file: Uint8Array<ArrayBuffer>, private readonly dimension: number) {
    this.size = Math.floor(file.byteLength / (8 + 4 * dimension));
    this.keys = new Float64Array(file.buffer, 0, this.size);
    this.vectors = new Float32Array(file.buffer, 8 * this.size, this.size * dimension);
  }

  nearest(vector: Float32Array, k: number): Neighbour[] {
    const scores = this.scores(vector);
    const last = scores.toSorted()[Math.max(0, this.size - k)] ?? Infinity;
    const found: Neighbour[] = [];
    for (const [at, score] of scores.entries()) {
      if (score >= last) found.push({ key: this.keys[at]!, score });
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
 * HNSW with 16 links a node, 128 candidates when adding and 64 when searching. In memory or on disk an entry takes its
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

/** One thread: the other core serves. */
const THREADS = 1;

class UsearchWriter implements IndexWriter {
  readonly kind = "usearch";

  constructor(private readonly index: UsearchIndex) {}

  has(key: number): boolean {
    return this.index.contains(BigInt(key)) as boolean;
  }

  add(key: number, vector: Float32Array): void {
    this.index.add(BigInt(key), vector, THREADS);
  }

  remove(key: number): void {
    this.index.remove(BigInt(key));
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
    if (k < 1) return [];
    const { keys, distances } = this.index.search(vector, k, THREADS);
    return Array.from(keys, (key, at) => ({ key: Number(key), score: 1 - distances[at]! }));
  }
}
