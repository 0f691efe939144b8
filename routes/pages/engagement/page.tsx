import { iso } from "../../../lib/core/clock.ts";
import { ParleyError } from "../../../lib/core/errors.ts";
import { ByCampaign, ByDay, ByIntent, ByStrategy } from "./parts.tsx";
import { type EngagementData, readEngagement, totalOf } from "./data.ts";
import { Empty, Figure, Figures, Section, StoreUnavailable } from "../../components/layout.tsx";
import { formatNumber, formatPercent } from "../../components/format_number.ts";
import { withQuery } from "../../components/table.tsx";
import type { ReadResult } from "../../http/try_read.ts";
import type { PageRequest, View } from "../../http/page.ts";

const SPANS = [7, 30, 90, 365] as const;
const DEFAULT_DAYS = 30;

/** `GET /engagement?days=30`: impressions, clicks, conversions and dismissals, by day, campaign, intent and strategy. */
export async function engagement({ context, url, now }: PageRequest): Promise<View> {
  const days = daysOf(url);
  const data = await readEngagement(context, { days, now });
  return {
    title: "Engagement",
    body: (
      <>
        <Spans url={url} days={days} />
        <Engagement url={url} data={data} now={now} />
      </>
    ),
  };
}

function daysOf({ searchParams }: URL): number {
  const given = searchParams.get("days");
  const days = given === null ? DEFAULT_DAYS : SPANS.find((each) => String(each) === given);
  if (days !== undefined) return days;
  throw new ParleyError("invalid", `days must be one of ${SPANS.join(", ")}`);
}

function Spans({ url, days }: { url: URL; days: number }) {
  return (
    <nav class="choice" aria-label="Span of time">
      {SPANS.map((each) => (
        <a href={withQuery(url, { days: String(each) })} {...each === days ? { "aria-current": "true" } : {}}>
          {each} days
        </a>
      ))}
    </nav>
  );
}

function Engagement(
  { url, data: { value, error }, now }: { url: URL; data: ReadResult<EngagementData>; now: number },
) {
  if (value === null) {
    return (
      <Section title="Engagement">
        <StoreUnavailable what="The analytics store" error={error} />
      </Section>
    );
  }
  const total = totalOf(value.days);
  if (total.impressions + total.clicks + total.conversions + total.dismissals === 0) {
    return <NoEvents now={now} />;
  }
  return (
    <>
      <Figures>
        <Figure name="Impressions" value={formatNumber(total.impressions)} />
        <Figure name="Clicks" value={formatNumber(total.clicks)} />
        <Figure
          name="Click rate"
          value={formatPercent(total.rate?.value ?? null)}
          note={total.rate === null
            ? "more clicks than impressions"
            : `${formatPercent(total.rate.low)} – ${formatPercent(total.rate.high)} at 95 %`}
        />
        <Figure name="Conversions" value={formatNumber(total.conversions)} />
        <Figure name="Dismissals" value={formatNumber(total.dismissals)} />
      </Figures>
      <ByDay url={url} days={value.days} />
      <ByCampaign url={url} data={value} />
      <ByIntent url={url} data={value} />
      <ByStrategy url={url} data={value} />
    </>
  );
}

function NoEvents({ now }: { now: number }) {
  return (
    <Section title="No events">
      <Empty>
        There are no events in this span, which ends on {iso(now).slice(0, 10)}. A longer one may have some.
        {" "}
        <code>deno task pipeline --events FILE</code> reads events.
      </Empty>
    </Section>
  );
}
