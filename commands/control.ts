import type { Config } from "../lib/config.ts";
import { iso } from "../lib/core/clock.ts";
import { ParleyError } from "../lib/core/errors.ts";
import { notifiersOf } from "../lib/notifications/sinks.ts";
import { dagOf, snapshotOf, withRuns } from "./inspect.ts";
import { EXIT } from "./exit.ts";

/** Asks a run to stop; a queued one is over at once, a running one as soon as its process hears of it. */
export function cancelRun(config: Config, run_id: string, options: { json: boolean }): Promise<number> {
  return withRuns(config, async (runs) => {
    const { run: { state } } = await snapshotOf(runs, run_id);
    const isRequested = await runs.requestCancel({ run_id });
    const line = isRequested
      ? `run ${run_id} is being cancelled`
      : `run ${run_id} has already ended: ${state}`;
    console.log(options.json ? JSON.stringify({ run_id, asked: isRequested }) : line);
    return EXIT.ok;
  });
}

/** Pauses or resumes a dag's schedule. Runs in progress continue. */
export async function setPaused(
  config: Config,
  id: string,
  paused: boolean,
  options: { json: boolean },
): Promise<number> {
  const { id: dag_id } = await dagOf(config, id);
  return await withRuns(config, async (runs) => {
    await runs.setPaused({ dag_id, paused });
    const line = `${dag_id} is ${paused ? "paused: its schedule creates no runs" : "on schedule again"}`;
    console.log(options.json ? JSON.stringify({ dag_id, paused }) : line);
    return EXIT.ok;
  });
}

const UNITS: Readonly<Record<string, number>> = { d: 86_400_000, h: 3_600_000, m: 60_000 };

/**
 * Removes the records of ended runs that are older than `30d`, `12h` or `5m`, but for those that a lineage sink has yet
 * to hear of, and notifications of that age that every sink has.
 */
export function pruneRuns(config: Config, options: { olderThan: string; json: boolean }): Promise<number> {
  const [, n, unit] = /^(\d+)([dhm])$/.exec(options.olderThan) ?? [];
  if (n === undefined || unit === undefined) {
    throw new ParleyError("invalid", `"${options.olderThan}" is not an age: write 30d, 12h or 5m`);
  }
  return withRuns(config, async (runs) => {
    const before = iso(Date.now() - Number(n) * UNITS[unit]!);
    const sinks = notifiersOf(config.notify).map(({ sink }) => sink);
    const removed = await runs.prune({ before, keep_unsent: config.lineage !== null, sinks });
    console.log(options.json ? JSON.stringify({ removed }) : `${removed} runs removed`);
    return EXIT.ok;
  });
}
