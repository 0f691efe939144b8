import { z } from "../../deps.ts";
import type { TaskOutput } from "../stores/runs/port.ts";
import { type Anomaly, SEVERITIES, type Subject, subjectName } from "./anomaly.ts";
import { MAX_RUNS, type WatchedDag, type WatchedRuns } from "./watched.ts";

/** The task whose output holds what was found before a publish. */
export const CHECK_TASK = "check";

const SUBJECT: z.ZodType<Subject> = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("dag"), dag_id: z.string() }),
  z.object({ kind: z.literal("task"), dag_id: z.string(), task_id: z.string() }),
  z.object({ kind: z.literal("store"), store: z.string() }),
  z.object({ kind: z.literal("engagement"), measure: z.string() }),
  z.object({ kind: z.literal("api"), measure: z.string() }),
]);
const FINDING: z.ZodType<Anomaly> = z.object({
  code: z.string(),
  severity: z.enum(SEVERITIES),
  subject: SUBJECT,
  figure: z.number(),
  expected: z.number(),
  unit: z.enum(["rows", "ms", "share", "runs", "attempts", "events", "score"]),
  since: z.string(),
  run_id: z.string().nullable(),
  text: z.string(),
  history: z.array(z.number()).exactOptional(),
  until: z.string().exactOptional(),
});
/** An output of other words, such as another Parley's, holds no findings. */
const OUTPUT = z.object({ findings: z.array(FINDING) }).catch({ findings: [] });

/**
 * What the checks of one dag recorded: `open` is what the newest of them found about the stores, `past` what earlier ones
 * found and the next one did not, newest first, each from when it was first found until when it no longer was.
 */
export async function recordedFindings(
  runs: Pick<WatchedRuns, "outputs">,
  { id, tasks }: WatchedDag,
  since: string,
): Promise<{ open: Anomaly[]; past: Anomaly[] }> {
  if (!tasks.some((task) => task.id === CHECK_TASK)) return { open: [], past: [] };
  const newestFirst = await runs.outputs({ dag_id: id, task_id: CHECK_TASK, since, limit: MAX_RUNS });
  return streaks(newestFirst.reverse());
}

/** Oldest first. The same code about the same subject in consecutive checks is one anomaly. */
function streaks(outputs: readonly TaskOutput[]): { open: Anomaly[]; past: Anomaly[] } {
  const open = new Map<string, Anomaly>();
  const past: Anomaly[] = [];
  for (const { output, run_id, ended_at, created_at } of outputs) {
    const at = ended_at ?? created_at;
    const found = new Map(
      OUTPUT.parse(output).findings.map((one) => [`${one.code} ${subjectName(one.subject)}`, one]),
    );
    for (const [name, one] of open) {
      if (found.has(name)) continue;
      past.push({ ...one, until: at });
      open.delete(name);
    }
    for (const [name, one] of found) {
      open.set(name, { ...one, run_id, since: open.get(name)?.since ?? one.since });
    }
  }
  // What the newest check saw of its own run's stages, the history of that run tells better.
  const current = [...open.values()].filter(({ subject }) => subject.kind === "store");
  return { open: current, past: past.reverse() };
}
