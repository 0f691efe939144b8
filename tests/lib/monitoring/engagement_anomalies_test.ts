import { DAY_MS, iso } from "../../../lib/core/clock.ts";
import assert from "node:assert/strict";
import { engagementAnomalies } from "../../../lib/monitoring/engagement_anomalies.ts";
import type { EngagementDay } from "../../../lib/stores/analytics/port.ts";
import { cleanWorld, NIGHT } from "../../fixtures/monitoring.ts";

const { days } = cleanWorld(5, 40);
/** Noon of the newest of 40 days, which is not over. */
const NOON = NIGHT + 39 * DAY_MS + DAY_MS / 2;
const judge = (rows: readonly EngagementDay[], now = NOON) =>
  engagementAnomalies({ daily: () => Promise.resolve([...rows]) }, now);
const changed = (change: (day: EngagementDay) => Partial<EngagementDay>) =>
  days.with(-2, { ...days.at(-2)!, ...change(days.at(-2)!) });

Deno.test("engagementAnomalies() reports nothing for days like the others, without days, or for the current day", async () => {
  const nothing = { open: [], past: [] };
  assert.deepEqual(await judge(days), nothing);
  assert.deepEqual(await judge([]), nothing);
  const nothingYet = { impressions: 1, clicks: 0, conversions: 0, dismissals: 0 };
  assert.deepEqual(await judge(days.with(-1, { ...days.at(-1)!, ...nothingYet })), nothing);
});

Deno.test("engagementAnomalies() reports the first measure that fell, on the newest whole day", async () => {
  const { open: [fell, ...others] } = await judge(
    changed(() => ({ impressions: 0, clicks: 0, conversions: 0 })),
  );
  assert.deepEqual(others, []);
  assert.deepEqual([fell?.code, fell?.figure, fell?.subject], [
    "engagement_drop",
    0,
    { kind: "engagement", measure: "impressions" },
  ]);
  assert.equal(fell?.since.slice(0, 10), days.at(-2)!.day);
  assert.ok(fell!.expected > 0 && fell!.history!.length > 30);
  assert.equal(
    fell!.text,
    `0 impressions on ${days.at(-2)!.day} where about ${fell!.expected} were to be expected: ` +
      "look whether answers are served, shown, and their events delivered",
  );
});

Deno.test("engagementAnomalies() takes a day without a row for a day without events", async () => {
  assert.deepEqual((await judge(days.toSpliced(-2, 1))).open.map(({ code }) => code), ["engagement_drop"]);
});

Deno.test("engagementAnomalies() reports that campaigns are clicked less", async () => {
  const { open: found } = await judge(changed(({ clicks }) => ({ clicks: Math.round(clicks / 4) })));
  const rate = found.find(({ code }) => code === "click_rate_drop");
  assert.match(
    rate!.text,
    /^[\d.]+ ?% of what was shown on \S+ was clicked where [\d.]+ ?% are usual: compare with .* campaigns that ended$/,
  );
});

Deno.test("engagementAnomalies() reports that events have stopped", async () => {
  const { open: [silent, ...others] } = await judge(days, NOON + 4 * DAY_MS);
  assert.deepEqual(others, []);
  assert.deepEqual([silent?.code, silent?.severity], ["engagement_silent", "info"]);
  assert.match(silent!.text, /^the newest event is of \S+, 3 whole days ago: look .* \(PARLEY_EVENTS\)$/);
  assert.equal(silent!.since.slice(0, 10), iso(NOON + DAY_MS).slice(0, 10));
  const usual = silent!.history!.slice(-8, -1);
  assert.ok(silent!.expected >= Math.min(...usual) && silent!.expected <= Math.max(...usual));
});

Deno.test("engagementAnomalies() remembers the days on which people engaged less, until they did again", async () => {
  const none = { impressions: 0, clicks: 0, conversions: 0 };
  const fallen = days.map((day, n) => n === 30 || n === 31 ? { ...day, ...none } : day);
  const { open, past } = await judge(fallen);
  assert.deepEqual(open, []);
  assert.deepEqual(past.map(({ code, since, until }) => [code, since.slice(0, 10), until?.slice(0, 10)]), [
    ["engagement_drop", days[30]!.day, days[32]!.day],
  ]);
});
