import { DAY_MS, iso } from "../core/clock.ts";
import type { EngagementDay, EventStore } from "../stores/analytics/port.ts";
import type { Anomaly } from "./anomaly.ts";
import { findIncidents, type Incidents } from "./incidents.ts";
import { forecastShare, median, MIN_HISTORY, type Observation, type ShareCount, WINDOW } from "./forecast.ts";
import { percent } from "../core/text.ts";
import { findOutlier } from "./outliers.ts";

/** Events that a day must lack, and the factor, to be worth a look. */
const DROP = { min_difference: 20, factor: 1.5 };
const MIN_IMPRESSIONS = 100;
/** How much of its rate of clicks a day must have lost. */
const RATE_LOST = 0.2;
/** Days without any event before the silence is one. Sources arrive nightly, and some a day late. */
const SILENT_DAYS = 2;

/** In this order, and only the first that fell: who is shown less clicks less, and buys less. */
const MEASURES = ["impressions", "clicks", "conversions"] as const;

/**
 * Whether people engage less than on the same weekdays before, and when they did. Judged is each of the last
 * {@link WINDOW} days that are whole; the newest of those is the last one before a day with events. Days are UTC.
 */
export async function engagementAnomalies(
  analytics: Pick<EventStore, "daily">,
  now: number,
): Promise<Incidents> {
  const since = iso(dayOf(now) - 2 * WINDOW * DAY_MS);
  const days = everyDay(await analytics.daily({ since, until: iso(now) }));
  const newest = days.at(-1);
  if (newest === undefined) return { open: [], past: [] };
  const whole = days.slice(0, -1);
  const { open, past } = findIncidents(whole, {
    at: ({ day }) => iso(Date.parse(day)),
    judge: judgeDay,
    from: Math.max(0, whole.length - WINDOW),
  });
  return { open: [...silence(newest, whole.slice(-WINDOW - 1), now), ...open], past };
}

/** What is unusual about the last of whole days, oldest first. */
export function judgeDay(days: readonly EngagementDay[]): Anomaly[] {
  const looked = days.slice(-WINDOW - 1);
  return [...drop(looked), ...rateDrop(looked)];
}

/** Days from the first to the last with events, those without filled in. */
function everyDay(rows: readonly EngagementDay[]): EngagementDay[] {
  const byDay = new Map(rows.map((row) => [row.day, row]));
  const days: EngagementDay[] = [];
  const last = Date.parse(rows.at(-1)?.day ?? "");
  for (let at = Date.parse(rows[0]?.day ?? ""); at <= last; at += DAY_MS) {
    const day = iso(at).slice(0, 10);
    days.push(byDay.get(day) ?? { day, impressions: 0, clicks: 0, conversions: 0, dismissals: 0 });
  }
  return days;
}

function silence(newest: EngagementDay, before: readonly EngagementDay[], now: number): Anomaly[] {
  const gap = Math.floor((dayOf(now) - Date.parse(newest.day)) / DAY_MS) - 1;
  const full = before.slice(-MIN_HISTORY).filter((day) => total(day) > 0).length;
  if (gap < SILENT_DAYS || full < MIN_HISTORY) return [];
  const history = before.map(total);
  const since = iso(Date.parse(newest.day) + DAY_MS).slice(0, 10);
  return [anomaly("engagement_silent", "events", since, {
    severity: "info",
    figure: 0,
    expected: Math.round(median(history)),
    unit: "events",
    history: [...history, total(newest), 0],
    text:
      `the newest event is of ${newest.day}, ${gap} whole days ago: look whether the source of events still ` +
      "delivers (PARLEY_EVENTS)",
  })];
}

function drop(days: readonly EngagementDay[]): Anomaly[] {
  const judged = days.at(-1);
  if (judged === undefined) return [];
  for (const measure of MEASURES) {
    const points: Observation[] = days.map((day) => ({ at: Date.parse(day.day), value: day[measure] }));
    const value = judged[measure];
    const seen = findOutlier(points.slice(0, -1), points.at(-1)!, DROP);
    if (seen === null || value > seen.expected) continue;
    const since = days.at(-1 - seen.streak) ?? judged;
    return [anomaly("engagement_drop", measure, since.day, {
      severity: "warning",
      figure: value,
      expected: Math.round(seen.expected),
      usual: seen.usual,
      unit: "events",
      history: points.map((point) => point.value),
      text:
        `${value} ${measure} on ${judged.day} where about ${
          Math.round(seen.expected)
        } were to be expected: ` +
        "look whether answers are served, shown, and their events delivered",
    })];
  }
  return [];
}

function rateDrop(days: readonly EngagementDay[]): Anomaly[] {
  const judged = days.at(-1);
  if (judged === undefined || judged.impressions < MIN_IMPRESSIONS) return [];
  const parts: ShareCount[] = days.slice(0, -1).map(({ clicks, impressions }) => ({
    part: clicks,
    whole: impressions,
  }));
  const usual = forecastShare(parts, judged.impressions);
  const figure = judged.clicks / judged.impressions;
  if (usual === null || figure >= usual.low || figure > (1 - RATE_LOST) * usual.expected) return [];
  return [anomaly("click_rate_drop", "click rate", judged.day, {
    severity: "warning",
    figure,
    expected: usual.expected,
    usual: [usual.low, usual.high],
    unit: "share",
    history: [...parts.filter(({ whole }) => whole > 0).map(({ part, whole }) => part / whole), figure],
    text:
      `${percent(figure)} of what was shown on ${judged.day} was clicked where ${
        percent(usual.expected)
      } are ` +
      "usual: compare with the data version before, and look for campaigns that ended",
  })];
}

function anomaly(
  code: string,
  measure: string,
  day: string,
  rest: Pick<Anomaly, "severity" | "figure" | "expected" | "unit" | "history" | "usual" | "text">,
): Anomaly {
  const subject = { kind: "engagement", measure } as const;
  return { code, subject, since: iso(Date.parse(day)), run_id: null, ...rest };
}

function total({ impressions, clicks, conversions, dismissals }: EngagementDay): number {
  return impressions + clicks + conversions + dismissals;
}

function dayOf(at: number): number {
  return at - at % DAY_MS;
}
