import type { Config } from "../lib/config.ts";
import { ParleyError } from "../lib/core/errors.ts";
import { FILE_MODE } from "../lib/core/modes.ts";
import { runTask } from "../lib/dag/run_task.ts";
import { executing } from "./engine.ts";
import { EXIT } from "./exit.ts";
import { parseDate } from "./run.ts";

export interface RunTaskOptions {
  readonly dag: string;
  readonly task: string;
  readonly runId: string;
  readonly attempt?: number;
  readonly mapIndex?: number;
  readonly item?: string;
  readonly from?: string;
  readonly to?: string;
  readonly output?: string;
}

/**
 * One attempt of one task, alone, for an engine outside: its whole contract. The result goes to a file, since such
 * engines mix stdout with stderr. Exit codes: 0 done, 99 skipped, 98 failed for good, anything else may be retried.
 */
export async function runOneTask(config: Config, o: RunTaskOptions): Promise<number> {
  if (o.mapIndex !== undefined || o.item !== undefined) {
    throw new ParleyError(
      "unsupported",
      `the task "${o.task}" is not mapped over items: leave --map-index and --item out`,
    );
  }
  return await executing(config, async ({ options, shutdown }) => {
    const { dag: dag_id, task: task_id, runId: run_id } = o;
    const order = {
      dag_id,
      task_id,
      run_id,
      ...intervalOf(o),
      ...o.attempt === undefined ? {} : { attempt: o.attempt },
    };
    const result = await runTask(options, order, shutdown);
    const text = JSON.stringify({ run_id, task_id, ...result });
    if (o.output !== undefined) Deno.writeTextFileSync(o.output, text, { mode: FILE_MODE });
    console.error(`${task_id}: ${result.state}${result.error === null ? "" : ` (${result.error})`}`);
    return taskExitCode(result);
  });
}

function intervalOf({ from, to }: RunTaskOptions) {
  if (from === undefined && to === undefined) return {};
  if (from === undefined || to === undefined) {
    throw new ParleyError("invalid", "--from and --to belong together");
  }
  const interval = { start: parseDate(from), end: parseDate(to) };
  return { interval, logical_date: interval.end };
}

function taskExitCode({ state, final }: { state: string; final: boolean }): number {
  if (state === "success") return EXIT.ok;
  if (state === "skipped") return EXIT.task_skipped;
  if (state === "cancelled") return EXIT.interrupted;
  return final ? EXIT.task_final : EXIT.failed;
}
