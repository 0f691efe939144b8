import { createHash } from "../../deps.ts";
import { refuseOutside } from "./inbox.ts";
import { asSourceError, type Source } from "./source.ts";

const CHUNK_BYTES = 262_144;

type Input = Pick<Deno.FsFile, "read" | "close">;

/** A source's bytes as they stand on disk, with what was learnt of them on the way. */
export class SourceBytes implements AsyncIterable<Uint8Array<ArrayBuffer>> {
  private readonly hash = createHash("sha256");
  private count = 0;

  constructor(private readonly source: Source, private readonly signal: AbortSignal) {}

  /** Bytes so far. */
  get bytes(): number {
    return this.count;
  }

  /** SHA-256 (hex) of all bytes; to be asked once, after the last. */
  sha256(): string {
    return this.hash.digest("hex");
  }

  /** Chunks of 256 KiB, the last one shorter. Aborts at once, even while stdin is silent. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    const file = await open(this.source);
    try {
      while (true) {
        const chunk = await abortable(() => fill(file, this.source.uri), this.signal);
        if (chunk.length === 0) return;
        this.hash.update(chunk);
        this.count += chunk.length;
        yield chunk;
      }
    } finally {
      if (file !== Deno.stdin) file.close();
    }
  }
}

/** Reads a source only for its hash. */
export async function hashSource(source: Source, o: { signal: AbortSignal }): Promise<string> {
  const bytes = new SourceBytes(source, o.signal);
  for await (const _chunk of bytes);
  return bytes.sha256();
}

async function open(source: Source): Promise<Input> {
  if (source.uri === "stdin") return Deno.stdin;
  let file: Deno.FsFile | null = null;
  try {
    file = await Deno.open(source.uri);
    if (source.within !== undefined) await refuseOutside(file, { uri: source.uri, folder: source.within });
    return file;
  } catch (error) {
    file?.close();
    throw asSourceError(source.uri, error);
  }
}

/** A whole chunk, so that what follows sees few large pieces even from a pipe; shorter only at the end. */
async function fill(input: Input, uri: string): Promise<Uint8Array<ArrayBuffer>> {
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

/** The work, or the signal's reason as soon as it is aborted: a read of a silent stdin cannot be taken back. */
async function abortable<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([work(), aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
