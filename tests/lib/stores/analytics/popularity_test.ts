import assert from "node:assert/strict";
import { type CampaignDay, Popularity } from "../../../../lib/stores/analytics/popularity.ts";

const DAY = "2026-03-31";

function day(campaign_id: string, overrides: Partial<CampaignDay> = {}): CampaignDay {
  return { campaign_id, day: DAY, impressions: 0, clicks: 0, conversions: 0, dismissals: 0, ...overrides };
}

function popularity(days: readonly CampaignDay[], half_life_days = 30): Record<string, number> {
  const built = new Popularity({ newest: DAY, half_life_days });
  for (const row of days) built.add(row);
  return Object.fromEntries(built.stats().map((row) => [row.campaign_id, row.popularity]));
}

Deno.test("Popularity follows its formula", () => {
  const found = popularity([
    day("a", { impressions: 4, clicks: 1 }),
    day("b", { day: "2026-03-01", conversions: 2 }),
    day("b", { conversions: 1 }),
  ]);
  // The first of March is 30 days old: b has n = 2 × ½ + 1 = 2 meetings worth w = 6; a has n = 5 worth 4 × 0.05 + 1 = 1.2.
  const prior = (1.2 + 6) / (5 + 2);
  const a = (1.2 + 10 * prior) / 15 * Math.sqrt(5);
  const b = (6 + 10 * prior) / 12 * Math.sqrt(2);
  assert.equal(found.b, 1);
  assert.ok(Math.abs(found.a! - a / b) < 1e-12, `${found.a} is not ${a / b}`);
});

Deno.test("Popularity ranks by how many met it where all events are conversions", () => {
  const found = popularity([day("few", { conversions: 2 }), day("many", { conversions: 40 })]);
  assert.ok(found.many === 1 && found.few! > 0 && found.few! < 1);
});

Deno.test("Popularity does not let one lucky conversion lead, be the others much or little engaged with", () => {
  const lucky = day("lucky", { impressions: 1, conversions: 1 });
  for (
    const steady of [
      { impressions: 500, clicks: 200, conversions: 80 },
      { impressions: 500, clicks: 5 },
      { impressions: 10, clicks: 3, conversions: 1 },
    ]
  ) {
    const found = popularity([lucky, day("steady", steady)]);
    assert.ok(found.steady === 1 && found.lucky! < 0.6, `${found.lucky}`);
  }
});

Deno.test("Popularity ranks chosen campaigns above campaigns that were only shown", () => {
  const found = popularity([
    day("shown", { impressions: 2_000 }),
    day("chosen", { impressions: 200, clicks: 60 }),
  ]);
  assert.equal(found.chosen, 1);
});

Deno.test("Popularity of a campaign that was only dismissed, or never shown, is 0", () => {
  const found = popularity([
    day("off", { impressions: 50, dismissals: 40 }),
    day("liked", { clicks: 80 }),
    day("unmet", { day: null }),
  ]);
  assert.deepEqual(found, { off: 0, liked: 1, unmet: 0 });
});

Deno.test("Popularity of a catalogue without events is 0 throughout", () => {
  const built = new Popularity({ newest: null, half_life_days: 30 });
  built.add(day("a", { day: null }));
  assert.deepEqual(built.stats().map((row) => row.popularity), [0]);
});

Deno.test("Popularity counts what comes after the newest day that can be right like that day", () => {
  const days = [day("a", { day: "2026-03-01", conversions: 3 }), day("b", { clicks: 1 })];
  const ahead = popularity([...days, day("c", { day: "2106-02-07", clicks: 1 })]);
  assert.deepEqual(ahead, popularity([...days, day("c", { clicks: 1 })]));
  assert.ok(ahead.c! > 0 && ahead.c! < 1 && ahead.a === 1);
});

Deno.test("Popularity outlives a newest day so far off that all other engagement has decayed", () => {
  const built = new Popularity({ newest: "9999-12-31", half_life_days: 1 });
  built.add(day("a", { clicks: 3 }));
  assert.deepEqual(built.stats().map((row) => row.popularity), [0]);
});
