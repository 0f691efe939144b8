import { z } from "../../deps.ts";
import { KINDS } from "../core/types.ts";
import type { TaskOutput } from "../stores/runs/port.ts";
import { type Anomaly, SEVERITIES, type Subject, UNITS } from "./anomaly.ts";
import { findIncidents } from "./incidents.ts";
import { MAX_RUNS, type WatchedDag, type WatchedRuns } from "./run_history.ts";

/** The task whose output holds what was found before a publish. */
export const CHECK_TASK = "check";

const SUBJECT: z.ZodType<Subject> = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("dag"), dag_id: z.string() }),
  z.object({ kind: z.literal("task"), dag_id: z.string(), task_id: z.string() }),
  z.object({ kind: z.literal("store"), store: z.string() }),
  z.object({ kind: z.literal("source"), rows: z.enum(KINDS), path: z.string() }),
  z.object({ kind: z.literal("engagement"), measure: z.string() }),
  z.object({ kind: z.literal("api"), measure: z.string() }),
]);
const FINDING: z.ZodType<Anomaly> = z.object({
  code: z.string(),
  severity: z.enum(SEVERITIES),
  subject: SUBJECT,
  figure: z.number(),
  expected: z.number(),
  unit: z.enum(UNITS),
  since: z.string(),
  run_id: z.string().nullable(),
  text: z.string(),
  cause: z.string().exactOptional(),
  history: z.array(z.number()).exactOptional(),
  usual: z.tuple([z.number(), z.number()]).readonly().exactOptional(),
  until: z.string().exactOptional(),
});
/** An output of other words, such as another Parley's, holds no findings. */
const OUTPUT = z.object({ findings: z.array(FINDING) }).catch({ findings: [] });

/** What the checks of one dag recorded. */
interface CheckResults {
  /** What the newest check found of the stores, which are so until another one looks. */
  readonly stores: readonly Anomaly[];
  /** What it found of the stages of its own run. */
  readonly stages: readonly Anomaly[];
  /** What earlier checks found and the next one did not, each with since when and until when. */
  readonly past: readonly Anomaly[];
}

export async function readCheckResults(
  runs: Pick<WatchedRuns, "outputs">,
  { id, tasks }: WatchedDag,
  since: string,
): Promise<CheckResults> {
  if (!tasks.some((task) => task.id === CHECK_TASK)) return { stores: [], stages: [], past: [] };
  const newestFirst = await runs.outputs({ dag_id: id, task_id: CHECK_TASK, since, limit: MAX_RUNS });
  const { open, past } = findIncidents(newestFirst.reverse(), {
    at: ({ ended_at, created_at }) => ended_at ?? created_at,
    judge: (upTo) => findingsOf(upTo.at(-1)!),
  });
  const ofStore = ({ subject }: Anomaly) => subject.kind === "store";
  return { stores: open.filter(ofStore), stages: open.filter((one) => !ofStore(one)), past };
}

function findingsOf({ output, run_id }: TaskOutput): Anomaly[] {
  return OUTPUT.parse(output).findings.map((one) => ({ ...one, run_id }));
}
