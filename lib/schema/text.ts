import { z } from "../../deps.ts";
import { expected, refuse } from "./issues.ts";

/**
 * Text that every store can hold: lone surrogates and NUL, which UTF-8 databases refuse, become U+FFFD. They come
 * from exports that cut text in the middle of an emoji, and the rest of such a row is still good.
 */
export function storable(text: string): string {
  if (text.isWellFormed() && !text.includes("\0")) return text;
  return text.toWellFormed().replaceAll("\0", "\uFFFD");
}

/** 1..max UTF-16 units of text that is not blank, with its white space. */
export function text(max: number) {
  return z.string(expected("a string")).meta({ pattern: "\\S", maxLength: max }).transform(
    (value, context) => {
      if (value.length > max) return refuse(context, `is longer than ${max} characters`);
      if (value.trim() === "") return refuse(context, "is blank");
      return storable(value);
    },
  );
}
