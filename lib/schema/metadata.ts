import { Buffer, z } from "../../deps.ts";
import { canonicalJson } from "../core/json.ts";
import type { Json, JsonObject } from "../core/types.ts";
import { refuse } from "./issues.ts";
import { storable } from "./text.ts";

const MAX_BYTES = 65_536;
const MAX_DEPTH = 32;

type Fields = { readonly [key: string]: unknown };

/**
 * The other fields of a row: an object of at most 64 KiB as JSON and 32 levels. Keys are in code-unit order and text is
 * storable, so that equal values have equal JSON.
 */
export const metadata = z.unknown().meta({ type: ["object", "null"], additionalProperties: true }).transform(
  (value, context) => {
    if (value === null) return null;
    if (!isObject(value)) return refuse(context, "must be an object");
    const clean = normalize(value as Json, 0);
    if (clean === undefined) return refuse(context, `is nested deeper than ${MAX_DEPTH} levels`);
    if (Buffer.byteLength(JSON.stringify(clean)) > MAX_BYTES) {
      return refuse(context, "is above 64 KB as JSON");
    }
    return clean as JsonObject;
  },
).optional();

export function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Undefined if it is nested too deeply. */
function normalize(value: Json, depth: number): Json | undefined {
  if (typeof value === "string") return storable(value);
  // JSON would make null of it.
  if (typeof value === "number" && !Number.isFinite(value)) return String(value);
  if (typeof value !== "object" || value === null) return value;
  if (depth === MAX_DEPTH) return undefined;
  if (Array.isArray(value)) return allDefined(value.map((item) => normalize(item, depth + 1)));
  const fields = Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1);
  const normalized = allDefined(fields.map(([, field]) => normalize(field, depth + 1)));
  return normalized && Object.fromEntries(normalized.map((field, n) => [storable(fields[n]![0]), field]));
}

function allDefined(values: (Json | undefined)[]): Json[] | undefined {
  return values.includes(undefined) ? undefined : values as Json[];
}

/**
 * The row with its unknown top-level fields moved into `metadata`, so that nothing is lost; null if `metadata` has such a field
 * already with another value.
 */
export function foldUnknown(row: Fields, fieldNames: ReadonlySet<string>): Fields | null {
  const unknown = Object.keys(row).filter((key) => !fieldNames.has(key));
  const existing = row["metadata"] ?? {};
  if (unknown.length === 0 || !isObject(existing)) return row;
  if (unknown.some((key) => Object.hasOwn(existing, key) && differs(row[key], existing[key]))) return null;
  return {
    ...row,
    metadata: Object.fromEntries([...Object.entries(existing), ...unknown.map((key) => [key, row[key]])]),
  };
}

function differs(a: unknown, b: unknown): boolean {
  return canonicalJson(a as Json) !== canonicalJson(b as Json);
}
