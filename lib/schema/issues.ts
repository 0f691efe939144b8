import { z } from "../../deps.ts";

const MAX_ISSUES = 5;

type IssueMessage = { readonly error: (issue: { readonly input?: unknown }) => string };

/** The message for a value of the wrong type, which never quotes the value. */
export function expected(type: string): IssueMessage {
  return { error: (issue) => issue.input === undefined ? "is missing" : `must be ${type}` };
}

/** One line for a refused row: `field complaint; field complaint`. */
export function describeIssues(error: z.ZodError): string {
  const shown = error.issues.slice(0, MAX_ISSUES).map((issue) =>
    `${issue.path.join(".")} ${issue.message}`.trimStart()
  );
  const more = error.issues.length - shown.length;
  return more > 0 ? `${shown.join("; ")}; and ${more} more` : shown.join("; ");
}

/** Says why a value is refused, inside a zod transform. */
export function refuse(context: z.RefinementCtx, problem: string): never {
  context.addIssue({ code: "custom", message: problem });
  return z.NEVER;
}
