import type { Config } from "../lib/config.ts";
import { systemClock } from "../lib/core/clock.ts";
import { lineageSink, parseSink } from "../lib/lineage/sink.ts";
import { OutboxSender } from "../lib/outbox/sender.ts";
import type { LineageOutbox } from "../lib/stores/runs/port.ts";
import { openLog } from "../lib/telemetry/log.ts";
import { VERSION } from "./version.ts";

/**
 * Sends lineage in the background, if a sink is configured. The scheduler calls this, and so does every process that executes
 * tasks, because there may be no scheduler. Close it before the store.
 */
export function sendLineage(
  { lineage, lineage_key: key, log }: Config,
  outbox: LineageOutbox,
): { close(): Promise<void> } {
  if (lineage === null) return { close: () => Promise.resolve() };
  const address = parseSink({ url: lineage, key });
  return new OutboxSender(lineageSink({ outbox, address, version: VERSION }), {
    clock: systemClock,
    random: Math.random,
    log: openLog(log)("lineage"),
  });
}
