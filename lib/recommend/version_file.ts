import { createHash } from "../../deps.ts";
import { ParleyError } from "../core/errors.ts";

/** An array of numbers of four bytes. */
export type Numbers = Uint32Array | Float32Array;

/** A format of files of a data version. */
export interface VersionFileFormat {
  /** What it holds, as a message names it. */
  readonly title: string;
  /** Three letters, and a number that grows when the layout changes, as a little-endian number. */
  readonly magic: number;
  /** Of what the arrays are, in their order. */
  readonly arrays: readonly ("uint32" | "float32")[];
}

/** "PAR" of the format's letters: letters and number as the first four bytes of a file. */
export function magicOf(letters: string, number: number): number {
  const [a, b, c] = [...letters].map((letter) => letter.charCodeAt(0));
  return a! | b! << 8 | c! << 16 | number << 24;
}

const CHECKSUM_BYTES = 32;

/**
 * One file: the magic, the lengths of the arrays and of the JSON; SHA-256 over all but itself; the arrays as little-endian numbers of
 * four bytes; the JSON. `json` must be a value that JSON can hold.
 */
export function encodeVersionFile(
  format: VersionFileFormat,
  { arrays, json }: { arrays: readonly Numbers[]; json: unknown },
): Uint8Array {
  const text = new TextEncoder().encode(JSON.stringify(json));
  const head = Uint32Array.of(format.magic, ...arrays.map(({ length }) => length), text.length);
  const parts = [bytesOf(head), new Uint8Array(CHECKSUM_BYTES), ...arrays.map(bytesOf), text];
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  bytes.set(checksum(bytes, head.byteLength), head.byteLength);
  return bytes;
}

/** What is in a file. Throws `mismatch` if it is of another format, or not what was written. */
export function decodeVersionFile(
  format: VersionFileFormat,
  file: Uint8Array,
): { arrays: Numbers[]; json: unknown } {
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
  if (!checksum(bytes, headBytes).every((byte, at) => byte === written[at])) {
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
  const text = bytes.subarray(bytes.length - textBytes);
  return { arrays, json: JSON.parse(new TextDecoder().decode(text)) };
}

function bytesOf(numbers: Numbers): Uint8Array {
  return new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
}

function checksum(bytes: Uint8Array, headBytes: number): Uint8Array {
  const head = bytes.subarray(0, headBytes);
  const body = bytes.subarray(headBytes + CHECKSUM_BYTES);
  return createHash("sha256").update(head).update(body).digest();
}
