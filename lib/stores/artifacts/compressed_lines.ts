import { zlibConstants, zstdCompressSync, zstdDecompressSync } from "../../../../deps.ts";
import { ParleyError } from "../../../core/errors.ts";

/**
 * A file of zstd frames, each after a skippable frame with its length, as `pzstd` writes them; `zstd -d` reads it. The
 * length says how much to read for the next frame.
 */
const SKIPPABLE_MAGIC = 0x184d2a50;
const HEADER_BYTES = 12;
/** The first bytes of a frame. They are not UTF-8, so that no text has them. */
const ZSTD_MAGIC = 0xfd2fb528;
/** What is read at once of a file that an earlier version of Parley wrote, as plain text. */
const PLAIN_BYTES = 262_144;

/** A chunk as it is appended to a file. */
export function compressedChunk(chunk: Uint8Array): Uint8Array {
  const params = { [zlibConstants.ZSTD_c_compressionLevel]: 1 };
  const frame = zstdCompressSync(chunk, { params });
  const bytes = new Uint8Array(HEADER_BYTES + frame.length);
  const header = new DataView(bytes.buffer);
  [SKIPPABLE_MAGIC, 4, frame.length].forEach((value, at) => header.setUint32(4 * at, value, true));
  bytes.set(frame, HEADER_BYTES);
  return bytes;
}

/** The content of an open file, compressed or plain, in chunks. Throws `invalid` if it is damaged. */
export async function* chunksOf(file: Deno.FsFile): AsyncGenerator<Uint8Array> {
  let header = await readUpTo(file, HEADER_BYTES + 4);
  if (!isCompressed(header)) {
    yield header;
    for (let plain; (plain = await readUpTo(file, PLAIN_BYTES)).length > 0;) yield plain;
    return;
  }
  await file.seek(0, Deno.SeekMode.Start);
  while ((header = await readUpTo(file, HEADER_BYTES)).length > 0) {
    const length = header.length === HEADER_BYTES ? viewOf(header).getUint32(8, true) : 0;
    const frame = await readUpTo(file, length);
    if (length === 0 || frame.length < length) throw damaged();
    yield decompressed(frame);
  }
}

function isCompressed(start: Uint8Array): boolean {
  if (start.length < HEADER_BYTES + 4) return false;
  const view = viewOf(start);
  return view.getUint32(0, true) === SKIPPABLE_MAGIC && view.getUint32(HEADER_BYTES, true) === ZSTD_MAGIC;
}

function decompressed(frame: Uint8Array): Uint8Array {
  try {
    return zstdDecompressSync(frame);
  } catch (error) {
    throw damaged(error);
  }
}

function damaged(cause?: unknown): ParleyError {
  return new ParleyError("invalid", "the file of an artifact is damaged: start the run again", { cause });
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}

/** The next bytes of a file, fewer only at its end. */
async function readUpTo(file: Deno.FsFile, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let read = 0;
  while (read < length) {
    const count = await file.read(bytes.subarray(read));
    if (count === null) break;
    read += count;
  }
  return bytes.subarray(0, read);
}
