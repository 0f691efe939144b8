import type { Config } from "../lib/config.ts";
import { onAbort } from "../lib/core/abort.ts";
import { openLog } from "../lib/telemetry/log.ts";
import { executeQueued, GRACE_MS, withExecutor } from "./engine.ts";
import { exitCodeOf } from "./exit.ts";
import { runLog } from "./logs.ts";
import { mixesInSample } from "./sample.ts";

/**
 * Executes queued and interrupted runs, then returns. A scheduler starts it as a separate process. Without a run store nothing
 * is queued, and no store is made.
 */
export async function drainQueue(config: Config): Promise<number> {
  return await withExecutor(config, async ({ options, shutdown }) => {
    const logger = openLog(config.log)("runs");
    onAbort(
      shutdown,
      () =>
        logger.info("stopping: tasks in progress may take up to {seconds} s; the run continues later", {
          seconds: GRACE_MS / 1_000,
        }),
    );
    return exitCodeOf(
      await executeQueued(options, shutdown, {
        log: runLog(logger),
        cancels: (run) => mixesInSample(config, options.runs, run),
        onCancel: (run_id) =>
          logger.warning(
            "run {run_id} was interrupted while it loaded the sample; it is cancelled, because other sources are configured. " +
              "`deno task reset --sample` removes the rows that it has stored",
            { run_id },
          ),
      }),
    );
  }, { create: false });
}
