import { Cron } from "../../deps.ts";
import { DAY_MS } from "../core/clock.ts";
import { messageOf, ParleyError } from "../core/errors.ts";
import { didYouMean } from "../did_you_mean.ts";

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

/** Times of a schedule, as epoch milliseconds. */
interface Times {
  /** The first time after `at`; null if the schedule has no such time. */
  after(at: number): number | null;
  /** The last time before `at`; null if the schedule has no such time. */
  before(at: number): number | null;
}

/**
 * Checks the pattern and the zone of a schedule.
 *
 * @throws `invalid` that says what is wrong with the pattern or the zone, or that the schedule is never due.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { checkSchedule } from "./schedule.ts";
 *
 * assert.throws(() => checkSchedule({ cron: "0 25 * * *", timezone: "UTC" }), { code: "invalid" });
 * ```
 */
export function checkSchedule(schedule: Pick<Schedule, "cron" | "timezone">): void {
  timesOf(schedule);
}

/** What is wrong with an IANA time zone; null if it is one. */
export function timezoneProblem(timezone: string): string | null {
  try {
    Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(timezone);
    return null;
  } catch {
    const suggestion = didYouMean(timezone, Intl.supportedValuesOf("timeZone"));
    return `"${timezone}" is not an IANA time zone such as Europe/Berlin or UTC${suggestion}`;
  }
}

function timesOf({ cron, timezone }: Pick<Schedule, "cron" | "timezone">): Times {
  const wrong = timezoneProblem(timezone);
  if (wrong !== null) throw new ParleyError("invalid", wrong);
  const times = parseTimes(cron, timezone);
  if (times.after(0) !== null) return times;
  throw new ParleyError("invalid", `the schedule "${cron}" is never due: no month has such a day`);
}

function parseTimes(cron: string, timezone: string): Times {
  const fields = cron.trim().split(/\s+/);
  if (fields.length !== 5 && !cron.trim().startsWith("@")) {
    throw new ParleyError(
      "invalid",
      `the schedule "${cron}" has not the five fields of crontab(5): minute, hour, day, month, weekday`,
    );
  }
  const [minute = "", hour = "", day = "", , weekday = ""] = fields;
  // crontab(5): a field that begins with * does not restrict, so that both must hold; else either.
  const domAndDow = [day, weekday].some((field) => /^[*?]/.test(field));
  const isFixed = [minute, hour].every((field) => /^[\d,/-]+$/.test(field));
  try {
    const options = { mode: "5-part", domAndDow } as const;
    if (isFixed) return new FixedTimes(new Cron(cron, { ...options, utcOffset: 0 }), timezone);
    const parsed = new Cron(cron, { ...options, timezone });
    return {
      after: (at) => parsed.nextRun(new Date(at))?.getTime() ?? null,
      before: (at) => parsed.previousRuns(1, new Date(at))[0]?.getTime() ?? null,
    };
  } catch (error) {
    throw new ParleyError("invalid", `the schedule "${cron}" is not crontab(5): ${messageOf(error)}`);
  }
}

/** More than any clock goes back by. */
const MAX_BACK_MS = DAY_MS;

/**
 * Times of day on a local clock, without a `*`. A time that the clock leaves out is due at the first instant after the gap,
 * also if that is the next day; a time that it shows twice is due the first time.
 */
class FixedTimes implements Times {
  /** `local` has the times as if the zone's clock were UTC. */
  constructor(private readonly local: Cron, private readonly timezone: string) {}

  after(at: number): number | null {
    let shown = this.local.nextRun(new Date(this.localOf(at)));
    while (shown !== null && this.instantOf(shown) <= at) shown = this.local.nextRun(shown);
    return shown === null ? null : this.instantOf(shown);
  }

  before(at: number): number | null {
    let [shown] = this.local.previousRuns(1, new Date(this.localOf(at) + MAX_BACK_MS));
    while (shown !== undefined && this.instantOf(shown) >= at) [shown] = this.local.previousRuns(1, shown);
    return shown === undefined ? null : this.instantOf(shown);
  }

  /** What the zone's clock shows at an instant. */
  private localOf(at: number): number {
    return at +
      Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(this.timezone).offsetNanoseconds / 1e6;
  }

  private instantOf(shown: Date): number {
    const local = Temporal.Instant.fromEpochMilliseconds(shown.getTime()).toZonedDateTimeISO("UTC")
      .toPlainDateTime();
    const zoned = local.toZonedDateTime(this.timezone, { disambiguation: "earlier" });
    if (zoned.toPlainDateTime().equals(local)) return zoned.epochMilliseconds;
    return zoned.getTimeZoneTransition("next")!.epochMilliseconds;
  }
}

/**
 * The occurrences that are due: those after `since` and not after `now`, by the schedule's catch-up policy. `none`
 * gives one only if it came due within `tolerance_ms`; `latest` the newest; `all` each, oldest first, at most `limit`.
 * On a day without the local time (the clock goes forward) the first instant after the gap is due, and on a day that has
 * it twice (back) the first one, if the schedule has no \* for minutes and hours.
 */
export function dueOccurrences(options: {
  schedule: Schedule;
  since: number;
  now: number;
  tolerance_ms: number;
  limit: number;
}): Occurrence[] {
  const { schedule, now } = options;
  if (schedule.catch_up === "all") return between(schedule, options.since, now, options.limit);
  const latest = timesOf(schedule).before(now + 1);
  if (latest === null || latest <= options.since) return [];
  if (schedule.catch_up === "none" && now - latest > options.tolerance_ms) return [];
  return [occurrence(schedule, latest)];
}

/**
 * The next `limit` times that a schedule is due after `since`.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { nextOccurrences } from "./schedule.ts";
 *
 * const schedule = { cron: "30 2 * * *", timezone: "UTC", catch_up: "latest" } as const;
 * const [next] = nextOccurrences(schedule, Date.parse("2026-01-01T12:00:00Z"), 1);
 * assert.equal(next?.due, Date.parse("2026-01-02T02:30:00Z"));
 * ```
 */
export function nextOccurrences(schedule: Schedule, since: number, limit: number): Occurrence[] {
  return between(schedule, since, Infinity, limit);
}

function between(schedule: Schedule, since: number, until: number, limit: number): Occurrence[] {
  const times = timesOf(schedule);
  const occurrences: Occurrence[] = [];
  let at = times.after(since);
  while (at !== null && at <= until && occurrences.length < limit) {
    occurrences.push(occurrence(schedule, at));
    at = times.after(at);
  }
  return occurrences;
}

function occurrence(schedule: Schedule, due: number): Occurrence {
  const zoned = Temporal.Instant.fromEpochMilliseconds(due).toZonedDateTimeISO(schedule.timezone);
  return {
    due,
    interval_start: timesOf(schedule).before(due) ?? due,
    name: zoned.toString({ smallestUnit: "second" }),
  };
}
