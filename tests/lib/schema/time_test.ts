import assert from "node:assert/strict";
import { endTime, parseTime, startTime, time } from "../../../lib/schema/time.ts";

const at = (value: unknown) => {
  const parsed = time.safeParse(value);
  return parsed.success ? parsed.data : parsed.error.issues[0]!.message;
};

Deno.test("time reads ISO 8601 with an offset as UTC with milliseconds", () => {
  for (
    const [given, utc] of [
      ["2026-01-31T23:30:00Z", "2026-01-31T23:30:00.000Z"],
      ["2026-01-31T23:30:00.5Z", "2026-01-31T23:30:00.500Z"],
      ["2026-01-31T23:30:00.123456789Z", "2026-01-31T23:30:00.123Z"],
      ["2026-01-31T23:30:00,25z", "2026-01-31T23:30:00.250Z"],
      ["2026-01-31T23:30:00-01:00", "2026-02-01T00:30:00.000Z"],
      ["2026-01-31T23:30:00+0530", "2026-01-31T18:00:00.000Z"],
      ["2026-01-31 23:30+02", "2026-01-31T21:30:00.000Z"],
      ["2024-02-29t00:00:00Z", "2024-02-29T00:00:00.000Z"],
      ["1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z"],
      ["9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"],
      [" 2026-01-31T23:30:00.007Z ", "2026-01-31T23:30:00.007Z"],
    ] as const
  ) assert.equal(at(given), utc, given);
});

Deno.test("time reads epoch seconds and milliseconds, as numbers or digits", () => {
  for (
    const [given, utc] of [
      [631_152_000, "1990-01-01T00:00:00.000Z"],
      [631_152_000_000, "1990-01-01T00:00:00.000Z"],
      [1_514_999_999, "2018-01-03T17:19:59.000Z"],
      [1_514_999_999.25, "2018-01-03T17:19:59.250Z"],
      [1_514_999_999_123, "2018-01-03T17:19:59.123Z"],
      ["1514999999", "2018-01-03T17:19:59.000Z"],
      ["1514999999123", "2018-01-03T17:19:59.123Z"],
      [99_999_999_999, "5138-11-16T09:46:39.000Z"],
      [1_901_010_100, "2030-03-29T10:21:40.000Z"],
      [253_402_300_799_999, "9999-12-31T23:59:59.999Z"],
    ] as const
  ) assert.equal(at(given), utc, String(given));
});

Deno.test("time asks for a missing offset or time of day", () => {
  for (const given of ["2026-01-31T23:30:00", "2026-01-31 23:30", "2026-01-31T23:30:00.5"]) {
    assert.equal(at(given), "has no UTC offset; add Z or one like +02:00", given);
    for (const offset of ["Z", "+02:00"]) assert.match(at(given + offset), /^2026-01-31T2[13]:30:00/);
  }
  assert.equal(at("2026-01-31"), "is a day without a time; write it like 2026-05-01T09:30:00Z");
});

Deno.test("time takes each form that one of its reasons shows", () => {
  const wrong = ["2026-01-31", "20260131", 20260131093000, 46000.5, -1, "yesterday", 0, 1e300, "4.5", "1e9"];
  for (const given of wrong) {
    const [shown] = /\d{4}-\S*?Z/.exec(at(given)) ?? [];
    assert.equal(at(shown), "2026-05-01T09:30:00.000Z", `${given}: ${at(given)}`);
  }
});

Deno.test("startTime and endTime take a plain day, and else what time takes", () => {
  assert.equal(startTime.parse("2026-12-31"), "2026-12-31T00:00:00.000Z");
  assert.equal(endTime.parse("2026-12-31"), "2027-01-01T00:00:00.000Z");
  for (const each of [startTime, endTime]) {
    assert.equal(each.parse("2026-12-31T10:00:00+01:00"), "2026-12-31T09:00:00.000Z");
    assert.equal(each.safeParse(20261231).error?.issues[0]?.message, at(20261231));
  }
});

Deno.test("time refuses text that is no date, and dates outside 1970 to 9999", () => {
  for (
    const [given, complaint] of [
      ["2026-02-30T00:00:00Z", "is not a real date"],
      ["2025-02-29T00:00:00Z", "is not a real date"],
      ["2100-02-29T00:00:00Z", "is not a real date"],
      ["2026-04-31T00:00:00Z", "is not a real date"],
      ["2026-13-01T00:00:00Z", "is not a real date"],
      ["2026-00-01T00:00:00Z", "is not a real date"],
      ["2026-01-00T00:00:00Z", "is not a real date"],
      ["2026-01-01T24:00:00Z", "is not a real date"],
      ["2026-01-01T00:60:00Z", "is not a real date"],
      ["2026-01-01T00:00:61Z", "is not a real date"],
      ["2026-01-01T00:00:00+24:00", "is not a real date"],
      ["1969-12-31T23:59:59Z", "is before 1970"],
      ["1970-01-01T00:00:00+00:01", "is before 1970"],
      ["0000-01-01T00:00:00Z", "is before 1970"],
      ["9999-12-31T23:59:59-00:01", "is after the year 9999"],
      ["yesterday", "is not a time: write it like 2026-05-01T09:30:00Z, or as epoch seconds or milliseconds"],
      ["", "is not a time: write it like 2026-05-01T09:30:00Z, or as epoch seconds or milliseconds"],
      [true, "must be a time"],
      [{}, "must be a time"],
      [NaN, "must be a time"],
      [undefined, "is missing"],
    ] as const
  ) assert.equal(at(given), complaint, String(given));
});

Deno.test("time refuses numbers that are no epoch, as numbers and as digits", () => {
  const write = "write it like 2026-05-01T09:30:00Z";
  const compact = `is a date without separators; ${write}`;
  const none = `is not an epoch in seconds or milliseconds from 1990 on; ${write}`;
  for (
    const [given, complaint] of [
      [20260501, compact],
      [202605010930, compact],
      [20260501093000, compact],
      [20261301, none],
      [46000.5, none],
      [2018, none],
      [0, none],
      [-1, none],
      [631_151_999, none],
      [253_402_300_800_000, none],
      [1_514_999_999_123_456, none],
    ] as const
  ) for (const each of [given, String(given)]) assert.equal(at(each), complaint, String(given));
});

Deno.test("time has a fast path for usual times, with the result of the slow path", () => {
  for (let day = 0; day < 800; day++) {
    const ms = Date.UTC(2023, 11, 20) + day * 86_400_000 + day * 61_001;
    const exact = new Date(ms).toISOString();
    assert.equal(at(exact), exact);
    assert.equal(parseTime(exact), ms);
    assert.equal(at(`${exact.slice(0, 19)}Z`), `${exact.slice(0, 19)}.000Z`);
  }
});
