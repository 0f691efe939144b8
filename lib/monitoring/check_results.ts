import type { TaskOutput } from "../stores/runs/port.ts";
import type { Anomaly } from "./anomaly.ts";
import { findIncidents } from "./incidents.ts";
import type { WatchedDag, WatchedRuns } from "./run_history.ts";
import { CHECK_OUTPUT, outputsOf } from "./task_outputs.ts";

/** An output of other words, such as another Parley's, holds no findings. */
const FINDINGS = CHECK_OUTPUT.pick({ findings: true }).catch({ findings: [] });

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
  dag: WatchedDag,
  since: string,
): Promise<CheckResults> {
  const newestFirst = await outputsOf(runs, dag, { role: "check", since });
  const { open, past } = findIncidents(newestFirst.reverse(), {
    at: ({ ended_at, created_at }) => ended_at ?? created_at,
    judge: (upTo) => findingsOf(upTo.at(-1)!),
  });
  const ofStore = ({ subject }: Anomaly) => subject.kind === "store";
  return { stores: open.filter(ofStore), stages: open.filter((one) => !ofStore(one)), past };
}

function findingsOf({ output, run_id }: TaskOutput): Anomaly[] {
  return FINDINGS.parse(output).findings.map((one) => ({ ...one, run_id }));
}
