import { z } from "../../deps.ts";
import { iso } from "../core/clock.ts";
import { expected } from "./issue.ts";
import { refuse } from "./text.ts";

/**
 * Epoch numbers below this are seconds, from here on milliseconds: seconds reach to the year 5138, and milliseconds
 * start in March 1973, so real data falls on the right side.
 */
export const SECONDS_BELOW = 1e11;

const LAST = Date.UTC(9999, 11, 31, 23, 59, 59, 999);
const NUMERIC = /^[+-]?\d+(?:\.\d+)?$/;
/** Digits that may be a year or a day such as `20240131` are no epoch. */
const EPOCH_DIGITS = 9;
const ISO =
  /^(\d{4})-(\d{2})-(\d{2})[Tt ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,3})\d*)?)? ?(?:[Zz]|([+-])(\d{2})(?::?(\d{2}))?)$/;
const WITHOUT_OFFSET = /^\d{4}-\d{2}-\d{2}(?:[Tt ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?)?$/;

/** Most times come like this, need no arithmetic, and are rewritten twice as fast as a `Date` prints them. */
const UTC =
  /^(?:19[7-9]\d|[2-9]\d{3})-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{3})?Z$/;

/** A moment, stored as ISO 8601 in UTC with milliseconds; finer fractions are cut off. */
export const time = z.union([z.string(), z.number()], expected("a time")).transform((value, context) => {
  if (typeof value === "string" && UTC.test(value)) {
    return value.length === 24 ? value : `${value.slice(0, 19)}.000Z`;
  }
  const read = readTime(value);
  return typeof read === "number" ? iso(read) : refuse(context, read);
});

/** Milliseconds since the epoch, 1970 to 9999, or a complaint that never quotes the value. */
export function readTime(value: string | number): number | string {
  const ms = typeof value === "number" ? fromEpoch(value) : fromText(value.trim());
  if (typeof ms === "string") return ms;
  if (Number.isNaN(ms)) return "is not a real date";
  if (ms < 0) return "is before 1970";
  return ms > LAST ? "is after the year 9999" : ms;
}

function fromEpoch(value: number): number {
  return Math.floor(Math.abs(value) < SECONDS_BELOW ? value * 1000 : value);
}

function fromText(text: string): number | string {
  const parts = ISO.exec(text);
  if (parts !== null) return fromIso(parts);
  if (NUMERIC.test(text)) return fromDigits(text);
  if (WITHOUT_OFFSET.test(text)) return "has no UTC offset; add Z or one like +02:00";
  return "is not a time: give ISO 8601 with an offset, or epoch seconds or milliseconds";
}

function fromDigits(text: string): number | string {
  const whole = text.replace(/^[+-]|\..*$/g, "");
  if (whole.length >= EPOCH_DIGITS) return fromEpoch(Number(text));
  return "is too short for an epoch in a string; give ISO 8601 with an offset, or a JSON number";
}

/** NaN where a field is out of its range: `Date.UTC` would carry 30 February over into March. */
function fromIso(p: RegExpExecArray): number {
  const year = Number(p[1]), month = Number(p[2]), day = Number(p[3]);
  const hour = Number(p[4]), minute = Number(p[5]), second = Number(p[6] ?? 0);
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
