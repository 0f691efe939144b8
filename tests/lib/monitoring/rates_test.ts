import assert from "node:assert/strict";
import { anyAlarm, detected, worlds } from "../../fixtures/monitoring_rates.ts";
import { anyServingAlarm, cleanDay, foundAfter, SERVING_FAULTS } from "../../fixtures/serving_rates.ts";
import { FAULTS } from "../../fixtures/monitoring_faults.ts";

/** Seeded, so that a figure changes with the method alone. `deno task bench anomalies` judges every night. */
const CLEAN = worlds(100, 84);

Deno.test("the detector cries wolf on less than 2 % of nights with a short history", () => {
  for (const night of [9, 14, 18]) {
    const share = anyAlarm(CLEAN, night);
    assert.ok(share <= 0.02, `${share} on night ${night}`);
  }
});

Deno.test("the detector cries wolf on less than 1.5 % of nights with a long history", () => {
  const nights = [48, 56, 63, 71, 83];
  const shares = nights.map((night) => anyAlarm(CLEAN, night));
  const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length;
  assert.ok(mean <= 0.015, `${shares}`);
});

/** Share of the worlds in which each fault must be found after 83 nights. */
const MIN_SHARES: Readonly<Record<string, number>> = {
  "a tenth of the rows": 0.99,
  "a third of the rows": 0.85,
  "five times the rows": 0.95,
  "a stage ten times as slow": 0.9,
  "a stage four times as slow": 0.7,
  "a stage that gives nothing": 0.99,
  "15 % of the rows refused": 0.99,
  "an attempt lost": 1,
  "a tenth of the engagement": 0.99,
  "half the clicks": 0.75,
};

for (const fault of FAULTS) {
  Deno.test(`the detector finds ${fault.name}`, () => {
    const share = detected(CLEAN, fault, 83);
    assert.ok(share >= MIN_SHARES[fault.name]!, `in ${share} of the worlds`);
  });
}

const DAYS = Array.from({ length: 100 }, (_, i) => cleanDay(i + 1));

Deno.test("the detector cries wolf of serving in less than 0.1 % of spans, a publish among them", () => {
  const [before, after] = [anyServingAlarm(DAYS, 100, 120), anyServingAlarm(DAYS, 174, 200)];
  assert.ok(before <= 0.001 && after <= 0.001, `${[before, after]}`);
});

/** Share of the days in which each fault of serving must be found. */
const MIN_SERVING: Readonly<Record<string, number>> = {
  "a tenth of the answers errors": 0.99,
  "3 % of the answers errors": 0.75,
  "answers four times as slow": 0.85,
  "a cache that is away for 15 minutes": 0.95,
};

for (const fault of SERVING_FAULTS) {
  Deno.test(`the detector finds ${fault.name}`, () => {
    const share = foundAfter(DAYS, fault, 100);
    assert.ok(share >= MIN_SERVING[fault.name]!, `on ${share} of the days`);
  });
}
