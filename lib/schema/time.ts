import { z } from "../../deps.ts";
import { DAY_MS, iso, latestTime } from "../core/clock.ts";
import { expected } from "./issue.ts";
import { refuse } from "./text.ts";

/**
 * Epoch numbers below this are seconds, from here on milliseconds: seconds reach to the year 5138, and milliseconds
 * start in March 1973, so real data falls on the right side.
 */
const SECONDS_BELOW = 1e11;

/** Numbers of an epoch before this are none: compact dates, days of a spreadsheet, a clock that was never set. */
const FIRST_EPOCH = Date.UTC(1990, 0, 1);
const LAST = Date.UTC(9999, 11, 31, 23, 59, 59, 999);
const NUMERIC = /^[+-]?\d+(?:\.\d+)?$/;
/** `20260501`, `202605010930` or `20260501093000`. */
const COMPACT =
  /^(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:(?:[01]\d|2[0-3])[0-5]\d(?:[0-5]\d)?)?$/;
const ISO =
  /^(\d{4})-(\d{2})-(\d{2})[Tt ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,3})\d*)?)? ?(?:[Zz]|([+-])(\d{2})(?::?(\d{2}))?)$/;
const WITHOUT_OFFSET = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?$/;
const DAY = /^(\d{4})-(\d{2})-(\d{2})$/;

/** Every reason shows a form that is taken. */
const WRITE = "write it like 2026-05-01T09:30:00Z";
const NO_EPOCH = `is not an epoch in seconds or milliseconds from 1990 on; ${WRITE}`;

/** Most times come like this, need no arithmetic, and are rewritten twice as fast as a `Date` prints them. */
const UTC =
  /^(?:19[7-9]\d|[2-9]\d{3})-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{3})?Z$/;

/** A moment, stored as ISO 8601 in UTC with milliseconds; finer fractions are cut off. */
export const time = timeOr((text) => DAY.test(text) ? `is a day without a time; ${WRITE}` : null);

/** The same, or a plain day, which means its first instant in UTC. */
export const startTime = timeOr((text) => parseDay(text, 0));

/** The same, or a plain day that is the last one: it means the first instant after it, in UTC. */
export const endTime = timeOr((text) => parseDay(text, DAY_MS));

/** `plain` reads texts that are no moment by themselves; null leaves them to {@link parseTime}. */
function timeOr(plain: (text: string) => number | string | null) {
  return z.union([z.string(), z.number()], expected("a time")).transform((value, context) => {
    if (typeof value === "string" && UTC.test(value)) {
      return value.length === 24 ? value : `${value.slice(0, 19)}.000Z`;
    }
    const read = (typeof value === "string" ? plain(value.trim()) : null) ?? parseTime(value);
    return typeof read === "number" ? iso(read) : refuse(context, read);
  });
}

function parseDay(text: string, offset: number): number | string | null {
  const parts = DAY.exec(text);
  // The last day of all, which stands for "never", has no instant after it.
  return parts === null ? null : inRange(Math.min(fromIso(parts) + offset, LAST));
}

/** Milliseconds since the epoch, 1970 to 9999, or a complaint that never quotes the value. */
export function parseTime(value: string | number): number | string {
  return inRange(typeof value === "number" ? fromEpoch(String(value)) : fromText(value.trim()));
}

function inRange(ms: number | string): number | string {
  if (typeof ms === "string") return ms;
  if (Number.isNaN(ms)) return "is not a real date";
  if (ms < 0) return "is before 1970";
  return ms > LAST ? "is after the year 9999" : ms;
}

function fromText(text: string): number | string {
  const parts = ISO.exec(text);
  if (parts !== null) return fromIso(parts);
  if (NUMERIC.test(text)) return fromEpoch(text);
  if (WITHOUT_OFFSET.test(text)) return "has no UTC offset; add Z or one like +02:00";
  return `is not a time: ${WRITE}, or as epoch seconds or milliseconds`;
}

function fromEpoch(digits: string): number | string {
  if (COMPACT.test(digits)) return `is a date without separators; ${WRITE}`;
  const value = Number(digits);
  const ms = Math.floor(Math.abs(value) < SECONDS_BELOW ? value * 1000 : value);
  return ms >= FIRST_EPOCH && ms <= LAST ? ms : NO_EPOCH;
}

/** NaN where a field is out of its range: `Date.UTC` would carry 30 February over into March. */
function fromIso(p: RegExpExecArray): number {
  const year = Number(p[1]), month = Number(p[2]), day = Number(p[3]);
  const hour = Number(p[4] ?? 0), minute = Number(p[5] ?? 0), second = Number(p[6] ?? 0);
  if (month < 1 || month > 12 || day < 1 || day > daysIn(year, month)) return NaN;
  if (hour > 23 || minute > 59 || second > 59) return NaN;
  const ms = p[7] === undefined ? 0 : Number(p[7].padEnd(3, "0"));
  return Date.UTC(year, month - 1, day, hour, minute, second, ms) - (p[8] === undefined ? 0 : offset(p));
}

/** Milliseconds that the clock shown is ahead of UTC. */
function offset(p: RegExpExecArray): number {
  const hours = Number(p[9]), minutes = Number(p[10] ?? 0);
  if (hours > 23 || minutes > 59) return NaN;
  return (p[8] === "-" ? -1 : 1) * (hours * 60 + minutes) * 60_000;
}

function daysIn(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

/** The times that a row of the past may have: ISO 8601 in UTC with milliseconds, which compare as text. */
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
