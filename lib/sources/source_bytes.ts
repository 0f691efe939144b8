import { createHash } from "../../deps.ts";
import { abortable } from "../core/abort.ts";
import { refuseOutside } from "./inbox.ts";
import { asSourceError, type Source, SourceError } from "./source.ts";

const CHUNK_BYTES = 262_144;

export interface ReadOptions {
  readonly signal: AbortSignal;
  /** The most that is read of one source, as it is on disk and as it is unzipped. */
  readonly maxBytes: number;
}

type Input = Pick<Deno.FsFile, "read" | "close">;

/** A source's bytes as they are on disk, with what was learnt of them on the way. */
export class SourceBytes implements AsyncIterable<Uint8Array<ArrayBuffer>> {
  private readonly hash = createHash("sha256");
  private count = 0;

  constructor(private readonly source: Source, private readonly options: ReadOptions) {}

  /** Bytes so far. */
  get bytes(): number {
    return this.count;
  }

  /** SHA-256 (hex) of all bytes; to be asked once, after the last. */
  sha256(): string {
    return this.hash.digest("hex");
  }

  /** Chunks of 256 KiB, the last one shorter. Aborts at once, even while a pipe has no writer or stdin is silent. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    const { source: { uri, bytes }, options: { signal, maxBytes } } = this;
    if (bytes !== null && bytes > maxBytes) throw tooLarge(uri, maxBytes);
    const file = await open(this.source, signal);
    try {
      while (true) {
        const chunk = await abortable(signal, () => readChunk(file, uri));
        if (chunk.length === 0) return;
        this.hash.update(chunk);
        this.count += chunk.length;
        if (this.count > maxBytes) throw tooLarge(uri, maxBytes);
        yield chunk;
      }
    } finally {
      if (file !== Deno.stdin) file.close();
    }
  }
}

/** Reads a source only for its hash. */
export async function hashSource(source: Source, options: ReadOptions): Promise<string> {
  const bytes = new SourceBytes(source, options);
  for await (const _chunk of bytes);
  return bytes.sha256();
}

export function tooLarge(uri: string, maxBytes: number): SourceError {
  return new SourceError(
    "invalid",
    uri,
    `is larger than ${maxBytes / 1e9} GB, which PARLEY_MAX_SOURCE_GB sets`,
  );
}

/**
 * A pipe opens when a writer does, and nothing can take the call back: what opens after the signal is closed again, and
 * until then a thread waits, which an exit ends.
 */
async function open({ uri, within }: Source, signal: AbortSignal): Promise<Input> {
  if (uri === "stdin") return Deno.stdin;
  signal.throwIfAborted();
  const opening = Deno.open(uri);
  try {
    const file = await abortable(signal, () => opening);
    if (within !== undefined) await refuseOutside(file, { uri, folder: within });
    return file;
  } catch (error) {
    opening.then((file) => file.close(), () => {});
    signal.throwIfAborted();
    throw asSourceError(uri, error);
  }
}

/** A whole chunk, so that what follows gets few large pieces even from a pipe; shorter only at the end. */
async function readChunk(input: Input, uri: string): Promise<Uint8Array<ArrayBuffer>> {
  const chunk = new Uint8Array(CHUNK_BYTES);
  let filled = 0;
  try {
    while (filled < CHUNK_BYTES) {
      const count = await input.read(chunk.subarray(filled));
      if (count === null) break;
      filled += count;
    }
  } catch (error) {
    throw asSourceError(uri, error);
  }
  return chunk.subarray(0, filled);
}
