import { Cron } from "../../deps.ts";
import { messageOf, ParleyError } from "../core/errors.ts";

/** What happens with occurrences that passed while no scheduler ran. */
export type CatchUp = "none" | "latest" | "all";

export interface Schedule {
  /** Five fields, as in crontab(5). */
  readonly cron: string;
  /** IANA zone, such as `Europe/Berlin`. */
  readonly timezone: string;
  readonly catch_up: CatchUp;
}

/** One time at which a schedule is due, with the interval that it closes. Epoch milliseconds. */
export interface Occurrence {
  readonly due: number;
  readonly interval_start: number;
  /** Local date-time with offset and zone (RFC 9557): the same instant always has the same name. */
  readonly name: string;
}

/** Reads a schedule; throws `invalid` with what is wrong with the pattern or the zone. */
export function parseSchedule({ cron, timezone }: Schedule): Cron {
  try {
    const parsed = new Cron(cron, { timezone, mode: "5-part" });
    parsed.nextRun();
    return parsed;
  } catch (error) {
    throw new ParleyError(
      "invalid",
      `the schedule "${cron}" in the zone "${timezone}" is not valid: ${messageOf(error)}`,
    );
  }
}

/**
 * The occurrences that are due: those after `since` and not after `now`, by the schedule's catch-up policy. `none`
 * gives one only if it came due within `tolerance_ms`; `latest` the newest; `all` each, oldest first, at most `limit`.
 * On a day without the local time (the clock goes forward) the first instant after the gap is due; on a day that has
 * it twice (back), a fixed time is due once, the first time.
 */
export function dueOccurrences(o: {
  schedule: Schedule;
  since: number;
  now: number;
  tolerance_ms: number;
  limit: number;
}): Occurrence[] {
  const { schedule, now } = o;
  if (schedule.catch_up === "all") return between(schedule, o.since, now, o.limit);
  const latest = parseSchedule(schedule).previousRuns(1, new Date(now + 1))[0];
  if (latest === undefined || latest.getTime() <= o.since) return [];
  if (schedule.catch_up === "none" && now - latest.getTime() > o.tolerance_ms) return [];
  return [occurrence(schedule, latest.getTime())];
}

/** The next `limit` times that a schedule is due after `since`. */
export function nextOccurrences(schedule: Schedule, since: number, limit: number): Occurrence[] {
  return between(schedule, since, Infinity, limit);
}

function between(schedule: Schedule, since: number, until: number, limit: number): Occurrence[] {
  const cron = parseSchedule(schedule);
  const found: Occurrence[] = [];
  let at = cron.nextRun(new Date(since));
  while (at !== null && at.getTime() <= until && found.length < limit) {
    found.push(occurrence(schedule, at.getTime()));
    at = cron.nextRun(at);
  }
  return found;
}

function occurrence(schedule: Schedule, due: number): Occurrence {
  const previous = parseSchedule(schedule).previousRuns(1, new Date(due))[0];
  const zoned = Temporal.Instant.fromEpochMilliseconds(due).toZonedDateTimeISO(schedule.timezone);
  return {
    due,
    interval_start: previous?.getTime() ?? due,
    name: zoned.toString({ smallestUnit: "second" }),
  };
}
