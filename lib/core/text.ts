/**
 * Orders text by code point, which is the byte order of UTF-8 and the order in which stores list their keys. JavaScript's
 * own `<` compares UTF-16 code units and differs beyond U+FFFF.
 */
export function compareText(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const [x, y] = [a.charCodeAt(i), b.charCodeAt(i)];
    if (x !== y) return rank(x) - rank(y);
  }
  return a.length - b.length;
}

/** Ranks surrogates, which encode what is above U+FFFF, after all other code units. */
function rank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}

/**
 * A count with its noun, whose plural ends in "s": "1 row", "2,000 rows".
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { counted } from "./text.ts";
 *
 * assert.equal(counted(2_000, "row"), "2,000 rows");
 * ```
 */
export function counted(count: number, noun: string): string {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}

/** A share of one with one digit at most: "12.3 %", "20 %". */
export function percent(share: number): string {
  return `${Number((100 * share).toFixed(1))} %`;
}

/** A message as a sentence: with a capital letter and a full stop. */
export function sentence(text: string): string {
  const capitalised = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(capitalised) ? capitalised : `${capitalised}.`;
}

/** Scripts that are written without spaces between words. */
const SCRIPTS = ["Hani", "Hira", "Kana", "Thai", "Laoo", "Khmr", "Mymr"];
/** A letter, sign or digit of theirs, in patterns with the flag `v`. */
export const UNSPACED = String.raw`[[${
  SCRIPTS.map((script) => `\\p{scx=${script}}`).join("")
}]&&[\p{L}\p{M}\p{N}]]`;
/** A run of those, or a word of any other script with its vowel signs. */
const RUN = new RegExp(
  String.raw`(${UNSPACED}+)|[[\p{L}\p{N}]--${UNSPACED}][[\p{L}\p{M}\p{N}]--${UNSPACED}]*`,
  "gv",
);

/**
 * Words in lower case and compatibility form: runs of letters and digits. Where a script has no spaces, as in Chinese, Japanese and
 * Thai, pairs of neighbouring letters take the place of words.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { wordsOf } from "./text.ts";
 *
 * assert.deepEqual(wordsOf("Trail shoes, size 42!"), ["trail", "shoes", "size", "42"]);
 * ```
 */
export function wordsOf(text: string): string[] {
  const runs = text.normalize("NFKC").toLowerCase().matchAll(RUN);
  return Array.from(runs).flatMap(([run, unspaced]) => unspaced === undefined ? [run] : pairsOf(run));
}

function pairsOf(run: string): string[] {
  const letters = [...run];
  return letters.length === 1 ? letters : letters.slice(1).map((letter, at) => letters[at] + letter);
}

/** A text without accents and apostrophes, in compatibility form. */
export function plainText(text: string): string {
  return text.normalize("NFKD").replaceAll(/[\p{M}'’]/gu, "").replaceAll("&", " and ");
}

/** How often each word is in a text. */
export type WordCounts = Readonly<Record<string, number>>;

export function countWords(text: string): WordCounts {
  const counts: Record<string, number> = Object.create(null);
  for (const word of wordsOf(text)) counts[word] = (counts[word] ?? 0) + 1;
  return counts;
}
