import { Buffer, zlibConstants, zstdCompressSync, zstdDecompressSync } from "../../../deps.ts";
import { ParleyError } from "../../core/errors.ts";

/**
 * An artifact is a file of zstd frames, each after a skippable frame with its length, as `pzstd` writes them; `zstd -d` reads it. The
 * length says how much to read for the next frame.
 */
const SKIPPABLE_MAGIC = 0x184d2a50;
const HEADER_BYTES = 12;
const MAGIC_BYTES = 4;
/** The first bytes of a frame. They are not UTF-8, so that no text has them. */
const ZSTD_MAGIC = 0xfd2fb528;
/** What is read at once of a file that an earlier version of Parley wrote, as plain text. */
const PLAIN_BYTES = 262_144;

/** A chunk as it is appended to a file. */
export function compressedChunk(chunk: Uint8Array): Uint8Array<ArrayBuffer> {
  const params = { [zlibConstants.ZSTD_c_compressionLevel]: 1 };
  const frame = zstdCompressSync(chunk, { params });
  const bytes = new Uint8Array(HEADER_BYTES + frame.length);
  const header = new DataView(bytes.buffer);
  [SKIPPABLE_MAGIC, 4, frame.length].forEach((value, at) => header.setUint32(4 * at, value, true));
  bytes.set(frame, HEADER_BYTES);
  return bytes;
}

/** Reads the next bytes of a file; fewer than asked for only at its end. */
export type ReadBytes = (length: number) => Promise<Uint8Array>;

/** The content of a file, compressed or plain, in chunks. Throws `invalid` if it is damaged. */
export async function* chunksOf(read: ReadBytes): AsyncGenerator<Uint8Array> {
  let header = await read(HEADER_BYTES + MAGIC_BYTES);
  if (!isCompressed(header)) {
    yield header;
    for (let plain; (plain = await read(PLAIN_BYTES)).length > 0;) yield plain;
    return;
  }
  for (; header.length > 0; header = await read(HEADER_BYTES)) {
    const length = header.length < HEADER_BYTES ? 0 : viewOf(header).getUint32(8, true);
    // The first frame begins with the bytes that told that it is compressed.
    const start = header.subarray(HEADER_BYTES);
    const rest = await read(Math.max(length - start.length, 0));
    if (length === 0 || start.length + rest.length < length) throw damaged();
    yield decompressed(start.length === 0 ? rest : Buffer.concat([start, rest]));
  }
}

function isCompressed(start: Uint8Array): boolean {
  if (start.length < HEADER_BYTES + MAGIC_BYTES) return false;
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
