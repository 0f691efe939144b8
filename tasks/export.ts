import { z } from "../deps.ts";
import { defineDag } from "../lib/dag/define.ts";
import { EXPORT_FORMATS } from "../lib/exports/answer_lines.ts";
import { startTime } from "../lib/schema/time.ts";
import type { Services } from "./services.ts";
import { step } from "./step.ts";
import { exportAnswers as run } from "./steps/export.ts";

const since = z.string().default("").superRefine((text, context) => {
  const problem = text === "" ? null : startTime.safeParse(text).error?.issues[0]?.message;
  if (problem) context.addIssue({ code: "custom", message: problem });
});

/** The answers for all users, as a file. Its params name no path, so that a run over HTTP can write to no other place. */
export function exportAnswers() {
  return defineDag<Services>({
    id: "export",
    doc: "Writes the answers for all users to a file in the folder of exports; changes no data.",
    params: z.object({
      format: z.enum(EXPORT_FORMATS).default("ndjson").describe("a line for each answer, or for each item"),
      k: z.int().min(1).max(100).default(10).describe("the most items of an answer"),
      active_since: since.describe("only users with a message or an event since this day or time"),
    }),
    remote: { format: "any", k: "any", active_since: "any" },
    // It continues from its checkpoint: a shutdown need not wait.
    tasks: [{ id: "export", doc: "answers to a file", ...step(run), grace_ms: 0 }],
  });
}
