import { ParleyError } from "../../../core/errors.ts";
import { bestOf, type IndexReader, type IndexWriter, type Neighbour } from "./ann.ts";
import { SCAN_WASM } from "./scan_wasm.ts";

/** Rows are padded with zeros to a multiple of so many components, whose bits are 16 bytes. */
const PADDING = 128;
/** Rows whose bits are interleaved. */
const BLOCK = 16;
const MAX_CODE = 2 ** 15 - 1;
const HEADER_BYTES = 16;
const PAGE_BYTES = 2 ** 16;
/** What the memory of WebAssembly can hold. */
const MAX_BYTES = 2 ** 32;
/**
 * Entries whose bits are most like the query's, which are compared by their codes: at least so many, so many for each neighbour, and
 * the more the fewer bits there are: 683 with 384 components.
 */
const MIN_CANDIDATES = 600;
const CANDIDATE_BITS = 2 ** 18;
const CANDIDATES_PER_NEIGHBOUR = 16;

const paddedTo = (size: number, multiple: number) => Math.ceil(size / multiple) * multiple;

/**
 * A file of codes, in memory: a vector has a bit for each component, whether it is above that of the centre, and the component as a
 * 16-bit number, relative to the vector's largest. That is 2.1 bytes a component, and 12 a vector.
 */
export class CodesFile {
  /** Components of a row, with the padding. */
  protected readonly width: number;
  /** Rows that there is room for, and rows. */
  private readonly counts: Float64Array;
  readonly centre: Float32Array;
  readonly keys: Float64Array;
  readonly scales: Float32Array;
  /** Of a block of rows the first byte of each, then the second of each, and so on. */
  readonly bits: Uint8Array;
  readonly codes: Int16Array;

  constructor(buffer: ArrayBufferLike, dimension: number) {
    this.width = paddedTo(dimension, PADDING);
    this.counts = new Float64Array(buffer, 0, 2);
    const room = this.counts[0]!;
    let at = HEADER_BYTES;
    const next = (bytes: number) => (at += bytes) - bytes;
    this.centre = new Float32Array(buffer, next(4 * this.width), this.width);
    this.keys = new Float64Array(buffer, next(8 * room), room);
    this.scales = new Float32Array(buffer, next(4 * room), room);
    this.bits = new Uint8Array(buffer, next(room * this.width / 8), room * this.width / 8);
    this.codes = new Int16Array(buffer, next(2 * room * this.width), room * this.width);
  }

  get size(): number {
    return this.counts[1]!;
  }

  protected set size(rows: number) {
    this.counts[1] = rows;
  }

  /** A bit for each component. */
  protected signsOf(vector: Float32Array): Uint8Array {
    const signs = new Uint8Array(this.width / 8);
    for (let i = 0; i < vector.length; i++) {
      if (vector[i]! > this.centre[i]!) signs[i >> 3]! |= 1 << (i & 7);
    }
    return signs;
  }

  /** Where the first byte of a row's bits is; the others follow {@link BLOCK} bytes apart. */
  protected bitsAt(row: number): number {
    return (row - row % BLOCK) * this.width / 8 + row % BLOCK;
  }
}

/** A file of codes on its way. */
export class CodesWriter extends CodesFile implements IndexWriter {
  readonly kind = "codes";
  private readonly known = new Set<number>();

  /** `size` is how many entries are added at most; `centre` is about their mean. Throws `invalid` for more than memory can hold. */
  constructor({ size, centre }: { size: number; centre: Float32Array }) {
    const [room, width] = [paddedTo(size, BLOCK), paddedTo(centre.length, PADDING)];
    const bytes = HEADER_BYTES + 4 * width + room * (12 + width / 8 + 2 * width);
    if (bytes + workBytes(room, width) > MAX_BYTES) {
      throw new ParleyError("invalid", `an index of ${size} vectors does not fit: use a vector server`);
    }
    const buffer = new ArrayBuffer(bytes);
    new Float64Array(buffer, 0, 1)[0] = room;
    super(buffer, centre.length);
    this.centre.set(centre);
  }

  has(key: number): boolean {
    return this.known.has(key);
  }

  add(key: number, vector: Float32Array): void {
    let largest = 0;
    for (const value of vector) largest = Math.max(largest, Math.abs(value));
    const { size: row, width } = this;
    let [squares, product] = [0, 0];
    for (let i = 0; i < vector.length; i++) {
      const code = Math.round(vector[i]! / largest * MAX_CODE);
      this.codes[row * width + i] = code;
      squares += vector[i]! ** 2;
      product += code * vector[i]!;
    }
    // By this factor, rounding does not change the vector's product with itself, and hardly that with its neighbours.
    this.scales[row] = squares / product;
    this.signsOf(vector).forEach((byte, i) => this.bits[this.bitsAt(row) + i * BLOCK] = byte);
    this.enter(key);
  }

  /** Adds a row of another file with the same centre. */
  copy(from: CodesFile, row: number): void {
    const { size: to, width } = this;
    this.scales[to] = from.scales[row]!;
    this.codes.set(from.codes.subarray(row * width, (row + 1) * width), to * width);
    const [source, target] = [this.bitsAt(row), this.bitsAt(to)];
    for (let i = 0; i < width / 8 * BLOCK; i += BLOCK) this.bits[target + i] = from.bits[source + i]!;
    this.enter(from.keys[row]!);
  }

  private enter(key: number): void {
    this.keys[this.size++] = key;
    this.known.add(key);
  }

  async save(path: string): Promise<void> {
    await Deno.writeFile(path, new Uint8Array(this.keys.buffer as ArrayBuffer));
  }
}

/** Memory for a file of so many bytes, which begins at 0. */
export function memoryOf(bytes: number): WebAssembly.Memory {
  return new WebAssembly.Memory({ initial: Math.ceil(bytes / PAGE_BYTES) });
}

/** Bytes of a query with its bits, and of a distance, a candidate and a score of each row. */
function workBytes(room: number, width: number): number {
  return 4 * width + width / 8 + 10 * room;
}

interface Kernel {
  distances(query: number, bits: number, blocks: number, bytes: number, out: number): void;
  select(distances: number, rows: number, limit: number, out: number): number;
  products(query: number, codes: number, bytes: number, list: number, length: number, out: number): void;
}

let compiled: WebAssembly.Module | undefined;

/**
 * Searches a file of codes by a scan of all bits, and compares the entries whose bits are most like the query's by their codes. A
 * score is right to 1e-5.
 */
export class CodesReader extends CodesFile implements IndexReader {
  private readonly query: Float32Array;
  private readonly querySigns: Uint8Array;
  private readonly distances: Uint16Array;
  private readonly candidates: Uint32Array;
  private readonly products: Float32Array;
  private readonly kernel: Kernel;

  /** `memory` is that of {@link memoryOf}, with a file in its first `bytes`. */
  constructor(memory: WebAssembly.Memory, bytes: number, dimension: number) {
    const [room, width] = [new Float64Array(memory.buffer, 0, 1)[0]!, paddedTo(dimension, PADDING)];
    const pages = Math.ceil((bytes + workBytes(room, width)) / PAGE_BYTES);
    memory.grow(pages - memory.buffer.byteLength / PAGE_BYTES);
    super(memory.buffer, dimension);
    compiled ??= new WebAssembly.Module(Uint8Array.fromBase64(SCAN_WASM));
    const { exports } = new WebAssembly.Instance(compiled, { env: { memory } });
    this.kernel = exports as unknown as Kernel;
    let at = bytes;
    const next = (length: number) => (at += length) - length;
    this.query = new Float32Array(memory.buffer, next(4 * width), width);
    this.querySigns = new Uint8Array(memory.buffer, next(width / 8), width / 8);
    this.candidates = new Uint32Array(memory.buffer, next(4 * room), room);
    this.products = new Float32Array(memory.buffer, next(4 * room), room);
    this.distances = new Uint16Array(memory.buffer, next(2 * room), room);
  }

  nearest(vector: Float32Array, k: number): Neighbour[] {
    this.query.set(vector);
    const { bits, codes, query, querySigns, distances, candidates, products, width } = this;
    querySigns.set(this.signsOf(vector));
    const blocks = distances.length / BLOCK;
    this.kernel.distances(
      querySigns.byteOffset,
      bits.byteOffset,
      blocks,
      width / 8,
      distances.byteOffset,
    );
    const length = this.select(
      Math.max(MIN_CANDIDATES, CANDIDATE_BITS / vector.length, CANDIDATES_PER_NEIGHBOUR * k),
    );
    if (length === 0) return [];
    this.kernel.products(
      query.byteOffset,
      codes.byteOffset,
      2 * width,
      candidates.byteOffset,
      length,
      products.byteOffset,
    );
    const scores = new Float64Array(length);
    for (let i = 0; i < length; i++) scores[i] = products[i]! * this.scales[candidates[i]!]!;
    return bestOf(scores, k).map(([i, score]) => ({ key: this.keys[candidates[i]!]!, score }));
  }

  /** Lists the nearest candidates by their distance, all that tie with the last included; returns how many. */
  private select(wanted: number): number {
    const { size, distances, candidates } = this;
    // Rows without an entry, at the end, are never below the limit.
    distances.fill(this.width + 1, size);
    const counts = new Uint32Array(this.width + 1);
    for (let row = 0; row < size; row++) counts[distances[row]!]!++;
    let limit = 0;
    for (let found = 0; found < wanted && limit < counts.length; limit++) found += counts[limit]!;
    return this.kernel.select(distances.byteOffset, distances.length, limit, candidates.byteOffset);
  }
}
