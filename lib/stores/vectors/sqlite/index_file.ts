import { createHash } from "../../../../deps.ts";
import type { Abortable } from "../../../core/types.ts";

/** A file with its length and hash, by which it is verified before it is used. */
export interface IndexFile {
  readonly path: string;
  readonly bytes: number;
  /** Hex. */
  readonly sha256: string;
}

/** An index is not as its build wrote it. The message is a sentence: "its file is missing". */
export class DamagedIndex extends Error {
  override readonly name = "DamagedIndex";
}

/** Identifies a file's content without reading it: every write changes the stamp. Null if there is no file. */
export async function stampOf(path: string): Promise<string | null> {
  try {
    const { dev, ino, size, mtime, ctime } = await Deno.stat(path);
    return [dev, ino, size, mtime?.getTime(), ctime?.getTime()].join();
  } catch {
    // Reading it says why.
    return null;
  }
}

/** Bytes read before other work gets its turn: a millisecond of hashing. */
const CHUNK_BYTES = 1 << 20;

/** Flushes a file that was just written, and hashes it. */
export async function finishFile(path: string, { signal }: Abortable): Promise<IndexFile> {
  using file = await Deno.open(path, { read: true, write: true });
  await file.syncData();
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const chunk of chunksOf(file, signal)) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { path, bytes, sha256: hash.digest("hex") };
}

/**
 * Reads a file in chunks, each valid until the next is read. Throws {@link DamagedIndex} if the file is missing, cannot be
 * read, or does not have the bytes that were written, which is known only after the last chunk.
 */
export async function* readVerified(
  { path, bytes, sha256 }: IndexFile,
  { signal }: Abortable = {},
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const info = await orDamaged(() => Deno.stat(path));
  if (!info.isFile) throw new DamagedIndex("its file is not a regular file");
  if (info.size !== bytes) throw new DamagedIndex(`its file has ${info.size} bytes instead of ${bytes}`);
  using file = await orDamaged(() => Deno.open(path));
  const hash = createHash("sha256");
  const chunks = chunksOf(file, signal);
  let length = 0;
  while (true) {
    const { value: chunk } = await orDamaged(() => chunks.next());
    if (chunk === undefined) break;
    hash.update(chunk);
    length += chunk.length;
    if (length > bytes) throw new DamagedIndex("its file grew while it was read");
    yield chunk;
  }
  if (hash.digest("hex") !== sha256) throw new DamagedIndex("its file has other bytes than were written");
}

/** The verified bytes of a file, in what `allocate` gives once the file is known to have their number. */
export async function readWhole(
  file: IndexFile,
  options: Abortable,
  allocate: (bytes: number) => Uint8Array<ArrayBuffer> = (bytes) => new Uint8Array(bytes),
): Promise<Uint8Array<ArrayBuffer>> {
  let whole: Uint8Array<ArrayBuffer> | undefined;
  let at = 0;
  for await (const chunk of readVerified(file, options)) {
    whole ??= allocate(file.bytes);
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole ?? allocate(0);
}

async function* chunksOf(
  file: Deno.FsFile,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const buffer = new Uint8Array(CHUNK_BYTES);
  while (true) {
    signal?.throwIfAborted();
    const length = await file.read(buffer);
    signal?.throwIfAborted();
    if (length === null) return;
    yield buffer.subarray(0, length);
  }
}

/** Turns errors of the system into {@link DamagedIndex}, except those that may pass, as with too many open files. */
async function orDamaged<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
      throw new DamagedIndex("its file is missing");
    }
    const { code } = error as { code?: string };
    if (error instanceof Deno.errors.PermissionDenied || code === "EIO" || code === "ELOOP") {
      throw new DamagedIndex("its file cannot be read", { cause: error });
    }
    throw error;
  }
}
