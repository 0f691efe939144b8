import { sleep } from "../lib/core/abort.ts";
import type { Config } from "../lib/config.ts";
import { iso, systemClock } from "../lib/core/clock.ts";
import { causeOf, ParleyError } from "../lib/core/errors.ts";
import { testMessage } from "../lib/notifications/message.ts";
import { notifyAnomalies } from "../lib/notifications/notify_anomalies.ts";
import { notificationSink, notifiersOf } from "../lib/notifications/sinks.ts";
import { OutboxSender } from "../lib/outbox/sender.ts";
import type { RunStore } from "../lib/stores/runs/port.ts";
import { openLog } from "../lib/telemetry/log.ts";
import { type PipelineView, readAnomalies } from "../routes/api/pipeline.ts";
import { EXIT } from "./exit.ts";

/**
 * Sends notifications in the background to every sink that is configured. The scheduler calls this, the API, and every process that
 * executes tasks, because none of the others may be there. Close it before the store.
 */
export function sendNotifications({ notify, log }: Config, runs: RunStore): { close(): Promise<void> } {
  const senders = notifiersOf(notify).map((notifier) =>
    new OutboxSender(notificationSink(runs, notifier), {
      clock: systemClock,
      random: Math.random,
      log: openLog(log)("notifications"),
    })
  );
  return {
    close: async () => {
      await Promise.all(senders.map((sender) => sender.close()));
    },
  };
}

const WATCH_MS = 60_000;

/**
 * Looks for critical anomalies once a minute and adds notifications of them, if a sink is configured, until the signal is aborted. The
 * API does it: it has all stores open, and it is there if the scheduler is not.
 */
export async function watchAnomalies(
  { notify, log }: Config,
  { view, signal }: { view: PipelineView & { stores: { runs: RunStore } }; signal: AbortSignal },
): Promise<void> {
  if (notifiersOf(notify).length === 0) return;
  while (true) {
    await sleep(WATCH_MS, signal);
    if (signal.aborted) return;
    try {
      const { value } = await readAnomalies(view);
      if (value === null) continue;
      await notifyAnomalies({ runs: view.stores.runs, open: value.open, clock: view.clock });
    } catch (error) {
      openLog(log)("notifications").warning("anomalies are not reported: {cause}", { cause: causeOf(error) });
    }
  }
}

/** How long a sink may take to answer a test. */
const TEST_TIMEOUT_MS = 10_000;

/** Sends a test message to every sink that is configured, and says how each answered; exit code 1 if one did not take it. */
export async function notify(config: Config, options: { json: boolean }): Promise<number> {
  const notifiers = notifiersOf(config.notify);
  if (notifiers.length === 0) {
    throw new ParleyError(
      "invalid",
      "no sink is configured: set PARLEY_NOTIFY_WEBHOOK, PARLEY_NOTIFY_SLACK or PARLEY_NOTIFY_EMAIL",
    );
  }
  const message = testMessage(iso(systemClock.now()));
  const limits = { timeout_ms: TEST_TIMEOUT_MS, signal: new AbortController().signal };
  const sinks = await Promise.all(notifiers.map(async ({ sink, host, send }) => {
    const delivery = await send(message, limits);
    return { sink, host, error: delivery.kind === "taken" ? null : delivery.reason };
  }));
  if (options.json) console.log(JSON.stringify({ sinks }));
  else {for (const { sink, host, error } of sinks) {
      console.log(`${sink}  ${host} ${error ?? "has taken the test message"}`);
    }}
  return sinks.every(({ error }) => error === null) ? EXIT.ok : EXIT.failed;
}
