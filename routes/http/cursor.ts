import { z } from "../../deps.ts";
import { ParleyError } from "../../lib/core/errors.ts";

export const cursorParameter = z.string("cursor must be given once")
  .describe("The `next` of the page before.").exactOptional();

export const NEXT = z.string().nullable().describe("The cursor of the next page; null after the last.");

/** The first `limit` rows of some, of which one more says that there is a next page, and the cursor of that. */
export function pageOf<Row>(
  rows: readonly Row[],
  limit: number,
  partsOf: (last: Row) => readonly string[],
): { page: Row[]; next: string | null } {
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  return { page, next: rows.length > limit && last !== undefined ? cursorOf(partsOf(last)) : null };
}

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
