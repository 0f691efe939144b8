import { ParleyError } from "../core/errors.ts";

/** Throws `invalid` for a text with nothing to embed, naming its place and never the text. */
export function checkTexts(texts: readonly string[]): void {
  const empty = texts.findIndex((text) => text.trim() === "");
  if (empty >= 0) {
    throw new ParleyError("invalid", `text ${empty + 1} of ${texts.length} is empty: it cannot be embedded`);
  }
}
