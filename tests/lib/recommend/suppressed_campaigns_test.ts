import assert from "node:assert/strict";
import { suppressedCampaigns } from "../../../lib/recommend/suppressed_campaigns.ts";
import type { FinalEngagement } from "../../../lib/stores/analytics/port.ts";

const final = (campaign_id: string, options: Partial<FinalEngagement>): FinalEngagement => ({
  campaign_id,
  converted_at: null,
  dismissals: 0,
  repurchase_days: null,
  ...options,
});
const BOUGHT = "2026-01-01T00:00:00.000Z";

function at(now: string, repurchase_days: number | null, ...rows: FinalEngagement[]) {
  const suppressed = suppressedCampaigns(rows, { now: Date.parse(now), repurchase_days });
  return Object.fromEntries(suppressed.map(({ campaign_id, until }) => [campaign_id, until]));
}

Deno.test("suppressedCampaigns() lets a converted campaign return after its own days, or else the setting's", () => {
  const rows = [
    final("own", { converted_at: BOUGHT, repurchase_days: 10 }),
    final("other", { converted_at: BOUGHT }),
    final("dismissed", { converted_at: BOUGHT, dismissals: 1, repurchase_days: 0 }),
    final("at-once", { converted_at: BOUGHT, repurchase_days: 0 }),
  ];
  assert.deepEqual(at("2026-01-10T23:59:59.999Z", 20, ...rows), {
    own: "2026-01-11T00:00:00.000Z",
    other: "2026-01-21T00:00:00.000Z",
    dismissed: null,
  });
  assert.deepEqual(at("2026-01-11T00:00:00.000Z", 20, ...rows), {
    other: "2026-01-21T00:00:00.000Z",
    dismissed: null,
  });
  assert.deepEqual(at("2099-01-01T00:00:00.000Z", null, ...rows), { other: null, dismissed: null });
});

Deno.test("suppressedCampaigns() gives times that compare as text, however far off", () => {
  const rows = [final("k", { converted_at: "9999-06-01T00:00:00.000Z", repurchase_days: 36_500 })];
  assert.deepEqual(at(BOUGHT, null, ...rows), { k: "9999-12-31T00:00:00.000Z" });
});
