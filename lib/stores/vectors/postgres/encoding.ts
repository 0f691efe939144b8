import { ParleyError } from "../../../core/errors.ts";

/** Vectors in PostgreSQL's binary formats, big-endian: half as long as text, and exact without rounding. */

/** The type number of `real`. */
const REAL = 700;
const FLOAT_BYTES = 4;

/** Several vectors of one dimension as one `real[]`, one after the other. */
export function realArray(vectors: readonly Float32Array[], dimension: number): Uint8Array {
  const length = vectors.length * dimension;
  const HEADER = 20, ELEMENT = 4 + FLOAT_BYTES;
  const bytes = new DataView(new ArrayBuffer(HEADER + ELEMENT * length));
  // Number of dimensions, no nulls, type of elements, length, lowest subscript.
  [1, 0, REAL, length, 1].forEach((field, at) => bytes.setInt32(4 * at, field));
  let at = HEADER;
  for (const vector of vectors) {
    for (const value of vector) {
      bytes.setInt32(at, FLOAT_BYTES);
      bytes.setFloat32(at + 4, value);
      at += ELEMENT;
    }
  }
  return new Uint8Array(bytes.buffer);
}

/** A `vector`: its dimension and an unused field of two bytes each, then its components. */
export function encodeVector(vector: Float32Array): Uint8Array {
  const bytes = new DataView(new ArrayBuffer(4 + FLOAT_BYTES * vector.length));
  bytes.setInt16(0, vector.length);
  vector.forEach((value, at) => bytes.setFloat32(4 + FLOAT_BYTES * at, value));
  return new Uint8Array(bytes.buffer);
}

/** The inverse of {@link encodeVector}, for what `vector_send` gives. */
export function decodeVector(bytes: Uint8Array): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const dimension = view.getInt16(0);
  if (bytes.length !== 4 + FLOAT_BYTES * dimension) {
    throw new ParleyError("mismatch", "pgvector sent a vector in a format that Parley does not know");
  }
  return Float32Array.from({ length: dimension }, (_, at) => view.getFloat32(4 + FLOAT_BYTES * at));
}
