import { dirname } from "../deps.ts";
import type { Config } from "../lib/config.ts";
import { messageOf, ParleyError } from "../lib/core/errors.ts";
import { FILE_MODE, FOLDER_MODE } from "../lib/core/file_modes.ts";
import { parseId } from "../lib/schema/ids.ts";
import { noSuchTask } from "../lib/dag/define.ts";
import { runTask, type TaskOrder } from "../lib/dag/run_task.ts";
import { checkRemoteParams } from "../lib/dag/runs.ts";
import { taskOf } from "../lib/monitoring/task_outputs.ts";
import { withExecutor } from "./engine.ts";
import { EXIT } from "./exit.ts";
import { PARENT_RUN } from "../lib/lineage/events.ts";
import { dagOf, snapshotOf } from "./inspect.ts";
import { parseDate, parseParam } from "./run.ts";
import { leftOut } from "./run_summary.ts";

interface RunTaskOptions {
  readonly dag: string;
  readonly task: string;
  readonly runId: string;
  readonly attempt?: number;
  readonly mapIndex?: number;
  readonly from?: string;
  readonly to?: string;
  readonly lineageParent?: string;
  /** `name=value`, the value as JSON, else as text. */
  readonly param: readonly string[];
  readonly output?: string;
}

/**
 * One attempt of one task, alone, for an engine outside: its whole contract. The result goes to a file, since such
 * engines mix stdout with stderr. What it needs is checked before any work. Exit codes: 0 done, 99 skipped, 98 failed without retry, also
 * by wrong usage or configuration; anything else may be retried. A run that left a source out does all else first: the task that
 * ends it exits with 98, although it is done, as `pipeline` exits with 1 then. A retry would find the same sources.
 */
export async function runOneTask(config: Config, taskOptions: RunTaskOptions): Promise<number> {
  if (taskOptions.output !== undefined) checkWritable(taskOptions.output);
  const order = await orderOf(config, taskOptions);
  return await withExecutor(config, async ({ options, shutdown }) => {
    const { task_id, run_id } = order;
    const result = await runTask(options, order, shutdown);
    const { run, tasks } = await snapshotOf(options.runs, run_id);
    const dag = options.dags.get(order.dag_id)!;
    const left_out = leftOut(tasks, dag);
    const endsRun = run.ended_at !== null;
    const text = JSON.stringify({ run_id, task_id, ...result, left_out });
    if (taskOptions.output !== undefined) {
      Deno.writeTextFileSync(taskOptions.output, text, { mode: FILE_MODE });
    }
    console.error(`${task_id}: ${result.state}${result.error === null ? "" : ` (${result.error})`}`);
    if (endsRun || taskOf(dag, "ingest")?.id === task_id) {
      for (const error of left_out) console.error(`Left out: ${error}`);
    }
    const code = taskExitCode(result);
    if (!endsRun || left_out.length === 0 || code !== EXIT.ok && code !== EXIT.task_skipped) return code;
    console.error(
      `run ${run_id} has left sources out: ${task_id} exits with ${EXIT.task_final} to report this`,
    );
    return EXIT.task_final;
  });
}

/** The requested dag and task; throws `invalid` if one does not exist, before any store is opened. */
async function orderOf(config: Config, options: RunTaskOptions): Promise<TaskOrder> {
  const dag = await dagOf(config, options.dag);
  if (!dag.tasksById.has(options.task)) throw noSuchTask(dag, options.task);
  return {
    dag_id: dag.id,
    task_id: options.task,
    run_id: readRunId(options.runId),
    // Who starts a run in the outside engine is not who operates Parley.
    params: await checkRemoteParams(dag, Object.fromEntries(options.param.map(parseParam))),
    ...intervalOf(options),
    ...options.mapIndex !== undefined && { map_index: options.mapIndex },
    ...options.attempt !== undefined && { attempt: options.attempt },
    ...options.lineageParent !== undefined && { parent: readParent(options.lineageParent) },
  };
}

function readParent(text: string): string {
  if (PARENT_RUN.test(text)) return text;
  throw new ParleyError(
    "invalid",
    `--lineage-parent "${text}" is not namespace/job/run, with a UUID for the run`,
  );
}

/** Of a file name, which a run's id becomes as well: that of a folder of artifacts, percent-encoded. */
const MAX_NAME_LENGTH = 255;

function readRunId(text: string): string {
  const run_id = parseId("--run-id", text);
  if (run_id.includes("/")) {
    throw new ParleyError("invalid", "--run-id contains a /, which names of artifacts cannot contain");
  }
  if (encodeURIComponent(run_id).length <= MAX_NAME_LENGTH) return run_id;
  throw new ParleyError(
    "invalid",
    `--run-id is longer than ${MAX_NAME_LENGTH} characters once it is percent-encoded`,
  );
}

/** A result that cannot be written would cost the work of the task. */
function checkWritable(path: string): void {
  try {
    Deno.mkdirSync(dirname(path), { recursive: true, mode: FOLDER_MODE });
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
  if (interval.start > interval.end) throw new ParleyError("invalid", `--from ${from} is after --to ${to}`);
  return { interval, logical_date: interval.end };
}

function taskExitCode({ state, final }: { state: string; final: boolean }): number {
  if (state === "success") return EXIT.ok;
  if (state === "skipped") return EXIT.task_skipped;
  if (state === "cancelled") return EXIT.interrupted;
  return final ? EXIT.task_final : EXIT.failed;
}
