import { tryParseJson } from "../core/json.ts";
import type { Json } from "../core/types.ts";

/** What takes the place of a user's id in a record that stays. */
const ERASED = "[erased]";
/** In free text a short id, or a short number, looks like any other word or number. */
const TELLING = /^(?!\d{1,7}$).{4,}$/su;

/**
 * Finds ids of users in text that was not made to be searched: raw rows, whatever their shape, and records of runs. A row in JSON is
 * a user's if one of its values or names, at any depth, is the id; other text if it contains the id as a word of its own.
 */
export class UserText {
  private readonly user_ids: ReadonlySet<string>;
  /** The ids, and the ids as JSON writes them, if that differs. */
  readonly spellings: readonly string[];
  private readonly words: RegExp;
  private readonly tellingWords: RegExp | null;

  constructor(user_ids: readonly string[]) {
    this.user_ids = new Set(user_ids);
    this.spellings = [...new Set(user_ids.flatMap((id) => [id, JSON.stringify(id).slice(1, -1)]))];
    this.words = wordsOf(this.spellings);
    const telling = this.spellings.filter((text) => TELLING.test(text));
    this.tellingWords = telling.length === 0 ? null : wordsOf(telling);
  }

  /** Whether a row is, or may be, one of these users'. `problem` rows that are cut or broken are no JSON, and searched as text. */
  isIn(row: string): boolean {
    // Most rows have none of the ids, in any spelling: only escapes hide one.
    if (!row.includes("\\") && !this.spellings.some((text) => row.includes(text))) return false;
    const value = tryParseJson(row);
    return value === undefined ? this.isInText(row) : this.isInValue(value as Json);
  }

  private isInText(text: string): boolean {
    this.words.lastIndex = 0;
    return this.words.test(text) || this.words.test(unescaped(text));
  }

  private isInValue(value: Json): boolean {
    if (typeof value === "string") return this.user_ids.has(value.trim());
    if (typeof value === "number") return this.user_ids.has(String(value));
    if (Array.isArray(value)) return value.some((item) => this.isInValue(item));
    if (value === null || typeof value !== "object") return false;
    return Object.entries(value).some(([name, item]) => this.user_ids.has(name) || this.isInValue(item));
  }

  /** A record's text without the ids: as whole values in JSON, and as words in other text, if they are telling. */
  redact({ text, json }: { readonly text: string; readonly json: boolean }): string {
    if (!json) return this.redactWords(text);
    const value = tryParseJson(text);
    return value === undefined ? this.redactWords(text) : JSON.stringify(this.redactValue(value as Json));
  }

  private redactWords(text: string): string {
    return this.tellingWords === null ? text : text.replace(this.tellingWords, ERASED);
  }

  private redactValue(value: Json): Json {
    if (typeof value === "string") {
      return this.user_ids.has(value.trim()) ? ERASED : this.redactWords(value);
    }
    if (typeof value === "number") return this.user_ids.has(String(value)) ? ERASED : value;
    if (Array.isArray(value)) return value.map((item) => this.redactValue(item));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(
      Object.entries(value).map(([name, item]) => [this.redactValue(name) as string, this.redactValue(item)]),
    );
  }
}

/** Matches these texts where no letter, digit or underscore touches them. */
function wordsOf(texts: readonly string[]): RegExp {
  const longestFirst = [...texts].sort((a, b) => b.length - a.length);
  const any = longestFirst.map((text) => text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&")).join("|");
  return new RegExp(`(?<![\\p{L}\\p{N}_])(?:${any})(?![\\p{L}\\p{N}_])`, "gu");
}

/** JSON escapes of a text that is cut or broken, replaced one by one. */
function unescaped(text: string): string {
  return text.replace(/\\u([0-9a-f]{4})/gi, (_, hex) => String.fromCharCode(parseInt(hex, 16)))
    .replace(/\\(["\\/])/g, "$1");
}

const QUOTED = /"([^"\\]*(?:\\.[^"\\]*)*)"/g;
const WORD = /[\p{L}\p{N}_](?:[\p{L}\p{N}_.@:+-]*[\p{L}\p{N}_])?/gu;

/** What in a row, whatever its shape, may be a user's id: each value and name of JSON, each word and quoted part of other text. */
export function possibleIds(row: string): string[] {
  const value = tryParseJson(row);
  if (value !== undefined) return [...valuesOf(value as Json)];
  const quoted = [...row.matchAll(QUOTED)].map(([, text]) => unescaped(text!).trim());
  return [...quoted, ...[...row.matchAll(WORD)].map(([word]) => word)];
}

function* valuesOf(value: Json): Generator<string> {
  if (typeof value === "string") yield value.trim();
  else if (typeof value === "number") yield String(value);
  else if (Array.isArray(value)) { for (const item of value) yield* valuesOf(item); }
  else if (value !== null && typeof value === "object") {
    for (const [name, item] of Object.entries(value)) {
      yield name;
      yield* valuesOf(item);
    }
  }
}
