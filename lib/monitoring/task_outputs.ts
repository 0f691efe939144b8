import { z } from "../../deps.ts";
import { KINDS } from "../core/types.ts";
import type { TaskOutput } from "../stores/runs/port.ts";
import { ANOMALY } from "./anomaly.ts";
import { MAX_RUNS, type WatchedDag, type WatchedRuns } from "./run_history.ts";

/** What a task is to monitoring, as its definition says: whatever the task's id, it leaves the output of its role. */
type TaskRole = "ingest" | "classify" | "check" | "evaluate";

const PATH = z.object({ kind: z.enum(KINDS), path: z.string() });

/** Of the role `ingest`: what was read. Together, `given` and `failed` say what could be read and what could not. */
export const INGEST_OUTPUT = z.object({
  /** Sources that were new or changed. Their rows are without blank lines. */
  sources: z.array(z.object({ kind: z.enum(KINDS), uri: z.string(), rows: z.number() })).readonly(),
  /** All paths that the run was to read. */
  given: z.array(PATH).readonly(),
  failed: z.array(PATH.extend({ error: z.string() })).readonly(),
  /** Messages keep intents of a catalogue that is no longer set. Absent if not. */
  old_intents: z.literal(true).exactOptional(),
});

/** Of the role `classify`: how many messages were classified, and how many of them were out of scope. */
export const CLASSIFY_OUTPUT = z.object({
  /** Null if there is no catalogue. */
  classifier: z.string().nullable(),
  classified: z.number(),
  out_of_scope: z.number(),
});

/** Of the role `check`: what was found before a publish. */
export const CHECK_OUTPUT = z.object({
  findings: z.array(ANOMALY).readonly(),
  /** What the stores held, for the next check to compare with. */
  survey: z.object({
    /** Rows by what they are: those of which a loss would be a fault. */
    counts: z.record(z.string(), z.number()),
    /** All that each store counts, by its name. Absent in surveys of an older Parley. */
    stores: z.record(z.string(), z.record(z.string(), z.number())).exactOptional(),
    model: z.string().nullable(),
    /** Mean of a sample of profiles, to four decimals; null with too few of them. */
    centre: z.array(z.number()).nullable(),
  }),
});

/** A value with its 95 % interval. */
const INTERVAL = z.object({ mean: z.number(), low: z.number(), high: z.number() });

/** Of the role `evaluate`: the main results of an evaluation; its whole report is an artifact. */
export const EVALUATION_OUTPUT = z.object({
  /** The artifact's URI. */
  report: z.string(),
  split: z.string(),
  queries: z.number(),
  /** The method that is Parley's own. */
  subject: z.string(),
  methods: z.array(z.object({
    method: z.string(),
    ndcg_10: INTERVAL,
    recall_10: INTERVAL,
    coverage: z.number(),
    /** Paired differences of NDCG@10 to other methods, by name. */
    against: z.record(z.string(), INTERVAL),
    by_kind: z.array(z.object({ kind: z.string(), queries: z.number(), ndcg_10: z.number() })).readonly(),
  })).readonly(),
  /** How much NDCG@10 changes without a source: a paired difference, below 0 if the source helps. */
  ablation: z.array(z.object({ without: z.string(), ndcg_10: INTERVAL })).readonly(),
  /** The weights of sources that were chosen for each group of users on the queries of the others. */
  chosen_weights: z.array(z.object({ queries: z.number(), weights: z.record(z.string(), z.number()) }))
    .readonly(),
});
export type EvaluationOutput = z.output<typeof EVALUATION_OUTPUT>;

/** The dag's task of this role, of which it has one at most. */
export function taskOf<Task extends { readonly role?: string }>(
  { tasks }: { readonly tasks: readonly Task[] },
  role: TaskRole,
): Task | undefined {
  return tasks.find((task) => task.role === role);
}

/** What the dag's task of this role left in runs since then, newest first; none if the dag has no such task. */
export async function outputsOf(
  runs: Pick<WatchedRuns, "outputs">,
  dag: WatchedDag,
  { role, since, limit = MAX_RUNS }: { role: TaskRole; since: string; limit?: number },
): Promise<TaskOutput[]> {
  const task = taskOf(dag, role);
  return task === undefined ? [] : await runs.outputs({ dag_id: dag.id, task_id: task.id, since, limit });
}
