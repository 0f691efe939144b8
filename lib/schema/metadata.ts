import { Buffer, z } from "../../deps.ts";
import { canonicalJson } from "../core/json.ts";
import type { Json, JsonObject } from "../core/types.ts";
import { refuse, storable } from "./text.ts";

const MAX_BYTES = 65_536;
const MAX_DEPTH = 32;

type Fields = { readonly [key: string]: unknown };

/**
 * Anything else that a row says: an object of at most 64 KiB as JSON and 32 levels, with its keys in code-unit order
 * and its text storable, so that rows which mean the same read the same.
 */
export const metadata = z.unknown().meta({ type: ["object", "null"] }).transform((value, context) => {
  if (value === null) return null;
  if (!isObject(value)) return refuse(context, "must be an object");
  const clean = tidy(value as Json, 0);
  if (clean === undefined) return refuse(context, `is nested deeper than ${MAX_DEPTH} levels`);
  if (Buffer.byteLength(JSON.stringify(clean)) > MAX_BYTES) return refuse(context, "is above 64 KB as JSON");
  return clean as JsonObject;
}).optional();

export function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Undefined when it is nested too deeply. */
function tidy(value: Json, depth: number): Json | undefined {
  if (typeof value === "string") return storable(value);
  // JSON would make null of it.
  if (typeof value === "number" && !Number.isFinite(value)) return String(value);
  if (typeof value !== "object" || value === null) return value;
  if (depth === MAX_DEPTH) return undefined;
  if (Array.isArray(value)) return whole(value.map((item) => tidy(item, depth + 1)));
  const fields = Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1);
  const tidied = whole(fields.map(([, field]) => tidy(field, depth + 1)));
  return tidied && Object.fromEntries(tidied.map((field, n) => [storable(fields[n]![0]), field]));
}

function whole(values: (Json | undefined)[]): Json[] | undefined {
  return values.includes(undefined) ? undefined : values as Json[];
}

/**
 * The row with its unknown top-level fields moved into `metadata`, so that nothing given is lost; null where such a
 * field stands in `metadata` already and differs.
 */
export function foldUnknown(row: Fields, known: ReadonlySet<string>): Fields | null {
  const unknown = Object.keys(row).filter((key) => !known.has(key));
  const given = row["metadata"] ?? {};
  if (unknown.length === 0 || !isObject(given)) return row;
  if (unknown.some((key) => Object.hasOwn(given, key) && differs(row[key], given[key]))) return null;
  return {
    ...row,
    metadata: Object.fromEntries([...Object.entries(given), ...unknown.map((key) => [key, row[key]])]),
  };
}

function differs(a: unknown, b: unknown): boolean {
  return canonicalJson(a as Json) !== canonicalJson(b as Json);
}
