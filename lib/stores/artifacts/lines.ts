import { createHash } from "../../../../deps.ts";
import { chunksOf, compressedChunk } from "./compressed_file.ts";
import { ParleyError } from "../../../core/errors.ts";
import { FILE_MODE } from "../../../core/file_modes.ts";
import type { Artifact } from "../../../core/types.ts";

const CHUNK_LENGTH = 262_144;

/** Writes lines to a new file, in compressed chunks of some 256 KB, and flushes it to disk. Bytes and hash are those of the lines. */
export async function writeLineFile(
  path: string,
  lines: AsyncIterable<string>,
  signal?: AbortSignal,
): Promise<Omit<Artifact, "uri">> {
  using file = await Deno.open(path, { write: true, createNew: true, mode: FILE_MODE });
  const sink = new Sink(file);
  for await (const line of lines) {
    if (sink.add(line)) continue;
    signal?.throwIfAborted();
    await sink.flush();
  }
  signal?.throwIfAborted();
  await sink.flush();
  await file.syncData();
  return sink.summary();
}

class Sink {
  private readonly encoder = new TextEncoder();
  private readonly hash = createHash("sha256");
  private text = "";
  private rows = 0;
  private bytes = 0;

  constructor(private readonly file: Deno.FsFile) {}

  /** False if it is time to flush. */
  add(line: string): boolean {
    if (line.includes("\n")) throw new ParleyError("invalid", "a line of an artifact has a line feed");
    this.text += line + "\n";
    this.rows++;
    return this.text.length < CHUNK_LENGTH;
  }

  async flush(): Promise<void> {
    if (this.text === "") return;
    const chunk = this.encoder.encode(this.text);
    this.text = "";
    this.bytes += chunk.length;
    this.hash.update(chunk);
    const bytes = compressedChunk(chunk);
    for (let written = 0; written < bytes.length;) written += await this.file.write(bytes.subarray(written));
  }

  summary(): Omit<Artifact, "uri"> {
    return { rows: this.rows, bytes: this.bytes, sha256: this.hash.digest("hex") };
  }
}

/** The lines of an open file, in the chunks in which it is read. */
export async function* linesOf(file: Deno.FsFile): AsyncGenerator<string[]> {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  let unfinished = "";
  for await (const chunk of chunksOf(file)) {
    const lines = decoder.decode(chunk, { stream: true }).split("\n");
    lines[0] = unfinished + lines[0]!;
    unfinished = lines.pop()!;
    yield lines;
  }
}
