import type { Config } from "../lib/config.ts";
import { systemClock } from "../lib/core/clock.ts";
import { ParleyError } from "../lib/core/errors.ts";
import type { JsonObject } from "../lib/core/types.ts";
import {
  backfillOf,
  cancelBackfill,
  planBackfill,
  type PlannedRun,
  startBackfill,
} from "../lib/dag/backfill.ts";
import type { BackfillProgress, Reprocess } from "../lib/stores/runs/port.ts";
import { EXIT } from "./exit.ts";
import { dagOf, withRuns } from "./inspect.ts";
import { parseParam } from "./run.ts";
import { table } from "./table.ts";

interface BackfillFlags {
  readonly from: string;
  readonly to: string;
  readonly reprocess: Reprocess;
  readonly maxActive: number;
  readonly backwards: boolean;
  readonly param: readonly string[];
  readonly dryRun: boolean;
  readonly json: boolean;
}

/** Queues the runs of a dag's past days, or only shows them. */
export async function backfill(config: Config, id: string, flags: BackfillFlags): Promise<number> {
  const dag = await dagOf(config, id);
  const { from, to, reprocess, maxActive: max_active, backwards } = flags;
  const params: JsonObject = Object.fromEntries(flags.param.map(parseParam));
  const order = { from, to, reprocess, max_active, backwards, params };
  return await withRuns(config, async (runs) => {
    const options = { dag, runs, clock: systemClock, order };
    const { backfill_id, planned } = flags.dryRun
      ? { backfill_id: null, planned: await planBackfill(options) }
      : await startBackfill(options);
    if (flags.json) console.log(JSON.stringify({ backfill_id, plan: planned }));
    else printPlan(planned, flags.dryRun);
    if (backfill_id === null || flags.json) return EXIT.ok;
    const leader = await runs.leader();
    const isScheduled = leader !== null && Date.parse(leader.live_until) > Date.now();
    console.log(
      `${backfill_id} is queued; ${
        isScheduled ? "the scheduler" : "`deno task pipeline work`"
      } executes it, \`deno task pipeline backfills\` shows its progress`,
    );
    return EXIT.ok;
  });
}

function printPlan(planned: readonly PlannedRun[], isDry: boolean): void {
  const rows = planned.map((
    { logical_date, action, state, run_id },
  ) => [logical_date, action, state ?? "", run_id]);
  if (isDry) {
    for (const line of table(["logical date", "action", "is", "run"], rows, 4)) console.log(line.trimEnd());
  }
  const counted = (action: PlannedRun["action"]) => planned.filter((one) => one.action === action).length;
  console.log(
    `${counted("create")} new, ${counted("run again")} again, ${counted("leave")} left as they are` +
      (isDry ? "; nothing is queued in a dry run" : ""),
  );
}

/** The newest backfills, or one, with their progress. */
export function listBackfills(
  config: Config,
  options: { dag?: string; limit: number; json: boolean },
): Promise<number> {
  return withRuns(config, async (runs) => {
    const { dag: dag_id, limit } = options;
    const backfills = await runs.backfills({ ...dag_id !== undefined && { dag_id }, limit });
    if (options.json) console.log(JSON.stringify({ backfills }));
    else if (backfills.length === 0) {
      console.log("There is no backfill; `deno task pipeline backfill DAG --from DAY --to DAY` starts one.");
    } else for (const line of table(HEAD, backfills.map(cells), 4)) console.log(line.trimEnd());
    return EXIT.ok;
  });
}

const HEAD = ["backfill", "from", "to", "state", "queued", "running", "success", "failed", "cancelled"];

function cells({ backfill_id, from_day, to_day, cancelled_at, runs }: BackfillProgress): string[] {
  const [open, over] = cancelled_at === null ? ["in progress", "done"] : ["ending", "cancelled"];
  const state = runs.queued + runs.running > 0 ? open : over;
  const { queued, running, success, failed, cancelled } = runs;
  return [backfill_id, from_day, to_day, state, ...[queued, running, success, failed, cancelled].map(String)];
}

export function endBackfill(
  config: Config,
  backfill_id: string,
  options: { json: boolean },
): Promise<number> {
  return withRuns(config, async (runs) => {
    const cancelled = await cancelBackfill({ runs, clock: systemClock, backfill_id });
    if (cancelled === 0) throw new ParleyError("conflict", `all runs of ${backfill_id} have ended`);
    const backfill = await backfillOf(runs, backfill_id);
    console.log(
      options.json ? JSON.stringify(backfill) : `${cancelled} runs of ${backfill_id} are being cancelled`,
    );
    return EXIT.ok;
  });
}
