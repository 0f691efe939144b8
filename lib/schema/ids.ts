import { Buffer, hash, z } from "../../deps.ts";
import { ParleyError } from "../core/errors.ts";
import { expected, refuse } from "./issues.ts";

const MAX_ID_CHARACTERS = 256;
// deno-lint-ignore no-control-regex
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;

const CONTROLS = "\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029";
/** An id, with blanks around it, for a JSON Schema. A pattern counts characters and not UTF-16 units. */
const PATTERN = `^\\s*[^\\s${CONTROLS}]([^${CONTROLS}]{0,${MAX_ID_CHARACTERS - 2}}[^\\s${CONTROLS}])?\\s*$`;
const TEXT = z.string().meta({
  id: "Id",
  description: "1 to 256 characters without control characters.",
  pattern: PATTERN,
});
const NUMBER = z.number().meta({ type: "integer" });

/**
 * An id: 1..256 UTF-16 units after trimming, without control characters. A whole number becomes its decimal digits; one beyond
 * 2^53 has lost digits and is refused.
 */
export const id = z.union([TEXT, NUMBER], expected("a string")).transform((value, context) => {
  if (typeof value === "number") {
    if (Number.isSafeInteger(value)) return String(value);
    return refuse(context, "is not an exact whole number; write it as a string");
  }
  const trimmed = value.trim();
  const problem = idProblem(trimmed);
  return problem === null ? trimmed : refuse(context, problem);
});

/**
 * The same of text that comes in as the parameter `name` of a request.
 *
 * @throws `invalid` if it is no id.
 */
export function parseId(name: string, text: string): string {
  const trimmed = text.trim();
  const problem = idProblem(trimmed);
  if (problem !== null) throw new ParleyError("invalid", `${name} ${problem}`);
  return trimmed;
}

/** The same as a schema, for a text that comes in as the parameter `name` of a request. */
export function idText(name: string, message: string) {
  return z.string(message).trim().superRefine((text, context) => {
    const problem = idProblem(text);
    if (problem !== null) context.addIssue(`${name} ${problem}`);
  }).meta({ pattern: PATTERN });
}

function idProblem(trimmed: string): string | null {
  if (trimmed === "") return "is blank";
  if (trimmed.length > MAX_ID_CHARACTERS) return `is longer than ${MAX_ID_CHARACTERS} characters`;
  if (CONTROL.test(trimmed)) return "holds a control character";
  return trimmed.isWellFormed() ? null : "holds half a character (a lone surrogate)";
}

/** Distinct ids in the order given; absent is empty. */
export const ids = z.array(id, expected("a list")).nullish().transform((list) => [...new Set(list ?? [])]);

/**
 * The id of a row that came without one: SHA-256, in hex, over its parts in order, each written as
 * `<bytes in UTF-8>:<part>,` so that no two tuples read alike. The first part names noun and version.
 */
export function derivedId(parts: readonly string[]): string {
  return hash("sha256", parts.map((part) => `${Buffer.byteLength(part)}:${part},`).join(""), "hex");
}
