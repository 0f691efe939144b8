import type { EngagementDay } from "../../../lib/stores/analytics/port.ts";
import { LineChart } from "../../components/chart.tsx";
import { formatCompact, formatPercent } from "../../components/format_number.ts";
import { Empty, Figure, Section, StoreUnavailable } from "../../components/layout.tsx";
import type { OverviewData } from "./data.ts";

type Days = readonly EngagementDay[];
type EngagementCount = Exclude<keyof EngagementDay, "day">;

/** The last seven days against the seven before. */
export function EngagementFigures({ engagement: { value } }: Pick<OverviewData, "engagement">) {
  if (value === null) return null;
  const [before, now] = [value.slice(-14, -7), value.slice(-7)];
  const sum = (days: Days, key: EngagementCount) => days.reduce((total, day) => total + day[key], 0);
  const rate = (days: Days) => formatPercent(sum(days, "clicks") / sum(days, "impressions"));
  const count = (days: Days, key: EngagementCount) => formatCompact(sum(days, key));
  return (
    <>
      <Figure
        name="Shown this week"
        value={count(now, "impressions")}
        note={`${count(before, "impressions")} the week before`}
      />
      <Figure name="Clicked" value={rate(now)} note={`${rate(before)} the week before`} />
      <Figure
        name="Conversions"
        value={count(now, "conversions")}
        note={`${count(before, "conversions")} the week before`}
      />
    </>
  );
}

export function Engagement({ engagement: { value, error } }: Pick<OverviewData, "engagement">) {
  return (
    <Section id="engagement" title="Engagement of four weeks" aside="by day in UTC; today is not over">
      {value === null
        ? <StoreUnavailable what="The analytics store" error={error} />
        : <Charts days={value} />}
    </Section>
  );
}

function Charts({ days }: { days: Days }) {
  const series = (key: EngagementCount) => ({
    name: key,
    points: days.map((day) => ({ x: Date.parse(day.day), y: day[key] })),
  });
  if (days.every(({ impressions, clicks, conversions }) => impressions + clicks + conversions === 0)) {
    return (
      <Empty>
        Nothing was shown in four weeks. <code>deno task pipeline --events FILE</code> reads events.
      </Empty>
    );
  }
  return (
    <>
      <LineChart title="Impressions" series={[series("impressions")]} />
      <LineChart title="Clicks and conversions" series={[series("clicks"), series("conversions")]} />
    </>
  );
}
