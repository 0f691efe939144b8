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

Deno.test("dueOccurrences() gives nothing twice, and nothing while the clock stands before what was done", () => {
  for (const policy of ["none", "latest", "all"] as const) {
    assert.deepEqual(due(policy, "2026-05-02T03:00:00Z", "2026-05-02T03:00:00Z"), []);
    assert.deepEqual(due(policy, "2026-05-02T03:00:00Z", "2026-05-01T12:00:00Z"), []);
  }
});
