import type { Json } from "./types.ts";

/** Outside of text: sixteen digits in a row, or an exponent that may be beyond a double's. */
const MAY_LOSE_DIGITS = /[:[,]\s*-?(?:\d{16}|[\d.]+[eE]\+?\d{3})/;
const WHOLE = /^-?\d+$/;

/**
 * `JSON.parse`, but a whole number that a double cannot hold exactly, and one beyond all doubles, become their text. Decimals are rounded as always.
 *
 * @throws `SyntaxError` for text that is no JSON.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { parseJson } from "./json.ts";
 *
 * assert.deepEqual(parseJson('{"id":9007199254740993}'), { id: "9007199254740993" });
 * ```
 */
export function parseJson(text: string): unknown {
  return MAY_LOSE_DIGITS.test(text) ? JSON.parse(text, exact) : JSON.parse(text);
}

/** {@link parseJson}; undefined for text that is no JSON. The parser's own message quotes the text, which must not travel. */
export function tryParseJson(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}

function exact(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
  const source = context?.source ?? String(value);
  return WHOLE.test(source) || !Number.isFinite(value) ? source : value;
}

/**
 * JSON with keys in code-unit order and no white space: equal values give equal text.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { canonicalJson } from "./json.ts";
 *
 * assert.equal(canonicalJson({ b: 1, a: [2] }), '{"a":[2],"b":1}');
 * ```
 */
export function canonicalJson(value: Json): string {
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  const object = value as { readonly [key: string]: Json };
  const fields = Object.keys(object).sort().map((key) =>
    `${JSON.stringify(key)}:${canonicalJson(object[key]!)}`
  );
  return `{${fields.join(",")}}`;
}
