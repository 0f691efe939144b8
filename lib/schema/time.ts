import { z } from "../../deps.ts";
import { DAY_MS, iso, latestTime } from "../core/clock.ts";
import { expected, refuse } from "./issues.ts";

/**
 * Epoch numbers below this are seconds, from here on milliseconds: seconds reach to the year 5138, and milliseconds
 * start in March 1973, so real data falls on the right side.
 */
const SECONDS_BELOW = 1e11;

/** Earlier numbers are no epoch: they are compact dates, days of a spreadsheet, or of a clock that was never set. */
const FIRST_EPOCH = Date.UTC(1990, 0, 1);
const MAX_TIME = Date.UTC(9999, 11, 31, 23, 59, 59, 999);
const NUMERIC = /^[+-]?\d+(?:\.\d+)?$/;
/** `20260501`, `202605010930` or `20260501093000`. */
const COMPACT =
  /^(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:(?:[01]\d|2[0-3])[0-5]\d(?:[0-5]\d)?)?$/;
const ISO =
  /^(\d{4})-(\d{2})-(\d{2})[Tt ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,3})\d*)?)? ?(?:[Zz]|([+-])(\d{2})(?::?(\d{2}))?)$/;
const WITHOUT_OFFSET = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?$/;
const DAY = /^(\d{4})-(\d{2})-(\d{2})$/;

/** Every reason shows a valid form. */
const EXAMPLE = "write it like 2026-05-01T09:30:00Z";
const NOT_AN_EPOCH = `is not an epoch in seconds or milliseconds from 1990 on; ${EXAMPLE}`;

/** Most times have this form. They need no arithmetic and are rewritten twice as fast as a `Date` prints them. */
const UTC =
  /^(?:19[7-9]\d|[2-9]\d{3})-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{3})?Z$/;

const TEXT = z.string().meta({ format: "date-time" });
const EPOCH = z.number().meta({
  description: "Epoch seconds or milliseconds, from 1990 on.",
  minimum: FIRST_EPOCH / 1_000,
});

/** A moment, stored as ISO 8601 in UTC with milliseconds; finer fractions are cut off. */
export const time = timeOr((text) => DAY.test(text) ? `is a day without a time; ${EXAMPLE}` : null);

/** The same, or a plain day, which means its first instant in UTC. */
export const startTime = timeOr((text) => parseDay(text, 0));

/** The same, or a plain day that is the last one: it means the first instant after it, in UTC. */
export const endTime = timeOr((text) => parseDay(text, DAY_MS));

/** `plain` reads days; if it returns null, {@link parseTime} reads the text. */
function timeOr(plain: (text: string) => number | string | null) {
  return z.union([TEXT, EPOCH], expected("a time")).transform((value, context) => {
    if (typeof value === "string" && UTC.test(value)) {
      return value.length === 24 ? value : `${value.slice(0, 19)}.000Z`;
    }
    const result = (typeof value === "string" ? plain(value.trim()) : null) ?? parseTime(value);
    return typeof result === "number" ? iso(result) : refuse(context, result);
  });
}

function parseDay(text: string, offset: number): number | string | null {
  const match = DAY.exec(text);
  // The last day of all means "never" and has no instant after it.
  return match === null ? null : inRange(Math.min(fromIso(match) + offset, MAX_TIME));
}

/** Milliseconds since the epoch, 1970 to 9999, or a complaint that never quotes the value. */
export function parseTime(value: string | number): number | string {
  return inRange(typeof value === "number" ? fromEpoch(String(value)) : fromText(value.trim()));
}

function inRange(ms: number | string): number | string {
  if (typeof ms === "string") return ms;
  if (Number.isNaN(ms)) return "is not a real date";
  if (ms < 0) return "is before 1970";
  return ms > MAX_TIME ? "is after the year 9999" : ms;
}

function fromText(text: string): number | string {
  const match = ISO.exec(text);
  if (match !== null) return fromIso(match);
  if (NUMERIC.test(text)) return fromEpoch(text);
  if (WITHOUT_OFFSET.test(text)) return "has no UTC offset; add Z or one like +02:00";
  return `is not a time: ${EXAMPLE}, or as epoch seconds or milliseconds`;
}

function fromEpoch(digits: string): number | string {
  if (COMPACT.test(digits)) return `is a date without separators; ${EXAMPLE}`;
  const value = Number(digits);
  const ms = Math.floor(Math.abs(value) < SECONDS_BELOW ? value * 1000 : value);
  return ms >= FIRST_EPOCH && ms <= MAX_TIME ? ms : NOT_AN_EPOCH;
}

/** NaN if a field is out of its range: `Date.UTC` would carry 30 February over into March. */
function fromIso(match: RegExpExecArray): number {
  const year = Number(match[1]), month = Number(match[2]), day = Number(match[3]);
  const hour = Number(match[4] ?? 0), minute = Number(match[5] ?? 0), second = Number(match[6] ?? 0);
  if (month < 1 || month > 12 || day < 1 || day > daysIn(year, month)) return NaN;
  if (hour > 23 || minute > 59 || second > 59) return NaN;
  const ms = match[7] === undefined ? 0 : Number(match[7].padEnd(3, "0"));
  return Date.UTC(year, month - 1, day, hour, minute, second, ms) -
    (match[8] === undefined ? 0 : offset(match));
}

/** Milliseconds by which a time with this offset is ahead of UTC. */
function offset(match: RegExpExecArray): number {
  const hours = Number(match[9]), minutes = Number(match[10] ?? 0);
  if (hours > 23 || minutes > 59) return NaN;
  return (match[8] === "-" ? -1 : 1) * (hours * 60 + minutes) * 60_000;
}

function daysIn(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

/** The earliest and the latest time that a row may have: ISO 8601 in UTC with milliseconds, which compare as text. */
export interface TimeWindow {
  readonly earliest: string;
  readonly latest: string;
}

/** From `earliest` to a day ahead of `now`, both epoch milliseconds. */
export function timeWindow({ now, earliest = FIRST_EPOCH }: { now: number; earliest?: number }): TimeWindow {
  return { earliest: iso(earliest), latest: latestTime(now) };
}

/** What is wrong with a canonical time that lies outside the window; else null. */
export function outsideWindow(timestamp: string, { earliest, latest }: TimeWindow): string | null {
  if (timestamp < earliest) return `is before ${earliest.slice(0, 10)}`;
  return timestamp > latest ? "is more than a day in the future" : null;
}
