import type { Config } from "../lib/config.ts";
import { iso, systemClock } from "../lib/core/clock.ts";
import { causeOf } from "../lib/core/errors.ts";
import { nextOccurrences } from "../lib/dag/schedule.ts";
import { Scheduler } from "../lib/dag/scheduler.ts";
import { openRuns } from "../lib/stores/open.ts";
import { openLog } from "../lib/telemetry/log.ts";
import { allDags, processName } from "./engine.ts";
import { aborted } from "./serve.ts";
import { announceStop, shutdownSignal } from "./exit.ts";
import { sendLineage } from "./lineage.ts";
import { sendNotifications } from "./notifications.ts";
import { openAll, type Opened, opened, refuseTestEmbedder } from "./services.ts";
import { spawnPipeline } from "./spawn.ts";
import { surviveUncaught } from "./uncaught.ts";

const TICK_MS = 1_000;

/** Starts the scheduler in this process; the runs that it makes are executed in processes of their own. */
export async function startScheduler(config: Config): Promise<Opened<null>> {
  const { value: { runs }, close } = await openAll({ runs: () => openRuns(config.runs) });
  const log = openLog(config.log)("scheduler");
  const { dags, faults } = await allDags(config);
  for (const fault of faults) log.error("the dags of {path} cannot run: {reason}", { ...fault });
  const senders = [sendLineage(config, runs), sendNotifications(config, runs)];
  const stop = new AbortController();
  let worker: Promise<void> | null = null;
  const dispatch = () => {
    worker ??= spawnPipeline(config, ["work"], stop.signal).then(
      (code) => log.debug("a worker ended with exit code {code}", { code }),
      (error) => log.error("a worker could not be started: {cause}", { cause: causeOf(error) }),
    ).finally(() => worker = null);
  };
  const scheduler = new Scheduler({
    dags,
    runs,
    clock: systemClock,
    owner: processName(),
    tick_ms: TICK_MS,
    ttl_ms: config.lease_ms,
    dispatch,
  });
  const ticking = scheduler.run(
    stop.signal,
    onceAMinute((cause) => log.error("the scheduler cannot run: {cause}", { cause })),
  );
  return opened(null, async () => {
    stop.abort();
    await ticking;
    await worker;
    await Promise.all(senders.map((sender) => sender.close()));
    await close();
  });
}

const MINUTE_MS = 60_000;

/** Says why ticks fail, not at each of them: a run store may be down for a night. */
function onceAMinute(print: (cause: string) => void): (error: unknown) => void {
  let last = { cause: "", at: -Infinity };
  return (error) => {
    const [cause, at] = [causeOf(error), performance.now()];
    if (cause === last.cause && at - last.at < MINUTE_MS) return;
    last = { cause, at };
    print(cause);
  };
}

/** What happens to a run that a shutdown interrupts. */
export const INTERRUPTED = "stops within seconds and continues with the next start";

/** The scheduler alone, until SIGINT or SIGTERM. */
export async function schedule(config: Config): Promise<number> {
  refuseTestEmbedder(config);
  surviveUncaught(config);
  const shutdown = shutdownSignal();
  const scheduler = await startScheduler(config);
  console.log(nextRunText(config));
  announceStop(shutdown.signal, () => `a run in progress ${INTERRUPTED}`);
  await aborted(shutdown.signal);
  await scheduler.close();
  shutdown.dispose();
  return 0;
}

/** When the nightly run comes next, for a person. */
export function nextRunText({ schedule }: Config): string {
  if (schedule === null) return "Nothing is scheduled (PARLEY_SCHEDULE=off).";
  const [next] = nextOccurrences({ ...schedule, catch_up: "none" }, Date.now(), 1);
  return `The nightly run is due next at ${
    next === undefined ? "no time" : iso(next.due)
  } (${schedule.cron}, ${schedule.timezone}).`;
}
