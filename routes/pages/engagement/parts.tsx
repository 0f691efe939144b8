import { ParleyError } from "../../../lib/core/errors.ts";
import { intervalColumn, numberColumn, textColumn } from "../../components/columns.tsx";
import { Bars } from "../../components/bars.tsx";
import { LineChart } from "../../components/chart.tsx";
import type { CampaignRate, EngagementData } from "./data.ts";
import { CampaignLink } from "../../components/campaign_link.tsx";
import { Empty, Figure, Figures, Section } from "../../components/layout.tsx";
import { formatNumber, formatPercent } from "../../components/format_number.ts";
import { type Column, Table, withQuery } from "../../components/table.tsx";

type IntentRow = EngagementData["intents"][number];
type EngagementCount = "impressions" | "clicks" | "conversions" | "dismissals";

const MAX_BARS = 12;
const MAX_ROWS = 200;
/** Fewer give an interval that is too wide to draw. */
const MIN_IMPRESSIONS = 20;

export function ByDay({ url, days }: { url: URL; days: EngagementData["days"] }) {
  const series = (key: EngagementCount) => ({
    name: key,
    points: days.map((day) => ({ x: Date.parse(day.day), y: day[key] })),
  });
  const rates = days.flatMap(({ day, rate }) =>
    rate === null ? [] : [{ x: Date.parse(day), y: rate.value, low: rate.low, high: rate.high }]
  );
  return (
    <Section title="By day" aside="UTC; today is not over">
      <div class="charts">
        <LineChart title="Impressions" series={[series("impressions")]} />
        <LineChart
          title="Click rate, with 95 % intervals"
          series={[{ name: "click rate", points: rates }]}
          format={formatPercent}
        />
        <LineChart
          title="Clicks, conversions, dismissals"
          series={[
            series("clicks"),
            series("conversions"),
            series("dismissals"),
          ]}
        />
      </div>
      <details class="spaced">
        <summary>Days as a table</summary>
        <Table
          id="days"
          caption="Newest first."
          url={url}
          columns={[
            {
              key: "day",
              head: "Day",
              cell: ({ day }) => <span class="nowrap">{day}</span>,
              by: ({ day }) => day,
            },
            ...countColumns<EngagementData["days"][number]>(),
          ]}
          rows={days.toReversed()}
        />
      </details>
    </Section>
  );
}

export function ByCampaign({ url, data: { campaigns, cut } }: { url: URL; data: EngagementData }) {
  const name = ({ campaign, campaign_id }: EngagementData["campaigns"][number]) =>
    campaign?.title ?? campaign_id;
  return (
    <Section title="By campaign" aside={cut ? "the 1,000 with the most events" : ""}>
      <Rates
        title="Click rate of the most shown campaigns"
        rows={campaigns.map((each) => ({ ...each, name: name(each) }))}
      />
      <div class="bounded">
        <Table
          id="campaigns"
          caption={campaigns.length > MAX_ROWS
            ? `The ${MAX_ROWS} with the most events. Sorting holds within them.`
            : "Most events first."}
          url={url}
          columns={[
            {
              key: "campaign",
              head: "Campaign",
              cell: (each) => (
                <>
                  {each.campaign === null ? name(each) : <CampaignLink campaign={each.campaign} />}{" "}
                  <code class="muted">{each.campaign_id}</code>
                </>
              ),
              by: name,
            },
            {
              key: "state",
              head: "State",
              cell: ({ campaign }) => campaign?.status ?? "deleted",
              by: ({ campaign }) => campaign?.status ?? null,
            },
            ...countColumns<EngagementData["campaigns"][number]>(),
          ]}
          rows={campaigns.slice(0, MAX_ROWS)}
          empty={<Empty>No campaign had an event.</Empty>}
        />
      </div>
    </Section>
  );
}

export function ByIntent({ url, data: { intents } }: { url: URL; data: EngagementData }) {
  return (
    <Section title="By intent" aside="a campaign counts for each of its intents">
      <Rates
        title="Click rate of the most shown intents"
        rows={intents.map((each) => ({ ...each, name: each.intent }))}
      />
      <Table
        id="intents"
        caption="The intents of campaigns, most shown first."
        url={url}
        columns={[
          textColumn<IntentRow>("intent", "Intent", ({ intent }) => intent),
          numberColumn<IntentRow>("campaigns", "Campaigns", ({ campaigns }) => campaigns),
          ...countColumns<IntentRow>(),
        ]}
        rows={intents.slice(0, MAX_ROWS)}
        empty={
          <Empty>
            No campaign with an event has intents. Set the field <code>intents</code> of a campaign.
          </Empty>
        }
      />
    </Section>
  );
}

export function ByStrategy({ url, strategies }: { url: URL; strategies: EngagementData["strategies"] }) {
  const named = strategies.some(({ strategy }) => strategy !== null);
  return (
    <Section title="By strategy" aside="as events name it">
      {named
        ? (
          <Table
            id="strategies"
            caption="Strategies of the answers that led to events, most events first."
            url={url}
            columns={[
              {
                key: "strategy",
                head: "Strategy",
                cell: ({ strategy }) => strategy ?? <span class="muted">not named</span>,
                by: ({ strategy }) => strategy,
              },
              ...countColumns<EngagementData["strategies"][number]>(),
            ]}
            rows={strategies}
          />
        )
        : (
          <Empty>
            No event names the strategy of the answer that led to it. Send an answer's <code>strategy</code>
            {" "}
            with its events, as a field of that name.
          </Empty>
        )}
    </Section>
  );
}

function Rates(
  { title, rows }: { title: string; rows: readonly (CampaignRate & { readonly name: string })[] },
) {
  const bars = rows.filter(({ impressions }) => impressions >= MIN_IMPRESSIONS)
    .toSorted((a, b) => b.impressions - a.impressions).slice(0, MAX_BARS)
    .flatMap(({ name, rate }) => rate === null ? [] : [{ name, ...rate }])
    .sort((a, b) => b.value - a.value);
  if (bars.length === 0) return null;
  const max = Math.max(...bars.map(({ high }) => high)) || 1;
  return (
    <figure class="chart rates">
      <figcaption>{title}, with 95 % intervals</figcaption>
      <Bars
        bars={bars.map(({ name, value, low, high }) => ({
          name,
          parts: [{
            from: 0,
            to: value / max,
            series: 1,
            title: `95 % interval ${formatPercent(low)} – ${formatPercent(high)}`,
          }],
          whisker: [low / max, high / max],
          value: formatPercent(value),
        }))}
      />
    </figure>
  );
}

/** The spans of days that can be selected. */
const SPANS = [7, 30, 90, 365] as const;
const DEFAULT_DAYS = 30;

export function daysOf({ searchParams }: URL): number {
  const given = searchParams.get("days");
  const days = given === null ? DEFAULT_DAYS : SPANS.find((each) => String(each) === given);
  if (days !== undefined) return days;
  throw new ParleyError("invalid", `days must be one of ${SPANS.join(", ")}`);
}

export function Spans({ url, days }: { url: URL; days: number }) {
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

export function Totals({ total }: { total: CampaignRate }) {
  return (
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
  );
}

function countColumns<Row extends CampaignRate>(): Column<Row>[] {
  return [
    numberColumn("impressions", "Impressions", ({ impressions }) => impressions),
    numberColumn("clicks", "Clicks", ({ clicks }) => clicks),
    numberColumn("rate", "Click rate", ({ rate }) => rate?.value ?? null, formatPercent),
    intervalColumn("interval", ({ rate }) => rate, formatPercent),
    numberColumn("conversions", "Conversions", ({ conversions }) => conversions),
    numberColumn("dismissals", "Dismissals", ({ dismissals }) => dismissals),
  ];
}
