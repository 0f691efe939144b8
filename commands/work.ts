import type { Config } from "../lib/config.ts";
import { iso } from "../lib/core/clock.ts";
import { openRuns } from "../lib/stores/open.ts";
import { engine, work } from "./engine.ts";
import { exitCodeOf, shutdownSignal } from "./exit.ts";
import { openAll, openServices } from "./services.ts";

/** Executes what is queued or was interrupted, then returns. What a scheduler starts beside itself. */
export async function workOff(config: Config): Promise<number> {
  const stores = await openAll({ runs: () => openRuns(config.runs) });
  const services = await openServices(config);
  const shutdown = shutdownSignal();
  try {
    const options = engine({ config, runs: stores.value.runs, services: services.value });
    const onClaim = (run_id: string, resumed: boolean) =>
      console.error(`${iso(Date.now())} run ${run_id}: ${resumed ? "resumed" : "started"}`);
    const outcome = await work(options, shutdown.signal, { onClaim });
    if (outcome !== null) console.error(`${iso(Date.now())} last run: ${outcome}`);
    return exitCodeOf(outcome);
  } finally {
    shutdown.dispose();
    await services.close();
    await stores.close();
  }
}
