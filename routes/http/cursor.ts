import { ParleyError } from "../../lib/core/errors.ts";

/** A place in a list as a text for `cursor`. It is opaque, so that what it holds may change. */
export function cursorOf(parts: readonly string[]): string {
  return new TextEncoder().encode(JSON.stringify(parts)).toBase64({
    alphabet: "base64url",
    omitPadding: true,
  });
}

/** The parts of a cursor. Throws `invalid` if it does not have `count` parts. */
export function partsOf(cursor: string, count: number): string[] {
  let parts: unknown = null;
  try {
    const bytes = Uint8Array.fromBase64(cursor, { alphabet: "base64url" });
    parts = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    // Whatever is wrong with it, it is no cursor.
  }
  if (Array.isArray(parts) && parts.length === count && parts.every((part) => typeof part === "string")) {
    return parts;
  }
  throw new ParleyError("invalid", "cursor is not the next of a page before");
}
