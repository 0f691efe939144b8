import { sha256 } from "../core/hash.ts";
import { z } from "../../deps.ts";
import { messageOf, ParleyError } from "../core/errors.ts";
import { canonicalJson } from "../core/json.ts";

/** An intent of the catalogue. */
interface CatalogueIntent {
  readonly intent: string;
  readonly description: string;
  readonly examples: readonly string[];
}

/** The intents that messages are classified into. */
export interface Catalogue {
  readonly intents: readonly CatalogueIntent[];
  /** First 16 hex digits of the SHA-256 of its content, whatever the order of intents and examples. */
  readonly version: string;
}

/** With fewer than three, none could be withheld to learn what is out of scope. */
const MIN_INTENTS = 3;
const MAX_INTENTS = 500;
const MIN_EXAMPLES = 3;
export const MAX_EXAMPLES = 200;
/** Examples in all, which bounds the memory and time of learning: of the catalogue, and of labelled messages. */
export const MAX_TOTAL_EXAMPLES = 20_000;
const MAX_PROBLEMS = 10;

const words = (max: number) =>
  z.string("must be a string").trim().min(1, "is blank").max(max, `is longer than ${max} characters`);
const Entry = z.strictObject({
  intent: words(256),
  description: words(2_000).or(z.literal("")).default(""),
  examples: z.array(words(4_000), "must be a list of texts")
    .min(MIN_EXAMPLES, `has fewer than ${MIN_EXAMPLES} examples; five or more are better`)
    .max(MAX_EXAMPLES, `has more than ${MAX_EXAMPLES} examples`),
}, {
  error: (issue) =>
    issue.code === "unrecognized_keys" ? `has unknown fields: ${issue.keys.join(", ")}` : undefined,
});
const Entries = z.array(Entry, "must be a JSON array of intents")
  .min(MIN_INTENTS, `has fewer than ${MIN_INTENTS} intents`)
  .max(MAX_INTENTS, `has more than ${MAX_INTENTS} intents`)
  .refine((all) => all.reduce((sum, { examples }) => sum + examples.length, 0) <= MAX_TOTAL_EXAMPLES, {
    error: `has more than ${MAX_TOTAL_EXAMPLES} examples in all`,
  });

/** Parses the text of `intents.json`; throws one `invalid` that lists what is wrong. `source` is its path. */
export function parseCatalogue(options: { text: string; source: string }): Catalogue {
  const parsed = Entries.safeParse(jsonOf(options));
  const problems = parsed.success
    ? duplicates(parsed.data)
    : parsed.error.issues.map(({ path, message }) => `${locationOf(path)}${message}`);
  if (problems.length > 0) {
    const more = problems.length - MAX_PROBLEMS;
    const list = [...problems.slice(0, MAX_PROBLEMS), ...more > 0 ? [`and ${more} more`] : []];
    throw new ParleyError("invalid", `the catalogue ${options.source} cannot be used: ${list.join("; ")}`);
  }
  const intents = parsed.data!;
  return { intents, version: versionOf(intents) };
}

function jsonOf({ text, source }: { text: string; source: string }): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ParleyError("invalid", `the catalogue ${source} is not JSON: ${messageOf(error)}`);
  }
}

/** `item 2, examples 3: `, counted from 1. */
function locationOf(path: readonly PropertyKey[]): string {
  const names = path.map((key) => typeof key === "number" ? String(key + 1) : String(key));
  if (names.length === 0) return "it ";
  const [item, field, example] = names;
  return `item ${item}${field === undefined ? "" : `, ${field}`}${
    example === undefined ? "" : ` ${example}`
  } `;
}

function duplicates(intents: readonly CatalogueIntent[]): string[] {
  const problems: string[] = [];
  const names = new Set<string>();
  const owners = new Map<string, string>();
  for (const { intent, examples } of intents) {
    if (names.has(intent)) problems.push(`the intent ${intent} is defined twice`);
    names.add(intent);
    examples.forEach((example, n) => {
      const owner = owners.get(example);
      if (owner !== undefined) {
        problems.push(`example ${n + 1} of ${intent} is an example of ${owner} already`);
      }
      owners.set(example, intent);
    });
  }
  return problems;
}

function versionOf(intents: readonly CatalogueIntent[]): string {
  const content = intents.map(({ intent, examples }) => ({ intent, examples: [...examples].sort() }))
    .sort((a, b) => a.intent < b.intent ? -1 : 1);
  return sha256(canonicalJson(content)).slice(0, 16);
}
