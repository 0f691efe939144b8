import type { Config } from "../lib/config.ts";
import { messageOf, ParleyError } from "../lib/core/errors.ts";
import { FILE_MODE } from "../lib/core/modes.ts";
import { runTask, type TaskOrder } from "../lib/dag/run_task.ts";
import { didYouMean } from "../lib/suggest.ts";
import { executing } from "./engine.ts";
import { EXIT } from "./exit.ts";
import { dagOf } from "./inspect.ts";
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
 * engines mix stdout with stderr. What it needs is checked before any work. Exit codes: 0 done, 99 skipped, 98 failed for good, also
 * by wrong usage or configuration; anything else may be retried.
 */
export async function runOneTask(config: Config, o: RunTaskOptions): Promise<number> {
  if (o.mapIndex !== undefined || o.item !== undefined) {
    throw new ParleyError(
      "unsupported",
      `the task "${o.task}" is not mapped over items: leave --map-index and --item out`,
    );
  }
  if (o.output !== undefined) checkWritable(o.output);
  const order = orderOf(config, o);
  return await executing(config, async ({ options, shutdown }) => {
    const { task_id, run_id } = order;
    const result = await runTask(options, order, shutdown);
    const text = JSON.stringify({ run_id, task_id, ...result });
    if (o.output !== undefined) Deno.writeTextFileSync(o.output, text, { mode: FILE_MODE });
    console.error(`${task_id}: ${result.state}${result.error === null ? "" : ` (${result.error})`}`);
    return taskExitCode(result);
  });
}

/** What is asked for; throws `invalid` for a dag or task that does not exist, before any store is opened. */
function orderOf(config: Config, o: RunTaskOptions): TaskOrder {
  const dag = dagOf(config, o.dag);
  const tasks = dag.tasks.map(({ id }) => id);
  if (!tasks.includes(o.task)) {
    throw new ParleyError(
      "invalid",
      `the dag ${dag.id} has no task "${o.task}"${didYouMean(o.task, tasks)}; its tasks are ${
        tasks.join(", ")
      }`,
    );
  }
  const attempt = o.attempt === undefined ? {} : { attempt: o.attempt };
  return { dag_id: dag.id, task_id: o.task, run_id: o.runId, ...intervalOf(o), ...attempt };
}

/** A result that cannot be written would cost the work of the task. */
function checkWritable(path: string): void {
  try {
    Deno.openSync(path, { append: true, create: true, mode: FILE_MODE }).close();
  } catch (error) {
    throw new ParleyError("invalid", `--output ${path} cannot be written: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** The exit code for an error, by whether an engine outside should try again. */
export function taskErrorCode(error: unknown): number {
  const passing = !(error instanceof ParleyError) || error.code === "unavailable" ||
    error.code === "conflict";
  return passing ? EXIT.failed : EXIT.task_final;
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
