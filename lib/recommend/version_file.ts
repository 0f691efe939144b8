import { createHash, z } from "../../deps.ts";
import { yieldToEventLoop } from "../core/abort.ts";
import { ParleyError } from "../core/errors.ts";

/** An array of numbers of four bytes. */
type Numbers = Uint32Array | Float32Array;

/** A format of files of a data version. */
export interface VersionFileFormat {
  /** What it holds, as a message names it. */
  readonly title: string;
  /** Three letters, and a number that grows when the layout changes, as a little-endian number. */
  readonly magic: number;
  /** Of what the arrays are, in their order. */
  readonly arrays: readonly ("uint32" | "float32")[];
}

/** The first four bytes of a file, its letters and then its number, as one little-endian number. */
export function magicOf(letters: string, number: number): number {
  const [a, b, c] = [...letters].map((letter) => letter.charCodeAt(0));
  return a! | b! << 8 | c! << 16 | number << 24;
}

/** What is in a file. */
interface VersionFileContent {
  readonly arrays: readonly Numbers[];
  readonly texts: readonly (readonly string[])[];
  /** A small value that JSON can hold. */
  readonly json: unknown;
}

const CHECKSUM_BYTES = 32;
/** Read at a time, each a matter of milliseconds: the process that reads a file serves answers meanwhile. */
const HASHED_BYTES = 2 ** 22;
const TEXTS = 5_000;

const FirstLine = z.object({ texts: z.array(z.number()), json: z.unknown() });
const Texts = z.array(z.string());

/**
 * One file: the magic, the lengths of the arrays and of the JSON; SHA-256 over all but itself; the arrays as little-endian numbers of
 * four bytes; JSON, a value a line: first how many texts each list has, then the lists in parts.
 */
export function encodeVersionFile(
  format: VersionFileFormat,
  { arrays, texts, json }: VersionFileContent,
): Uint8Array {
  const lines = [{ texts: texts.map(({ length }) => length), json }, ...texts.flatMap(partsOf)];
  const text = new TextEncoder().encode(lines.map((line) => JSON.stringify(line)).join("\n"));
  const head = Uint32Array.of(format.magic, ...arrays.map(({ length }) => length), text.length);
  const parts = [bytesOf(head), new Uint8Array(CHECKSUM_BYTES), ...arrays.map(bytesOf), text];
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  const hash = createHash("sha256");
  for (const part of hashedParts(bytes, head.byteLength)) hash.update(part);
  bytes.set(hash.digest(), head.byteLength);
  return bytes;
}

function partsOf(texts: readonly string[]): string[][] {
  return Array.from(
    { length: Math.ceil(texts.length / TEXTS) },
    (_, part) => texts.slice(part * TEXTS, (part + 1) * TEXTS),
  );
}

/**
 * What is in a file, read in turns with other work. Throws `mismatch` if it is of another format, or not what was written. The arrays
 * may share the file's buffer.
 */
export async function decodeVersionFile(
  format: VersionFileFormat,
  file: Uint8Array,
): Promise<VersionFileContent> {
  const damaged = (what: string) =>
    new ParleyError(
      "mismatch",
      `the file of ${format.title} cannot be used: ${what}; the next run that publishes writes it again`,
    );
  // Numbers of four bytes must begin at a multiple of four.
  const bytes = file.byteOffset % 4 === 0 ? file : file.slice();
  const { buffer, byteOffset } = bytes;
  const headBytes = 4 * (format.arrays.length + 2);
  if (bytes.length < headBytes + CHECKSUM_BYTES) {
    throw damaged(`it has ${bytes.length} bytes, fewer than its header`);
  }
  const [magic, ...lengths] = new Uint32Array(buffer, byteOffset, headBytes / 4);
  if (magic !== format.magic) throw damaged("it is of another format, or none");
  const textBytes = lengths.pop()!;
  const expected = headBytes + CHECKSUM_BYTES + textBytes +
    lengths.reduce((sum, length) => sum + 4 * length, 0);
  if (bytes.length !== expected) throw damaged(`it has ${bytes.length} of ${expected} bytes`);
  const written = bytes.subarray(headBytes, headBytes + CHECKSUM_BYTES);
  const hash = createHash("sha256");
  for (const part of hashedParts(bytes, headBytes)) {
    hash.update(part);
    await yieldToEventLoop();
  }
  if (!hash.digest().every((byte, at) => byte === written[at])) {
    throw damaged("it has other bytes than were written");
  }
  let at = byteOffset + headBytes + CHECKSUM_BYTES;
  const arrays = lengths.map((length, i) => {
    const array = format.arrays[i] === "uint32"
      ? new Uint32Array(buffer, at, length)
      : new Float32Array(buffer, at, length);
    at += array.byteLength;
    return array;
  });
  return { arrays, ...await readLines(bytes.subarray(bytes.length - textBytes)) };
}

async function readLines(bytes: Uint8Array): Promise<Pick<VersionFileContent, "texts" | "json">> {
  const decoder = new TextDecoder();
  let at = 0;
  const nextLine = (): unknown => {
    const end = bytes.indexOf(LINE_BREAK, at);
    const line = bytes.subarray(at, end < 0 ? bytes.length : end);
    at += line.length + 1;
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

function bytesOf(numbers: Numbers): Uint8Array {
  return new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
}

/** All but the checksum. */
function* hashedParts(bytes: Uint8Array, headBytes: number): Generator<Uint8Array> {
  yield bytes.subarray(0, headBytes);
  for (let at = headBytes + CHECKSUM_BYTES; at < bytes.length; at += HASHED_BYTES) {
    yield bytes.subarray(at, at + HASHED_BYTES);
  }
}
