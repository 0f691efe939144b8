import type { Config } from "../lib/config.ts";
import { openLog } from "../lib/telemetry/log.ts";
import { executing, work } from "./engine.ts";
import { exitCodeOf } from "./exit.ts";
import { runLog } from "./logs.ts";

/** Executes what is queued or was interrupted, then returns. What a scheduler starts beside itself. */
export async function workOff(config: Config): Promise<number> {
  return await executing(config, async ({ options, shutdown }) => {
    const log = runLog((await openLog(config.log))("runs"));
    return exitCodeOf(await work(options, shutdown, { log }));
  });
}
