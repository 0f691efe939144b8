import { iso } from "../../../lib/core/clock.ts";
import type { Dag } from "../../../lib/dag/define.ts";
import { nextOccurrences } from "../../../lib/dag/schedule.ts";
import { type RunRecord, statusOf } from "../../../lib/stores/runs/port.ts";
import type { PageContext } from "../../http/page.ts";

/** Runs of each dag that its row shows. */
const MAX_RUNS = 14;

export interface PipelineRow {
  readonly dag: Dag<never>;
  /** Newest first. */
  readonly recent: readonly (Pick<RunRecord, "run_id"> & { readonly state: ReturnType<typeof statusOf> })[];
  readonly paused: boolean;
  /** When it is due; null without a schedule. */
  readonly next: string | null;
}

export async function readPipelines({ runs, dags }: PageContext, now: number): Promise<PipelineRow[]> {
  const paused = await runs.paused();
  return Promise.all([...dags.values()].map(async (dag) => ({
    dag,
    recent: (await runs.runs({ dag_id: dag.id, limit: MAX_RUNS }))
      .map((run) => ({ run_id: run.run_id, state: statusOf(run, now) })),
    paused: paused.includes(dag.id),
    next: nextDue(dag, now),
  })));
}

function nextDue({ schedule }: Dag<never>, now: number): string | null {
  const next = schedule === undefined ? undefined : nextOccurrences(schedule, now, 1)[0];
  return next === undefined ? null : iso(next.due);
}
