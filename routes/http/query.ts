import type { z } from "../../deps.ts";

/** For a strict schema of query parameters: names those that it does not know. */
export const NO_OTHERS = {
  error: (issue: z.core.$ZodRawIssue) =>
    issue.code === "unrecognized_keys" ? unknown(issue.keys as string[]) : undefined,
};

function unknown(names: readonly string[]): string {
  const shown = names.slice(0, 5).map((name) => name.slice(0, 40)).join(", ");
  return `unknown query parameter${names.length === 1 ? "" : "s"}: ${shown}`;
}
