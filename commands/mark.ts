import type { Config } from "../lib/config.ts";
import { systemClock } from "../lib/core/clock.ts";
import { counted } from "../lib/core/text.ts";
import { type ClearOrder, clearRuns, runsToClear } from "../lib/dag/clear_runs.ts";
import { type Mark, markRun } from "../lib/dag/mark.ts";
import { acknowledger } from "../lib/monitoring/acknowledge.ts";
import { allDags } from "./engine.ts";
import { EXIT } from "./exit.ts";
import { dagOf, withRuns } from "./inspect.ts";

/** Marks an ended run, or one of its tasks, as successful or failed. */
export async function mark(
  config: Config,
  run_id: string,
  state: Mark,
  options: { task?: string; note: string; by: string; json: boolean },
): Promise<number> {
  const { dags } = await allDags(config);
  const { task, note } = options;
  const by = acknowledger({ name: options.by, key: null });
  return await withRuns(config, async (runs) => {
    await markRun({
      dags,
      runs,
      clock: systemClock,
      run_id,
      state,
      by,
      note,
      ...task !== undefined && { task },
    });
    const run = (await runs.snapshot({ run_id }))!.run;
    const what = task === undefined ? `run ${run_id}` : `task ${task} of run ${run_id}`;
    const next = run.state === "queued" ? "; what did not run because of it is queued" : "";
    console.log(
      options.json
        ? JSON.stringify({ run_id, task_id: task ?? null, state: run.state })
        : `${what} is marked as ${state} by ${by}${next}`,
    );
    return EXIT.ok;
  });
}

interface ClearFlags {
  readonly state: readonly ClearOrder["states"][number][];
  readonly from?: string;
  readonly to?: string;
  readonly allTasks: boolean;
  readonly maxActive: number;
  readonly note: string;
  readonly by: string;
  readonly dryRun: boolean;
  readonly json: boolean;
}

/** Runs what failed in many runs of a dag again, or only shows the runs. */
export async function clear(config: Config, id: string, flags: ClearFlags): Promise<number> {
  const dag = await dagOf(config, id);
  const { from, to, note, json } = flags;
  const order: ClearOrder = {
    states: flags.state.length === 0 ? ["failed"] : flags.state,
    ...from !== undefined && { from },
    ...to !== undefined && { to },
    all_tasks: flags.allTasks,
    max_active: flags.maxActive,
    by: acknowledger({ name: flags.by, key: null }),
    note,
  };
  return await withRuns(config, async (runs) => {
    const options = { dag, runs, clock: systemClock, order };
    const { backfill_id, run_ids } = flags.dryRun
      ? { backfill_id: null, run_ids: (await runsToClear(options)).map(({ run_id }) => run_id) }
      : await clearRuns(options);
    if (json) console.log(JSON.stringify({ backfill_id, run_ids }));
    else {
      if (flags.dryRun) { for (const run_id of run_ids) console.log(run_id); }
      console.log(
        flags.dryRun
          ? `${counted(run_ids.length, "run")} would be cleared`
          : `${counted(run_ids.length, "run")} cleared` +
            (backfill_id === null
              ? ""
              : `; \`deno task pipeline backfills\` shows their progress as ${backfill_id}`),
      );
    }
    return EXIT.ok;
  });
}
