import type { Config } from "../lib/config.ts";
import { openRuns } from "../lib/stores/open.ts";
import { openLog } from "../lib/telemetry/log.ts";
import { startTracing } from "../lib/telemetry/spans.ts";
import { engine, work } from "./engine.ts";
import { exitCodeOf, shutdownSignal } from "./exit.ts";
import { sendLineage } from "./lineage.ts";
import { runLog } from "./logs.ts";
import { openAll, openServices } from "./services.ts";

/** Executes what is queued or was interrupted, then returns. What a scheduler starts beside itself. */
export async function workOff(config: Config): Promise<number> {
  await startTracing();
  const stores = await openAll({ runs: () => openRuns(config.runs) });
  const services = await openServices(config);
  const lineage = await sendLineage(config, stores.value.runs);
  const shutdown = shutdownSignal();
  try {
    const options = engine({ config, runs: stores.value.runs, services: services.value });
    const log = runLog((await openLog(config.log))("runs"));
    const outcome = await work(options, shutdown.signal, { log });
    return exitCodeOf(outcome);
  } finally {
    shutdown.dispose();
    await services.close();
    await lineage.close();
    await stores.close();
  }
}
