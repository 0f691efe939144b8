import { ParleyError } from "../core/errors.ts";

/** What becomes of a text that is longer than the model reads: its end is cut off, or it is read in overlapping windows. */
const LONG_TEXTS = ["truncate", "windows"] as const;
export type LongTexts = typeof LONG_TEXTS[number];

/** The most windows of one text; the rest is left out. */
export const MAX_WINDOWS = 64;

/** Throws `invalid` for a text with nothing to embed, naming its place and never the text. */
export function checkTexts(texts: readonly string[]): void {
  const empty = texts.findIndex((text) => text.trim() === "");
  if (empty >= 0) {
    throw new ParleyError("invalid", `text ${empty + 1} of ${texts.length} is empty: it cannot be embedded`);
  }
}
