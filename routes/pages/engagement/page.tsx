import { iso } from "../../../lib/core/clock.ts";
import { ByCampaign, ByDay, ByIntent, ByStrategy, daysOf, Spans, Totals } from "./parts.tsx";
import { type EngagementData, readEngagement, totalOf } from "./data.ts";
import { Empty, Section, UnavailableSection } from "../../components/layout.tsx";
import type { ReadResult } from "../../http/try_read.ts";
import type { PageRequest, View } from "../../http/page.ts";

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

function Engagement(
  { url, data: { value, error }, now }: { url: URL; data: ReadResult<EngagementData>; now: number },
) {
  if (value === null) {
    return <UnavailableSection title="Engagement" what="The analytics store" error={error} />;
  }
  const total = totalOf(value.days);
  if (total.impressions + total.clicks + total.conversions + total.dismissals === 0) {
    return <NoEvents now={now} />;
  }
  return (
    <>
      <Totals total={total} />
      <ByDay url={url} days={value.days} />
      <ByCampaign url={url} data={value} />
      <ByIntent url={url} data={value} />
      <ByStrategy url={url} strategies={value.strategies} />
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
