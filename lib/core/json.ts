import type { Json } from "./types.ts";

/** JSON with keys in code-unit order and no white space: equal values give equal text. */
export function canonicalJson(value: Json): string {
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  const object = value as { readonly [key: string]: Json };
  const fields = Object.keys(object).sort().map((key) =>
    `${JSON.stringify(key)}:${canonicalJson(object[key]!)}`
  );
  return `{${fields.join(",")}}`;
}
