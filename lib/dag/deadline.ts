import type { RunRecord } from "../stores/runs/port.ts";

/**
 * When a run or a task is expected to have ended: `by` a time of day in the zone of the dag's schedule, the first one after a scheduled
 * run is due; or `within_ms` after a run is due, or was created by hand. Runs of backfills have none.
 */
export type DeadlineAlert = { readonly by: string } | { readonly within_ms: number };

/** What is wrong with a deadline alert; null if nothing is. */
export function deadlineProblem(alert: DeadlineAlert | undefined, isScheduled: boolean): string | null {
  if (alert === undefined) return null;
  if ("within_ms" in alert) {
    return alert.within_ms >= 1 ? null : `deadline_alert.within_ms is ${alert.within_ms}; the least is 1`;
  }
  if (!/^([01]\d|2[0-3]):[0-5]\d$/.test(alert.by)) {
    return `deadline_alert.by is "${alert.by}", and must be a time of day such as 06:00`;
  }
  return isScheduled ? null : "deadline_alert.by needs a schedule: use within_ms";
}

/** When the deadline is, in epoch milliseconds; null if the run has none. */
export function deadlineOf(
  alert: DeadlineAlert,
  { trigger, logical_date, created_at }: RunRecord,
  timezone: string,
): number | null {
  if (trigger === "backfill") return null;
  const due = Date.parse(trigger === "schedule" ? logical_date : created_at);
  if ("within_ms" in alert) return due + alert.within_ms;
  if (trigger !== "schedule") return null;
  const local = Temporal.Instant.fromEpochMilliseconds(due).toZonedDateTimeISO(timezone);
  const today = local.withPlainTime(alert.by);
  const at = today.epochMilliseconds >= due ? today : local.add({ days: 1 }).withPlainTime(alert.by);
  return at.epochMilliseconds;
}
