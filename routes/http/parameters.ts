import { z } from "../../deps.ts";
import { ParleyError } from "../../lib/core/errors.ts";
import { MAX_FILTER_CHARACTERS, parseFilter } from "../../lib/recommend/filter.ts";
import { idText } from "../../lib/schema/ids.ts";
import { UNKNOWN_PARAMETERS } from "./problem.ts";

/** The schema of an endpoint's query: these parameters and no others. */
export function queryOf<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.strictObject(shape, UNKNOWN_PARAMETERS);
}

/** A parameter that is an id: it is trimmed, as an import trims ids. `name` is for the error. */
export function idParameter(name: string, description: string) {
  return idText(name, `${name} must be given once`).meta({ description });
}

interface WholeNumber {
  readonly min: number;
  readonly max: number;
  readonly description: string;
  /** Without it, the parameter must be given; `.exactOptional()` makes it optional. */
  readonly default?: number;
}

/** A parameter that is a whole number in decimal digits. `name` is for the error. */
export function wholeNumber(name: string, options: WholeNumber) {
  const { min, max, description, default: fallback } = options;
  const rule = `${name} must be a whole number from ${min} to ${max}, given once`;
  const isInRange = (text: string) => /^\d{1,9}$/.test(text) && Number(text) >= min && Number(text) <= max;
  const range = { type: "integer", minimum: min, maximum: max } as const;
  const number = z.string(rule).refine(isInRange, rule).transform(Number);
  // Written out, since only the text that comes in has a JSON Schema.
  return fallback === undefined
    ? number.meta({ description, override: range })
    : number.default(fallback).meta({ description, override: { ...range, default: fallback } });
}

/** A filter expression, as `parseFilter()` takes it. */
export const filterText = z.string("filter must be a string, given once").superRefine((text, context) => {
  try {
    parseFilter(text);
  } catch (error) {
    if (!(error instanceof ParleyError)) throw error;
    context.addIssue(error.message);
  }
}).meta({
  description:
    'Only campaigns for which this expression is true, such as `category in ["shoes"] and metadata.price < 100`: ' +
    "[CEL](https://cel.dev) with `and`, `or` and `not`. What needs a field that a campaign lacks is false.",
  maxLength: MAX_FILTER_CHARACTERS,
});
