import { dirname } from "../deps.ts";
import type { Config } from "../lib/config.ts";
import { systemClock } from "../lib/core/clock.ts";
import { causeOf, ParleyError } from "../lib/core/errors.ts";
import { absolute } from "../lib/core/parse_url.ts";
import { checkParams, createRun } from "../lib/dag/runs.ts";
import type { ExportFormat } from "../lib/exports/answer_lines.ts";
import type { ExportOutput } from "../tasks/steps/export.ts";
import { dagOf } from "./inspect.ts";
import { executeWithProgress } from "./run.ts";

interface ExportOptions {
  readonly format: ExportFormat;
  readonly k: number;
  /** A day or a time; "" for all users. */
  readonly activeSince: string;
  /** Where the file is moved when it is whole; by default it stays in the folder of exports. */
  readonly out?: string;
  readonly json: boolean;
}

/**
 * Writes the answers for all users to a file, as a run of the dag `export`. If it is interrupted, the next run or a scheduler continues
 * it, and the file stays in the folder of exports.
 */
export async function exportAnswers(config: Config, options: ExportOptions): Promise<number> {
  const { format, k, activeSince: active_since, json } = options;
  const out = options.out === undefined ? null : absolute(options.out, Deno.cwd());
  if (out !== null) await refuseUnusable(out);
  const dag = await dagOf(config, "export");
  const params = checkParams(dag, { format, k, active_since });
  const onSuccess = async ({ tasks }: { tasks: readonly { output: unknown }[] }) => {
    const { file } = tasks[0]!.output as ExportOutput;
    if (out === null) return { file };
    await move(file, out);
    return { file: out };
  };
  return await executeWithProgress(config, dag, { json, onSuccess }, async (runs, lease) => {
    return (await createRun({ dag, runs, clock: systemClock, params, lease })).run_id;
  });
}

/** Throws `invalid` if no file can be at this place, before anything is computed. */
async function refuseUnusable(path: string): Promise<void> {
  const fault = (problem: string) => new ParleyError("invalid", `--out ${path}: ${problem}`);
  const folder = await Deno.stat(dirname(path)).catch(() => null);
  if (!folder?.isDirectory) throw fault("its folder does not exist");
  if ((await Deno.stat(path).catch(() => null))?.isDirectory) throw fault("it is a folder");
}

/** Also to another disk. The copy keeps the mode, so that only its owner reads it. */
async function move(from: string, to: string): Promise<void> {
  try {
    await Deno.rename(from, to);
  } catch {
    try {
      await Deno.copyFile(from, to);
      await Deno.remove(from);
    } catch (error) {
      throw new ParleyError(
        "unavailable",
        `the file stays at ${from}: it could not be moved to ${to} (${causeOf(error)})`,
        {
          cause: error,
        },
      );
    }
  }
}
