import { createHash } from "../../../deps.ts";
import { chunksOf, compressedChunk, type ReadBytes } from "./compressed_lines.ts";
import { ParleyError } from "../../core/errors.ts";
import type { Artifact } from "../../core/types.ts";

const CHUNK_LENGTH = 262_144;

/** Lines as compressed chunks of some 256 KB, to be read once. */
export class EncodedLines implements AsyncIterable<Uint8Array<ArrayBuffer>> {
  private readonly encoder = new TextEncoder();
  private readonly hash = createHash("sha256");
  private text = "";
  private rows = 0;
  private bytes = 0;

  constructor(private readonly lines: AsyncIterable<string>, private readonly signal?: AbortSignal) {}

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    for await (const line of this.lines) {
      this.add(line);
      if (this.text.length < CHUNK_LENGTH) continue;
      this.signal?.throwIfAborted();
      yield this.chunk();
    }
    this.signal?.throwIfAborted();
    if (this.text !== "") yield this.chunk();
  }

  /** Of all lines, once they are read. Bytes and hash are those of the text. */
  summary(): Omit<Artifact, "uri"> {
    return { rows: this.rows, bytes: this.bytes, sha256: this.hash.digest("hex") };
  }

  private add(line: string): void {
    if (line.includes("\n")) throw new ParleyError("invalid", "a line of an artifact has a line feed");
    this.text += line + "\n";
    this.rows++;
  }

  private chunk(): Uint8Array<ArrayBuffer> {
    const text = this.encoder.encode(this.text);
    this.text = "";
    this.bytes += text.length;
    this.hash.update(text);
    return compressedChunk(text);
  }
}

/** The lines of a file, in the chunks in which it is read. */
export async function* linesOf(read: ReadBytes): AsyncGenerator<string[]> {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  let unfinished = "";
  for await (const chunk of chunksOf(read)) {
    const lines = decoder.decode(chunk, { stream: true }).split("\n");
    lines[0] = unfinished + lines[0]!;
    unfinished = lines.pop()!;
    yield lines;
  }
}
