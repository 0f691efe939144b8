import type { Config } from "../lib/config.ts";
import { iso } from "../lib/core/clock.ts";
import { ParleyError } from "../lib/core/errors.ts";
import { dagOf, snapshotOf, withRuns } from "./inspect.ts";
import { EXIT } from "./exit.ts";

/** Asks a run to stop; a queued one is over at once, a running one as soon as its process hears of it. */
export function cancelRun(config: Config, run_id: string): Promise<number> {
  return withRuns(config, async (runs) => {
    const { run } = await snapshotOf(runs, run_id);
    const asked = await runs.requestCancel({ run_id });
    console.log(asked ? `run ${run_id} is being cancelled` : `run ${run_id} is over already: ${run.state}`);
    return EXIT.ok;
  });
}

/** Stops a dag's schedule, or lets it go on. Runs under way are not touched. */
export function setPaused(config: Config, dag_id: string, paused: boolean): Promise<number> {
  const dag = dagOf(config, dag_id);
  return withRuns(config, async (runs) => {
    await runs.setPaused({ dag_id: dag.id, paused });
    console.log(`${dag.id} is ${paused ? "paused: its schedule makes no runs" : "on schedule again"}`);
    return EXIT.ok;
  });
}

const UNITS: Readonly<Record<string, number>> = { d: 86_400_000, h: 3_600_000, m: 60_000 };

/** Removes the records of ended runs that are older than `30d`, `12h` or `5m`. */
export function pruneRuns(config: Config, age: string): Promise<number> {
  const [, n, unit] = /^(\d+)([dhm])$/.exec(age) ?? [];
  if (n === undefined || unit === undefined) {
    throw new ParleyError("invalid", `"${age}" is not an age: write 30d, 12h or 5m`);
  }
  return withRuns(config, async (runs) => {
    const gone = await runs.prune({ before: iso(Date.now() - Number(n) * UNITS[unit]!) });
    console.log(`${gone} runs removed`);
    return EXIT.ok;
  });
}
