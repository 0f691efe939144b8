import type { EngagementDay, EventStore } from "../../../lib/stores/analytics/port.ts";
import { DAY_MS, iso } from "../../../lib/core/clock.ts";
import type { ReadResult } from "../../http/try_read.ts";
import { LineChart } from "../../components/chart.tsx";
import { Empty, Figure, Section } from "../../components/layout.tsx";
import { formatCompact, formatPercent } from "../../components/format_number.ts";
import { StoreUnavailable } from "../../components/store_unavailable.tsx";

export interface Weeks {
  /** The last four weeks, a day each, also those on which nothing happened. */
  readonly days: readonly EngagementDay[];
}

type EngagementMeasure = "impressions" | "clicks" | "conversions" | "dismissals";

/** Engagement by day, up to and with today in UTC. */
export async function weeks(analytics: Pick<EventStore, "daily">, now: number): Promise<Weeks> {
  const today = Math.floor(now / DAY_MS) * DAY_MS;
  const known = await analytics.daily({ since: iso(today - 27 * DAY_MS), until: iso(today + DAY_MS) });
  const days = Array.from({ length: 28 }, (_, i) => {
    const day = iso(today - (27 - i) * DAY_MS).slice(0, 10);
    return known.find((each) => each.day === day) ??
      { day, impressions: 0, clicks: 0, conversions: 0, dismissals: 0 };
  });
  return { days };
}

/** This week, the last seven days, against the seven before. */
export function WeekFigures({ week: { value } }: { week: ReadResult<Weeks> }) {
  if (value === null) return null;
  const [before, now] = [value.days.slice(-14, -7), value.days.slice(-7)];
  const sum = (days: readonly EngagementDay[], key: EngagementMeasure) =>
    days.reduce((total, day) => total + day[key], 0);
  const rate = (days: readonly EngagementDay[]) => sum(days, "clicks") / sum(days, "impressions");
  return (
    <>
      <Figure
        name="Shown this week"
        value={formatCompact(sum(now, "impressions"))}
        note={`${formatCompact(sum(before, "impressions"))} the week before`}
      />
      <Figure
        name="Clicked"
        value={formatPercent(rate(now))}
        note={`${formatPercent(rate(before))} the week before`}
      />
      <Figure
        name="Conversions"
        value={formatCompact(sum(now, "conversions"))}
        note={`${formatCompact(sum(before, "conversions"))} the week before`}
      />
    </>
  );
}

export function WeekCharts({ week }: { week: ReadResult<Weeks> }) {
  return (
    <Section id="engagement" title="Engagement of four weeks" aside="by day in UTC; today is not over">
      {week.value === null
        ? <StoreUnavailable what="The analytics store" error={week.error} />
        : <Charts days={week.value.days} />}
    </Section>
  );
}

function Charts({ days }: Weeks) {
  const series = (name: string, key: EngagementMeasure) => ({
    name,
    points: days.map((day) => ({ x: Date.parse(day.day), y: day[key] })),
  });
  const events = days.some(({ impressions, clicks, conversions }) => impressions + clicks + conversions > 0);
  if (!events) {
    return (
      <Empty>
        Nothing was shown in four weeks. <code>deno task pipeline --events FILE</code> reads what was.
      </Empty>
    );
  }
  return (
    <>
      <LineChart title="Impressions" series={[series("impressions", "impressions")]} />
      <LineChart
        title="Clicks and conversions"
        series={[series("clicks", "clicks"), series("conversions", "conversions")]}
      />
    </>
  );
}
