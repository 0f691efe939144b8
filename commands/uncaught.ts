import type { Config } from "../lib/config.ts";
import { causeOf } from "../lib/core/errors.ts";
import { openLog } from "../lib/telemetry/log.ts";
import { countUncaught } from "../lib/telemetry/process_metrics.ts";

/**
 * The last resort of a process that serves: an error that no code caught, in a timer, an event listener or a promise that nothing
 * awaits, is logged by its name and place and counted as `parley_uncaught_errors_total`, and the process continues. Each is a
 * fault of this program; one request or one store must not end the answers of all others for it.
 */
export function surviveUncaught({ log: level }: Pick<Config, "log">): void {
  const log = openLog(level)("process");
  const survive = (event: Event, error: unknown) => {
    event.preventDefault();
    countUncaught();
    log.error("an error was not caught: {cause}", { cause: causeOf(error) });
  };
  addEventListener("unhandledrejection", (event) => survive(event, event.reason));
  addEventListener("error", (event) => survive(event, event.error));
}
