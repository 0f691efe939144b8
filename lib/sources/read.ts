import { createGunzip, pipeline, Readable } from "../../deps.ts";
import { messageOf } from "../core/errors.ts";
import { SourceBytes } from "./bytes.ts";
import { type Source, SourceError } from "./source.ts";
import { ItemSplitter, LineSplitter, Malformed, NotJson, type Splitter } from "./split.ts";

const UNZIPPED_BYTES = 262_144;

/** Reads a source as rows; see {@link SourceRows}. */
export function readRows(source: Source, o: { signal: AbortSignal }): SourceRows {
  return new SourceRows(source, o.signal);
}

/**
 * The rows of a source as JSON text, none of which holds a line feed. The n-th stands at position n: its line in
 * NDJSON (a blank line is an empty string), its item in a JSON array. gzip is told by its first bytes. A row that is
 * too long ends in `CUT`.
 *
 * Throws a {@link SourceError} that names the source for text that is neither a JSON array nor one JSON object a
 * line, that is not UTF-8, or that is cut off; the rows before that have been yielded by then.
 */
export class SourceRows implements AsyncIterable<string> {
  private readonly raw: SourceBytes;
  private yielded = 0;
  private blank = 0;

  constructor(private readonly source: Source, private readonly signal: AbortSignal) {
    this.raw = new SourceBytes(source, signal);
  }

  /** Bytes read so far, as they stand on disk. */
  get bytes(): number {
    return this.raw.bytes;
  }

  /** Rows so far; a blank line is none. */
  get rows(): number {
    return this.yielded - this.blank;
  }

  /** SHA-256 (hex) of all bytes as they stand on disk; to be asked once, after the last row. */
  sha256(): string {
    return this.raw.sha256();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<string> {
    try {
      for await (const rows of this.split()) {
        for (const text of rows) {
          const row = text.startsWith("{") ? text : text.trim();
          this.yielded++;
          if (row === "") this.blank++;
          yield row;
        }
      }
    } catch (error) {
      throw this.explain(error);
    }
  }

  private async *split(): AsyncGenerator<Iterable<string>> {
    let splitter: Splitter | null = null;
    let head = "";
    for await (const piece of decode(unzip(this.raw))) {
      if (splitter === null) head += piece;
      const next = splitter === null ? head : piece;
      splitter ??= splitterFor(head);
      if (splitter !== null) yield splitter.push(next);
    }
    if (splitter !== null) yield splitter.end();
  }

  private explain(error: unknown): unknown {
    if (this.signal.aborted) return this.signal.reason;
    const { uri } = this.source;
    if (error instanceof NotJson) return new SourceError("invalid", `${uri} ${error.message}`);
    if (!(error instanceof Malformed)) return error;
    const after = this.rows === 1 ? "1 row" : `${this.rows} rows`;
    return new SourceError("invalid", `${uri} ${error.message}, after ${after}`, { cause: error });
  }
}

/** By the first character that is not white space; null while there is none. */
function splitterFor(head: string): Splitter | null {
  const first = head.trimStart()[0];
  if (first === undefined) return null;
  return first === "[" ? new ItemSplitter() : new LineSplitter();
}

type Bytes = Uint8Array<ArrayBuffer>;

/** gzip, with any number of members, becomes what it holds; other bytes stay as they are. */
async function* unzip(raw: SourceBytes): AsyncGenerator<Bytes> {
  const chunks = raw[Symbol.asyncIterator]();
  try {
    const first = await chunks.next();
    if (first.done) return;
    const all = chain(first.value, chunks);
    yield* first.value[0] === 0x1f && first.value[1] === 0x8b ? gunzip(all) : all;
  } finally {
    await chunks.return(undefined);
  }
}

async function* chain(first: Bytes, rest: AsyncGenerator<Bytes>): AsyncGenerator<Bytes> {
  yield first;
  yield* rest;
}

async function* gunzip(chunks: AsyncGenerator<Bytes>): AsyncGenerator<Bytes> {
  const unzipped = createGunzip({ chunkSize: UNZIPPED_BYTES });
  try {
    yield* pipeline(Readable.from(chunks), unzipped, () => {}) as AsyncIterable<Bytes>;
  } catch (error) {
    if (error instanceof SourceError) throw error;
    throw new Malformed(`is damaged or cut off as gzip (${messageOf(error)})`);
  }
}

/** UTF-8 without its byte order mark. */
async function* decode(chunks: AsyncIterable<Bytes>): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  for await (const chunk of chunks) yield decodeOr(() => decoder.decode(chunk, { stream: true }));
  yield decodeOr(() => decoder.decode());
}

function decodeOr(decoded: () => string): string {
  try {
    return decoded();
  } catch (error) {
    throw new Malformed("is not UTF-8 text", { cause: error });
  }
}
