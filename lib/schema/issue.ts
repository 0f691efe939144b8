import type { z } from "../../deps.ts";

const MAX_ISSUES = 5;

type Complaint = { readonly error: (issue: { readonly input?: unknown }) => string };

/** What a schema says of a value of the wrong type, never quoting the value. */
export function expected(what: string): Complaint {
  return { error: (issue) => issue.input === undefined ? "is missing" : `must be ${what}` };
}

/** One line for a refused row: `field complaint; field complaint`. */
export function reasonOf(error: z.ZodError): string {
  const told = error.issues.slice(0, MAX_ISSUES).map((issue) => `${issue.path.join(".")} ${issue.message}`);
  const more = error.issues.length - told.length;
  return more > 0 ? `${told.join("; ")}; and ${more} more` : told.join("; ");
}
