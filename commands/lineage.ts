import type { Config } from "../lib/config.ts";
import { systemClock } from "../lib/core/clock.ts";
import { LineageSender } from "../lib/lineage/sender.ts";
import { parseSink } from "../lib/lineage/sink.ts";
import type { LineageOutbox } from "../lib/stores/runs/port.ts";
import { openLog } from "../lib/telemetry/log.ts";
import { VERSION } from "./version.ts";

/**
 * Sends lineage on in the background, where a sink is set. The scheduler does, and every process that executes tasks, for
 * there may be no scheduler. To be closed before the store.
 */
export async function sendLineage(
  { lineage, lineage_key: key, log }: Config,
  outbox: LineageOutbox,
): Promise<{ close(): Promise<void> }> {
  if (lineage === null) return { close: () => Promise.resolve() };
  return new LineageSender({
    outbox,
    sink: parseSink({ url: lineage, key }),
    version: VERSION,
    clock: systemClock,
    random: Math.random,
    log: (await openLog(log))("lineage"),
  });
}
