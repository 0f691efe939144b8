import assert from "node:assert/strict";
import type { CatchUp, Schedule } from "../../../lib/dag/schedule.ts";
import { dueOccurrences, nextOccurrences } from "../../../lib/dag/schedule.ts";

const schedule = (cron: string, timezone: string, catch_up: CatchUp = "all"): Schedule => ({
  cron,
  timezone,
  catch_up,
});
const at = Date.parse;
const iso = (ms: number) => new Date(ms).toISOString().replace(".000Z", "Z");

/** The nights on which the clock changes in 2026, with when 02:30 is due: in the gap at the first instant after it. */
const ODD_NIGHTS = [
  {
    zone: "Europe/Berlin",
    night: "the gap",
    after: "2026-03-28T12:00:00Z",
    due: ["2026-03-29T01:00:00Z 2026-03-29T03:00:00+02:00", "2026-03-30T00:30:00Z 2026-03-30T02:30:00+02:00"],
  },
  {
    zone: "Europe/Berlin",
    night: "the hour that comes twice",
    after: "2026-10-24T12:00:00Z",
    due: ["2026-10-25T00:30:00Z 2026-10-25T02:30:00+02:00", "2026-10-26T01:30:00Z 2026-10-26T02:30:00+01:00"],
  },
  {
    zone: "America/New_York",
    night: "the gap",
    after: "2026-03-07T12:00:00Z",
    due: ["2026-03-08T07:00:00Z 2026-03-08T03:00:00-04:00", "2026-03-09T06:30:00Z 2026-03-09T02:30:00-04:00"],
  },
  {
    zone: "America/New_York",
    night: "the night that is longer",
    after: "2026-10-31T12:00:00Z",
    due: ["2026-11-01T07:30:00Z 2026-11-01T02:30:00-05:00", "2026-11-02T07:30:00Z 2026-11-02T02:30:00-05:00"],
  },
];

for (const { zone, night, after, due } of ODD_NIGHTS) {
  Deno.test(`nextOccurrences() has 02:30 in ${zone} once in ${night}`, () => {
    const found = nextOccurrences(schedule("30 2 * * *", zone), at(after), 2);
    assert.deepEqual(
      found.map(({ due, name }) => `${iso(due)} ${name}`),
      due.map((each) => `${each}[${zone}]`),
    );
  });

  Deno.test(`dueOccurrences() fires 02:30 in ${zone} once in ${night}, looked at every five minutes`, () => {
    for (const catch_up of ["none", "latest", "all"] as const) {
      const daily = schedule("30 2 * * *", zone, catch_up);
      const fired: string[] = [];
      let since = at(after);
      for (let now = since; now <= at(after) + 2 * 86_400_000; now += 300_000) {
        for (const each of dueOccurrences({ schedule: daily, since, now, tolerance_ms: 300_000, limit: 9 })) {
          fired.push(iso(each.due));
          since = each.due;
        }
      }
      assert.deepEqual(fired, due.map((each) => each.split(" ")[0]), catch_up);
    }
  });
}

Deno.test("nextOccurrences() has 01:30 in New York once in the hour that comes twice", () => {
  const found = nextOccurrences(schedule("30 1 * * *", "America/New_York"), at("2026-10-31T12:00:00Z"), 2);
  assert.deepEqual(found.map(({ due }) => iso(due)), ["2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"]);
});

for (
  const [zone, from] of [["Europe/Berlin", "2026-10-24T22:30:00Z"], [
    "America/New_York",
    "2026-11-01T03:30:00Z",
  ]]
) {
  Deno.test(`nextOccurrences() has every hour of the longer night in ${zone}, each under its own name`, () => {
    const found = nextOccurrences(schedule("0 * * * *", zone!), at(from!), 5);
    const first = at(from!) + 1_800_000;
    assert.deepEqual(found.map(({ due }) => due), [0, 1, 2, 3, 4].map((hours) => first + hours * 3_600_000));
    assert.equal(new Set(found.map(({ name }) => name)).size, 5);
  });
}

Deno.test("nextOccurrences() gives each occurrence the interval since the one before, over the odd nights too", () => {
  for (
    const [zone, after] of [["Europe/Berlin", "2026-03-27T12:00:00Z"], [
      "America/New_York",
      "2026-10-30T12:00:00Z",
    ]]
  ) {
    const found = nextOccurrences(schedule("30 2 * * *", zone!), at(after!), 5);
    for (const [i, each] of found.entries()) {
      if (i > 0) assert.equal(each.interval_start, found[i - 1]!.due);
    }
  }
});

const NIGHTLY = (catch_up: CatchUp) => schedule("0 3 * * *", "UTC", catch_up);
const due = (catch_up: CatchUp, since: string, now: string, limit = 100) =>
  dueOccurrences({ schedule: NIGHTLY(catch_up), since: at(since), now: at(now), tolerance_ms: 15_000, limit })
    .map((each) => iso(each.due));

Deno.test("dueOccurrences() makes up for downtime by policy: none, the latest, or all", () => {
  const [since, now] = ["2026-05-01T03:00:00Z", "2026-05-04T12:00:00Z"];
  assert.deepEqual(due("none", since, now), []);
  assert.deepEqual(due("latest", since, now), ["2026-05-04T03:00:00Z"]);
  assert.deepEqual(due("all", since, now), [
    "2026-05-02T03:00:00Z",
    "2026-05-03T03:00:00Z",
    "2026-05-04T03:00:00Z",
  ]);
  assert.deepEqual(due("all", since, now, 2), ["2026-05-02T03:00:00Z", "2026-05-03T03:00:00Z"]);
});

Deno.test("dueOccurrences() is due from its very instant on, and under none no longer than is tolerated", () => {
  const since = "2026-05-01T03:00:00Z";
  for (const policy of ["none", "latest", "all"] as const) {
    assert.deepEqual(due(policy, since, "2026-05-02T02:59:59.999Z"), [], policy);
    assert.deepEqual(due(policy, since, "2026-05-02T03:00:00Z"), ["2026-05-02T03:00:00Z"], policy);
    assert.deepEqual(due(policy, since, "2026-05-02T03:00:15Z"), ["2026-05-02T03:00:00Z"], policy);
  }
  assert.deepEqual(due("none", since, "2026-05-02T03:00:16Z"), []);
});

Deno.test("dueOccurrences() gives nothing twice, and nothing while the clock is before the last occurrence", () => {
  for (const policy of ["none", "latest", "all"] as const) {
    assert.deepEqual(due(policy, "2026-05-02T03:00:00Z", "2026-05-02T03:00:00Z"), []);
    assert.deepEqual(due(policy, "2026-05-02T03:00:00Z", "2026-05-01T12:00:00Z"), []);
  }
});

Deno.test("nextOccurrences() takes times in steps of a range as fixed ones, and leaves out those of a * in a gap", () => {
  const london = (cron: string) =>
    nextOccurrences(schedule(cron, "Europe/London"), at("2026-03-28T12:00:00Z"), 3).map(({ due }) =>
      iso(due)
    );
  assert.deepEqual(london("0-30/30 1-3/2 * * *"), [
    "2026-03-29T01:00:00Z",
    "2026-03-29T02:00:00Z",
    "2026-03-29T02:30:00Z",
  ]);
  assert.deepEqual(london("*/30 1 * * *"), [
    "2026-03-30T00:00:00Z",
    "2026-03-30T00:30:00Z",
    "2026-03-31T00:00:00Z",
  ]);
});

/** Days of 2026 on which a schedule in UTC is due at 04:05, as `05-31`. */
const days = (cron: string, limit: number) =>
  nextOccurrences(schedule(`5 4 ${cron}`, "UTC"), at("2026-05-01T00:00:00Z"), limit).map((each) =>
    iso(each.due).slice(5, 10)
  );

Deno.test("nextOccurrences() is due on either of day and weekday if neither begins with *, else on both", () => {
  // 1 May 2026 is a Friday.
  assert.deepEqual(days("2,20 * 3", 5), ["05-02", "05-06", "05-13", "05-20", "05-27"]);
  assert.deepEqual(days("*/2 * 5", 4), ["05-01", "05-15", "05-29", "06-05"]);
  assert.deepEqual(days("*/10 * 1-5", 4), ["05-01", "05-11", "05-21", "06-01"]);
  assert.deepEqual(days("1-7 * */6", 4), ["05-02", "05-03", "06-06", "06-07"]);
  assert.deepEqual(days("* * 5", 3), ["05-01", "05-08", "05-15"]);
  assert.deepEqual(days("9 * *", 2), ["05-09", "06-09"]);
});

Deno.test("nextOccurrences() has a time in a gap that ends at midnight on the next day, with its weekday and day kept", () => {
  // In Nuuk, 28 March 2026, a Saturday, ends at 23:00.
  const zone = "America/Nuuk";
  for (
    const [cron, next] of [
      ["30 23 * * *", "2026-03-29T23:30:00-01:00"],
      ["15,30 23 * * 6", "2026-04-04T23:15:00-01:00"],
      ["0 23 28 3 *", "2027-03-28T23:00:00-01:00"],
    ]
  ) {
    const found = nextOccurrences(schedule(cron!, zone), at("2026-03-28T12:00:00Z"), 2);
    assert.deepEqual(found.map(({ name }) => name), [
      `2026-03-29T00:00:00-01:00[${zone}]`,
      `${next}[${zone}]`,
    ]);
    for (const catch_up of ["none", "latest", "all"] as const) {
      const [midnight, since] = [at("2026-03-29T01:00:00Z"), at("2026-03-28T12:00:00Z")];
      const due = (now: number) =>
        dueOccurrences({
          schedule: schedule(cron!, zone, catch_up),
          since,
          now,
          tolerance_ms: 1_000,
          limit: 9,
        });
      assert.deepEqual([due(midnight - 1).length, due(midnight).map((each) => each.due)], [0, [midnight]]);
    }
  }
});

Deno.test("nextOccurrences() has each of several fixed times once on a night with a gap and on the longer one", () => {
  const berlin = (after: string) =>
    nextOccurrences(schedule("30 2,3 * * *", "Europe/Berlin"), at(after), 3).map(({ due }) => iso(due));
  assert.deepEqual(berlin("2026-03-28T12:00:00Z"), [
    "2026-03-29T01:00:00Z",
    "2026-03-29T01:30:00Z",
    "2026-03-30T00:30:00Z",
  ]);
  assert.deepEqual(berlin("2026-10-24T12:00:00Z"), [
    "2026-10-25T00:30:00Z",
    "2026-10-25T02:30:00Z",
    "2026-10-26T01:30:00Z",
  ]);
});
