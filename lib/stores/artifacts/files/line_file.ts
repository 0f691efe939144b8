import { FILE_MODE } from "../../../core/file_modes.ts";
import type { Artifact } from "../../../core/types.ts";
import type { ReadBytes } from "../compressed_lines.ts";
import { EncodedLines } from "../lines.ts";

/** Writes lines to a new file, and flushes it to disk. */
export async function writeLineFile(
  path: string,
  lines: AsyncIterable<string>,
  signal?: AbortSignal,
): Promise<Omit<Artifact, "uri">> {
  using file = await Deno.open(path, { write: true, createNew: true, mode: FILE_MODE });
  const encoded = new EncodedLines(lines, signal);
  for await (const chunk of encoded) await writeAll(file, chunk);
  await file.syncData();
  return encoded.summary();
}

async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length;) written += await file.write(bytes.subarray(written));
}

/** The bytes of an open file in order. */
export function reader(file: Deno.FsFile): ReadBytes {
  return async (length) => {
    const bytes = new Uint8Array(length);
    let read = 0;
    while (read < length) {
      const count = await file.read(bytes.subarray(read));
      if (count === null) break;
      read += count;
    }
    return bytes.subarray(0, read);
  };
}
