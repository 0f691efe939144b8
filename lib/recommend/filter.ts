import {
  CelEnvironment,
  CelEvaluationError,
  type CelNode,
  CelParseError,
  LRUCache,
  serializeCel,
} from "../../deps.ts";
import { ParleyError } from "../core/errors.ts";
import type { Campaign } from "../core/types.ts";

/** Whether a campaign passes a filter. */
type CampaignFilter = (campaign: Campaign) => boolean;

export const MAX_FILTER_CHARACTERS = 500;
/** Bounds of what an expression may hold, so that its cost is a few microseconds for each campaign. */
const LIMITS = Object.freeze({
  maxAstNodes: 200,
  maxDepth: 20,
  maxListElements: 100,
  maxMapEntries: 1,
  maxCallArguments: 2,
});
/** Expressions that stay parsed. */
const MAX_PARSED = 500;

const OPERATORS = new Set(["==", "!=", "<", "<=", ">", ">=", "in", "&&", "||", "!_", "-_", ".", "[]"]);
const VALUES = new Set(["id", "value", "list"]);
/** Without `matches`, whose patterns can take very long, and macros, whose cost multiplies when they are nested. */
const FUNCTIONS = new Set(["has", "size"]);
const METHODS = new Set(["startsWith", "endsWith", "contains", "size"]);

const environment = new CelEnvironment({ unlistedVariablesAreDyn: false, limits: LIMITS })
  .registerVariable("campaign_id", "string")
  .registerVariable("title", "string")
  .registerVariable("description", "string")
  .registerVariable("category", "string")
  .registerVariable("aliases", "list<string>")
  .registerVariable("intents", "list<string>")
  .registerVariable("tags", "list<string>")
  .registerVariable("starts_at", "string")
  .registerVariable("ends_at", "string")
  .registerVariable("metadata", "map<string, dyn>");

const parsed = new LRUCache<string, CampaignFilter>({ max: MAX_PARSED });

/**
 * An expression in CEL over a campaign's fields, in which `and`, `or` and `not` may be written for `&&`, `||` and `!`. Whatever needs a
 * field that a campaign does not have, or one of another type, is false. Throws `invalid` with the place of what is wrong,
 * without quoting the expression.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { parseFilter } from "./filter.ts";
 *
 * const isCheap = parseFilter('category in ["shoes"] and metadata.price < 100');
 * const shoe = {
 *   campaign_id: "s1", title: "Shoe", description: null, aliases: [], intents: [], category: "shoes", tags: [],
 *   starts_at: null, ends_at: null, status: "active" as const, repurchase_days: null, metadata: { price: 80 },
 * };
 * assert.equal(isCheap(shoe), true);
 * assert.equal(isCheap({ ...shoe, metadata: null }), false);
 * ```
 */
export function parseFilter(text: string): CampaignFilter {
  let filter = parsed.get(text);
  if (filter === undefined) parsed.set(text, filter = parse(text));
  return filter;
}

function parse(text: string): CampaignFilter {
  if (text.length > MAX_FILTER_CHARACTERS) {
    throw new ParleyError("invalid", `filter is longer than ${MAX_FILTER_CHARACTERS} characters`);
  }
  const { source, positions } = translate(text);
  const at = (position: number | undefined) =>
    position === undefined ? "filter" : `filter, character ${(positions[position] ?? text.length) + 1}`;
  const root = attempt(at, () => environment.parse(source));
  for (const node of nodesOf(root.ast)) {
    const problem = problemOf(node);
    if (problem !== null) throw new ParleyError("invalid", `${at(node.pos)}: ${problem}`);
  }
  const { type, error } = root.check();
  if (error !== undefined) throw new ParleyError("invalid", `${at(error.range?.start)}: ${error.summary}`);
  if (type !== "bool" && type !== "dyn") {
    throw new ParleyError("invalid", `filter must be true or false, and is of the type ${type}`);
  }
  const passes = compile(root.ast);
  return (campaign) => passes(fieldsOf(campaign));
}

/** Runs the parser. Its whole message would quote the expression. */
function attempt<T>(at: (position: number | undefined) => string, body: () => T): T {
  try {
    return body();
  } catch (error) {
    if (!(error instanceof CelParseError)) throw error;
    throw new ParleyError("invalid", `${at(error.range?.start)}: ${error.summary}`);
  }
}

/** Null if the node is one of those that filters may have. */
function problemOf({ op, args }: CelNode): string | null {
  if (op === "value") {
    return typeof args === "object" && args !== null
      ? "only texts, numbers, true and false are values here"
      : null;
  }
  if (VALUES.has(op) || OPERATORS.has(op)) return null;
  const [name] = Array.isArray(args) ? args : [];
  if (op === "call") return FUNCTIONS.has(String(name)) ? null : `only ${list(FUNCTIONS)} are functions here`;
  if (op === "rcall") return METHODS.has(String(name)) ? null : `only ${list(METHODS)} are methods here`;
  return `${op.replaceAll("_", "")} is not possible here`;
}

function list(names: ReadonlySet<string>): string {
  return [...names].join(", ");
}

function* nodesOf(value: unknown): Generator<CelNode> {
  if (Array.isArray(value)) { for (const item of value) yield* nodesOf(item); }
  else if (isNode(value)) {
    yield value;
    yield* nodesOf(value.args);
  }
}

function isNode(value: unknown): value is CelNode {
  return typeof value === "object" && value !== null && "op" in value && "args" in value;
}

/** A campaign's fields as an expression sees them: what is null is missing. */
type Fields = Record<string, unknown>;

function fieldsOf({ status: _status, repurchase_days: _days, metadata, ...campaign }: Campaign): Fields {
  const given = Object.entries(campaign).filter(([, value]) => value !== null);
  return { ...Object.fromEntries(given), metadata: metadata ?? {} };
}

/**
 * `and`, `or` and `not` over parts that are each true or false, so that a missing field makes false of what needs it and not of the
 * whole.
 */
function compile({ op, args }: CelNode): (fields: Fields) => boolean {
  if (op === "&&" || op === "||") {
    const [left, right] = (args as CelNode[]).map(compile) as [CompiledPart, CompiledPart];
    return op === "&&"
      ? (fields) => left(fields) && right(fields)
      : (fields) => left(fields) || right(fields);
  }
  if (op === "!_") {
    const inner = compile(args as CelNode);
    return (fields) => !inner(fields);
  }
  return compilePart({ op, args } as CelNode);
}

type CompiledPart = (fields: Fields) => boolean;

function compilePart(node: CelNode): CompiledPart {
  const evaluate = environment.parse(serializeCel(withLiterals(node) as CelNode));
  return (fields) => {
    try {
      return evaluate(fields) === true;
    } catch (error) {
      if (error instanceof CelEvaluationError) return false;
      throw error;
    }
  };
}

/**
 * The nodes with their texts and numbers written out, in place of the library's way: that splits characters above U+FFFF, rounds to 9
 * decimal places, and writes 1e21 and more in a form that does not parse.
 */
function withLiterals(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withLiterals);
  if (!isNode(value)) return value;
  const { op, args } = value;
  if (op !== "value") return { op, args: withLiterals(args) };
  if (typeof args === "string") return { op: "id", args: JSON.stringify(args) };
  if (typeof args === "number") return { op: "id", args: /[.e]/.test(`${args}`) ? `${args}` : `${args}.0` };
  return value;
}

/** Where a list ends that has a decimal number: all its numbers must be of that type. 0 for another one. */
function endOfDecimals(text: string, start: number): number {
  const end = text.indexOf("]", start);
  return /\d\.\d|\d[eE][-+]?\d/.test(text.slice(start, end)) ? end : 0;
}

const TOKEN = /"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|&&|\|\||[\p{L}\p{N}_$]+|\s+|[^]/gsu;
const WORDS: Readonly<Record<string, string>> = { and: "&&", or: "||" };
/** What ends the operand of a `not`. */
const ENDS = new Set(["&&", "||", "?", ":", ","]);

/**
 * The expression with the signs of CEL for `and`, `or` and `not`, and for each of its characters the place in the text that it comes
 * from. `not` takes in all up to the next `and` or `or`, as in Python and SQL, while `!` takes in the next operand.
 */
function translate(text: string): { source: string; positions: number[] } {
  let [source, depth, previous, decimalsUntil] = ["", 0, "", 0];
  const positions: number[] = [];
  const open: number[] = [];
  const emit = (part: string, from: number, width: number) => {
    for (let i = 0; i < part.length; i++) positions.push(from + Math.min(i, width - 1));
    source += part;
  };
  const closeNot = (at: number) => {
    for (; open.at(-1) === depth; open.pop()) emit(")", at, 1);
  };
  for (const { 0: token, index } of text.matchAll(TOKEN)) {
    const isWord = previous !== ".";
    if (token === "[") decimalsUntil = Math.max(decimalsUntil, endOfDecimals(text, index));
    const sign = isWord && Object.hasOwn(WORDS, token) ? WORDS[token]! : token;
    if (/^["']/.test(token) && /^(["']|[rRbB]{1,2})/.test(previous)) {
      throw new ParleyError(
        "invalid",
        `filter, character ${index + 1}: write a text within one pair of quotes, without a letter before it`,
      );
    }
    if (isWord && token === "not") {
      open.push(depth);
      emit("!(", index, token.length);
    } else {
      if (ENDS.has(sign) || /^[)\]}]$/.test(sign)) closeNot(index);
      if (/^[([{]$/.test(sign)) depth++;
      if (/^[)\]}]$/.test(sign)) depth--;
      if (sign === token) {
        emit(sign, index, token.length);
        const isWhole = /^\d+$/.test(token) && previous !== "." && text[index + token.length] !== "." &&
          !/\d[eE][-+]$/.test(text.slice(0, index));
        if (isWhole && index < decimalsUntil) emit(".0", index + token.length - 1, 1);
      } else {
        emit(" ", index, 1);
        emit(sign, index, token.length);
        emit(" ", index + token.length, 1);
      }
    }
    if (!/^\s/.test(token)) previous = token;
    else if (/^["']|^[rRbB]{1,2}$/.test(previous)) previous = " ";
  }
  for (; open.length > 0; open.pop()) emit(")", text.length, 1);
  return { source, positions };
}
