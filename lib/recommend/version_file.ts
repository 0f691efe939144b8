import { createHash, z } from "../../deps.ts";
import { yieldToEventLoop } from "../core/abort.ts";
import { ParleyError } from "../core/errors.ts";

/** An array of numbers of four bytes. */
type NumberArray = Uint32Array | Float32Array;

/** A format of files of a data version. */
export interface VersionFileFormat {
  /** Its content, as named in messages. */
  readonly title: string;
  /** Three letters, and a number that grows when the layout changes, as a little-endian number. */
  readonly magic: number;
  /** Types of the arrays, in order. */
  readonly arrays: readonly ("uint32" | "float32")[];
}

/** The first four bytes of a file, its letters and then its number, as one little-endian number. */
export function magicOf(letters: string, number: number): number {
  const [a, b, c] = [...letters].map((letter) => letter.charCodeAt(0));
  return a! | b! << 8 | c! << 16 | number << 24;
}

/** The content of a file. */
interface VersionFileContent {
  readonly arrays: readonly NumberArray[];
  readonly texts: readonly (readonly string[])[];
  /** A small value that JSON can hold. */
  readonly json: unknown;
}

const CHECKSUM_BYTES = 32;
/** Bytes hashed at a time, which takes milliseconds: the process serves answers meanwhile. */
const HASHED_BYTES = 2 ** 22;
const TEXTS_PER_LINE = 5_000;

const FirstLine = z.object({ texts: z.array(z.number()), json: z.unknown() });
const Texts = z.array(z.string());

/**
 * One file: the magic, the lengths of the arrays and of the JSON; SHA-256 over all but itself; the arrays as little-endian
 * numbers of four bytes; JSON, a value a line: first the length of each list of texts, then the lists in chunks.
 */
export function encodeVersionFile(
  format: VersionFileFormat,
  { arrays, texts, json }: VersionFileContent,
): Uint8Array {
  const lines = [{ texts: texts.map(({ length }) => length), json }, ...texts.flatMap(chunksOf)];
  const text = new TextEncoder().encode(lines.map((line) => JSON.stringify(line)).join("\n"));
  const header = Uint32Array.of(format.magic, ...arrays.map(({ length }) => length), text.length);
  const chunks = [bytesOf(header), new Uint8Array(CHECKSUM_BYTES), ...arrays.map(bytesOf), text];
  const bytes = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  const hash = createHash("sha256");
  for (const chunk of hashedChunks(bytes, header.byteLength)) hash.update(chunk);
  bytes.set(hash.digest(), header.byteLength);
  return bytes;
}

function chunksOf(texts: readonly string[]): string[][] {
  return Array.from(
    { length: Math.ceil(texts.length / TEXTS_PER_LINE) },
    (_, chunk) => texts.slice(chunk * TEXTS_PER_LINE, (chunk + 1) * TEXTS_PER_LINE),
  );
}

/**
 * The content of a file, read without blocking the event loop. Throws `mismatch` if the file has another format or is damaged.
 * The arrays may share its buffer.
 */
export async function decodeVersionFile(
  format: VersionFileFormat,
  file: Uint8Array,
): Promise<VersionFileContent> {
  const damaged = (problem: string) =>
    new ParleyError(
      "mismatch",
      `the file of ${format.title} cannot be used: ${problem}; the next run that publishes writes it again`,
    );
  // Numbers of four bytes must begin at a multiple of four.
  const bytes = file.byteOffset % 4 === 0 ? file : file.slice();
  const { buffer, byteOffset } = bytes;
  const headerBytes = 4 * (format.arrays.length + 2);
  if (bytes.length < headerBytes + CHECKSUM_BYTES) {
    throw damaged(`it has ${bytes.length} bytes, fewer than its header`);
  }
  const [magic, ...lengths] = new Uint32Array(buffer, byteOffset, headerBytes / 4);
  if (magic !== format.magic) throw damaged("it is of another format, or none");
  const textBytes = lengths.pop()!;
  const expected = headerBytes + CHECKSUM_BYTES + textBytes +
    lengths.reduce((sum, length) => sum + 4 * length, 0);
  if (bytes.length !== expected) throw damaged(`it has ${bytes.length} of ${expected} bytes`);
  const checksum = bytes.subarray(headerBytes, headerBytes + CHECKSUM_BYTES);
  const hash = createHash("sha256");
  for (const chunk of hashedChunks(bytes, headerBytes)) {
    hash.update(chunk);
    await yieldToEventLoop();
  }
  if (!hash.digest().every((byte, offset) => byte === checksum[offset])) {
    throw damaged("it has other bytes than were written");
  }
  let offset = byteOffset + headerBytes + CHECKSUM_BYTES;
  const arrays = lengths.map((length, i) => {
    const array = format.arrays[i] === "uint32"
      ? new Uint32Array(buffer, offset, length)
      : new Float32Array(buffer, offset, length);
    offset += array.byteLength;
    return array;
  });
  return { arrays, ...await readLines(bytes.subarray(bytes.length - textBytes)) };
}

async function readLines(bytes: Uint8Array): Promise<Pick<VersionFileContent, "texts" | "json">> {
  const decoder = new TextDecoder();
  let offset = 0;
  const nextLine = (): unknown => {
    const end = bytes.indexOf(LINE_BREAK, offset);
    const line = bytes.subarray(offset, end < 0 ? bytes.length : end);
    offset += line.length + 1;
    return JSON.parse(decoder.decode(line));
  };
  const { texts: lengths, json } = FirstLine.parse(nextLine());
  const texts: string[][] = [];
  for (const length of lengths) {
    const list: string[] = [];
    while (list.length < length) {
      list.push(...Texts.parse(nextLine()));
      await yieldToEventLoop();
    }
    texts.push(list);
  }
  return { texts, json };
}

const LINE_BREAK = "\n".charCodeAt(0);

function bytesOf(numbers: NumberArray): Uint8Array {
  return new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
}

/** All but the checksum. */
function* hashedChunks(bytes: Uint8Array, headerBytes: number): Generator<Uint8Array> {
  yield bytes.subarray(0, headerBytes);
  for (let offset = headerBytes + CHECKSUM_BYTES; offset < bytes.length; offset += HASHED_BYTES) {
    yield bytes.subarray(offset, offset + HASHED_BYTES);
  }
}
