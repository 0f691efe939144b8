/**
 * Index files: distinct vectors by a numeric key. Up to {@link FLAT_MAX} of them are a plain block that is scanned whole,
 * which is exact; more are codes, which are approximate. Numbers are little-endian, as on every platform that Deno runs on.
 */

export type IndexKind = "flat" | "codes";

/** What these functions and `Groups` write. */
export const FORMAT = 3;

/** An entry with its cosine similarity to a query. */
export interface Neighbour {
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
  save(path: string): Promise<void>;
}

/** The places of the `k` highest scores and of those that tie with the last of them. */
export function bestOf(scores: Float64Array, k: number): [at: number, score: number][] {
  const last = scores.toSorted()[Math.max(0, scores.length - k)] ?? Infinity;
  const best: [number, number][] = [];
  for (const [at, score] of scores.entries()) if (score >= last) best.push([at, score]);
  return best;
}

/** Keys as float64, then their vectors, in the same order. */
export class FlatWriter implements IndexWriter {
  readonly kind = "flat";
  private readonly entries = new Map<number, Float32Array>();

  constructor(private readonly dimension: number) {}

  has(key: number): boolean {
    return this.entries.has(key);
  }

  add(key: number, vector: Float32Array): void {
    this.entries.set(key, vector);
  }

  async save(path: string): Promise<void> {
    const { size } = this.entries;
    const bytes = new ArrayBuffer(size * (8 + 4 * this.dimension));
    new Float64Array(bytes, 0, size).set([...this.entries.keys()]);
    const vectors = new Float32Array(bytes, 8 * size);
    [...this.entries.values()].forEach((vector, at) => vectors.set(vector, at * this.dimension));
    await Deno.writeFile(path, new Uint8Array(bytes));
  }
}

export class FlatReader implements IndexReader {
  readonly size: number;
  private readonly keys: Float64Array;
  private readonly vectors: Float32Array;

  constructor(file: Uint8Array<ArrayBuffer>, private readonly dimension: number) {
    this.size = Math.floor(file.byteLength / (8 + 4 * dimension));
    this.keys = new Float64Array(file.buffer, 0, this.size);
    this.vectors = new Float32Array(file.buffer, 8 * this.size, this.size * dimension);
  }

  nearest(vector: Float32Array, k: number): Neighbour[] {
    return bestOf(this.scores(vector), k).map(([at, score]) => ({ key: this.keys[at]!, score }));
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
