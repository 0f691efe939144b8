import { iso } from "../../../lib/core/clock.ts";
import { ParleyError } from "../../../lib/core/errors.ts";
import { ByCampaign, ByDay, ByIntent, ByStrategy } from "./parts.tsx";
import { allOf, type EngagementData, readEngagement } from "./data.ts";
import { Empty, Figure, Figures, Section } from "../../components/layout.tsx";
import { formatNumber, formatPercent } from "../../components/format_number.ts";
import { withQuery } from "../../components/table.tsx";
import { StoreUnavailable } from "../../components/store_unavailable.tsx";
import { cachedRead, type ReadResult } from "../../http/try_read.ts";
import type { PageRequest, View } from "../../http/page.ts";

const SPANS = [7, 30, 90, 365] as const;
const DEFAULT_DAYS = 30;

/** `GET /engagement?days=30`: what was shown, clicked, chosen and waved off, by day, campaign, intent and strategy. */
export async function engagement({ site, url, now }: PageRequest): Promise<View> {
  const days = daysOf(url);
  const { analytics } = site.stores;
  const engaged = await cachedRead(
    site,
    `engagement ${days}`,
    () => readEngagement(analytics, { days, now }),
  );
  return {
    title: "Engagement",
    body: (
      <>
        <Spans url={url} days={days} />
        <Shown url={url} engaged={engaged} now={now} />
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

/** The choice is a link, so that a view can be shared. */
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

function Shown(
  { url, engaged: { value, error }, now }: { url: URL; engaged: ReadResult<EngagementData>; now: number },
) {
  if (value === null) {
    return (
      <Section title="Engagement">
        <StoreUnavailable what="The analytics store" error={error} />
      </Section>
    );
  }
  const all = allOf(value.days);
  if (all.impressions + all.clicks + all.conversions + all.dismissals === 0) return <Nothing now={now} />;
  return (
    <>
      <Figures>
        <Figure name="Impressions" value={formatNumber(all.impressions)} />
        <Figure name="Clicks" value={formatNumber(all.clicks)} />
        <Figure
          name="Click rate"
          value={formatPercent(all.rate?.value ?? null)}
          note={all.rate === null
            ? "more clicks than impressions"
            : `${formatPercent(all.rate.low)} – ${formatPercent(all.rate.high)} at 95 %`}
        />
        <Figure name="Conversions" value={formatNumber(all.conversions)} />
        <Figure name="Dismissals" value={formatNumber(all.dismissals)} />
      </Figures>
      <ByDay url={url} days={value.days} />
      <ByCampaign url={url} engaged={value} />
      <ByIntent url={url} engaged={value} />
      <ByStrategy url={url} engaged={value} />
    </>
  );
}

function Nothing({ now }: { now: number }) {
  return (
    <Section title="Nothing happened">
      <Empty>
        No event up to {iso(now).slice(0, 10)} lies in this span.{" "}
        <code>deno task pipeline --events FILE</code>{" "}
        reads what was shown, clicked, chosen and dismissed; a longer span may have some.
      </Empty>
    </Section>
  );
}
