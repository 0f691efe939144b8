import assert from "node:assert/strict";
import { anyAlarm, detected, worlds } from "../../fixtures/quality_rates.ts";
import { FAULTS } from "../../fixtures/quality_faults.ts";

/** Seeded, so that a figure changes with the method alone. `deno task bench anomalies` judges every night. */
const CLEAN = worlds(200, 84);

Deno.test("the detector cries wolf on less than 2 % of nights with a short history", async () => {
  for (const night of [9, 14, 18]) {
    const share = await anyAlarm(CLEAN, night);
    assert.ok(share <= 0.02, `${share} on night ${night}`);
  }
});

Deno.test("the detector cries wolf on less than 1.5 % of nights with a long history", async () => {
  const nights = [48, 56, 63, 71, 83];
  const shares = await Promise.all(nights.map((night) => anyAlarm(CLEAN, night)));
  const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length;
  assert.ok(mean <= 0.015, `${shares}`);
});

/** Share of the worlds in which each fault must be found after 83 nights. */
const LEAST: Readonly<Record<string, number>> = {
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
  Deno.test(`the detector finds ${fault.name}`, async () => {
    const share = await detected(CLEAN, fault, 83);
    assert.ok(share >= LEAST[fault.name]!, `in ${share} of the worlds`);
  });
}
