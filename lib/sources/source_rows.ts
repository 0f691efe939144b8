import { createGunzip, pipeline, Readable } from "../../deps.ts";
import { messageOf } from "../core/errors.ts";
import { counted } from "../core/text.ts";
import { type ReadOptions, SourceBytes, tooLarge } from "./source_bytes.ts";
import { csvDelimiter, csvRows } from "./csv.ts";
import { type Decoder, decoderFor } from "./decoder.ts";
import { MAX_ROW_CHARACTERS } from "./row_buffer.ts";
import { markRow, problemOf } from "./row_problem.ts";
import { type Source, SourceError } from "./source.ts";
import { splitterFor } from "./splitter_for.ts";
import { Malformed, NotJson, NotRows, refuseChat, type Splitter } from "./splitter.ts";

const UNZIPPED_BYTES = 262_144;

/** Reads a source as rows; see {@link SourceRows}. */
export function readRows(source: Source, options: ReadOptions): SourceRows {
  return new SourceRows(source, options);
}

/** Why unzipping ended. What was unzipped right before that may be lost, so rows that were read are a lower bound. */
class BadGzip extends Malformed {}

/**
 * The rows of a source as JSON text, none of which holds a line feed. The n-th is at position n: its line in NDJSON (a
 * blank line is an empty string), its item in a JSON array, the line on which it begins in CSV. gzip and UTF-16 are known by their first bytes. A row that
 * is too long or not UTF-8 is marked so; see `problemOf()`. Of one object around a list, the rows are the items of the list.
 *
 * Throws a {@link SourceError} that names the source for text that is neither JSON rows nor CSV, that is cut off, or that is larger than allowed; the rows before that have been yielded by then.
 */
export class SourceRows implements AsyncIterable<string> {
  private readonly raw: SourceBytes;
  private decoder: Decoder | null = null;
  private splitter: Splitter | null = null;
  private yielded = 0;
  private blank = 0;

  constructor(private readonly source: Source, private readonly options: ReadOptions) {
    this.raw = new SourceBytes(source, options);
  }

  /** Bytes read so far, as they are on disk. */
  get bytes(): number {
    return this.raw.bytes;
  }

  /** Rows so far, without blank lines. */
  get rows(): number {
    return this.yielded - this.blank;
  }

  /** SHA-256 (hex) of all bytes as they are on disk; to be asked once, after the last row. */
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
          yield this.decoder?.invalidAt === null ? row : markInvalid(row);
        }
      }
    } catch (error) {
      throw this.explain(error);
    }
  }

  private async *split(): AsyncGenerator<Iterable<string>> {
    const { uri } = this.source;
    let head = "";
    const pieces = this.decode();
    for await (const piece of pieces) {
      if (this.splitter !== null) {
        yield this.splitter.push(piece);
        continue;
      }
      head += piece;
      refuseChat(head);
      const delimiter = csvDelimiter(head, { uri, isWhole: false });
      if (typeof delimiter === "string") return yield* csvRows(chain(head, pieces), delimiter);
      this.splitter = delimiter === null ? null : splitterFor(head, { isWhole: false });
      if (this.splitter !== null) yield this.splitter.push(head);
      else if (head.length > MAX_ROW_CHARACTERS) throw new NotJson();
    }
    if (this.splitter === null) {
      const delimiter = csvDelimiter(head, { uri, isWhole: true });
      if (typeof delimiter === "string") return yield* csvRows(chain(head, pieces), delimiter);
      this.splitter = splitterFor(head, { isWhole: true });
      if (this.splitter !== null) yield this.splitter.push(head);
    }
    if (this.splitter !== null) yield this.splitter.end();
  }

  private async *decode(): AsyncGenerator<string> {
    for await (const chunk of this.unzip()) {
      this.decoder ??= decoderFor(chunk);
      yield this.decoder.push(chunk);
    }
    if (this.decoder !== null) yield this.decoder.end();
  }

  /** gzip, with any number of members, becomes what it holds; other bytes stay as they are. */
  private async *unzip(): AsyncGenerator<Bytes> {
    const chunks = this.raw[Symbol.asyncIterator]();
    try {
      const first = await chunks.next();
      if (first.done) return;
      const all = chain(first.value, chunks);
      yield* first.value[0] === 0x1f && first.value[1] === 0x8b ? this.bounded(gunzip(all)) : all;
    } finally {
      await chunks.return(undefined);
    }
  }

  private async *bounded(chunks: AsyncGenerator<Bytes>): AsyncGenerator<Bytes> {
    const { source: { uri }, options: { signal, maxBytes } } = this;
    let count = 0;
    for await (const chunk of chunks) {
      signal.throwIfAborted();
      count += chunk.length;
      if (count > maxBytes) throw tooLarge(uri, maxBytes);
      yield chunk;
    }
  }

  private explain(error: unknown): unknown {
    const { signal } = this.options;
    if (signal.aborted) return signal.reason;
    const { uri } = this.source;
    if (error instanceof NotRows) return new SourceError("invalid", uri, error.message);
    if (!(error instanceof Malformed)) return error;
    const rows = counted(this.rows, "row");
    const bound = error instanceof BadGzip || this.splitter === null ? " or more" : "";
    const line = this.splitter?.line ? ` (line ${this.splitter.line})` : "";
    const at = this.decoder?.invalidAt ?? null;
    const byte = at === null ? "" : `; the byte at offset ${at} is not UTF-8`;
    const problem = `${error.message}, after ${rows}${bound}${line}${byte}`;
    return new SourceError("invalid", uri, problem, { cause: error });
  }
}

/** A row with a byte that is not UTF-8, as a lone surrogate says, is marked, unless it is already. */
function markInvalid(row: string): string {
  if (row.isWellFormed() || problemOf(row) !== null) return row;
  return markRow(row.toWellFormed(), "not_utf8");
}

type Bytes = Uint8Array<ArrayBuffer>;

async function* chain<T>(first: T, rest: AsyncGenerator<T>): AsyncGenerator<T> {
  yield first;
  yield* rest;
}

async function* gunzip(chunks: AsyncGenerator<Bytes>): AsyncGenerator<Bytes> {
  const unzipped = createGunzip({ chunkSize: UNZIPPED_BYTES });
  try {
    yield* pipeline(Readable.from(chunks), unzipped, () => {}) as AsyncIterable<Bytes>;
  } catch (error) {
    if (error instanceof SourceError) throw error;
    throw new BadGzip(`is damaged or cut off as gzip (${messageOf(error)})`);
  }
}
