import { Bars } from "../../components/bars.tsx";
import { LineChart } from "../../components/chart.tsx";
import type { CampaignRate, EngagementData } from "./data.ts";
import { Empty, Section } from "../../components/layout.tsx";
import { formatNumber, formatPercent } from "../../components/format_number.ts";
import { type Column, Table } from "../../components/table.tsx";

/** Bars that a chart has room for. */
const MAX_BARS = 12;
/** Rows of a table. */
const MAX_ROWS = 200;
/** Fewer impressions leave an interval too wide to draw. */
const ENOUGH = 20;

export function ByDay({ url, days }: { url: URL; days: EngagementData["days"] }) {
  const series = (name: string, key: "impressions" | "clicks" | "conversions" | "dismissals") => ({
    name,
    points: days.map((day) => ({ x: Date.parse(day.day), y: day[key] })),
  });
  const rates = days.flatMap(({ day, rate }) =>
    rate === null ? [] : [{ x: Date.parse(day), y: rate.value, low: rate.low, high: rate.high }]
  );
  return (
    <Section title="By day" aside="UTC; today is not over">
      <div class="charts">
        <LineChart title="Impressions" series={[series("impressions", "impressions")]} />
        <LineChart
          title="Click rate, with 95 % intervals"
          series={[{ name: "click rate", points: rates }]}
          format={formatPercent}
        />
        <LineChart
          title="Clicks, conversions, dismissals"
          series={[
            series("clicks", "clicks"),
            series("conversions", "conversions"),
            series("dismissals", "dismissals"),
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
            ...counts<EngagementData["days"][number]>(),
          ]}
          rows={days.toReversed()}
          empty={null}
        />
      </details>
    </Section>
  );
}

export function ByCampaign({ url, engaged: { campaigns, cut } }: { url: URL; engaged: EngagementData }) {
  const name = ({ campaign, campaign_id }: EngagementData["campaigns"][number]) =>
    campaign?.title ?? campaign_id;
  return (
    <Section title="By campaign" aside={cut ? "the 1,000 with most events" : ""}>
      <Rates
        title="Click rate of the most shown campaigns"
        rows={campaigns.map((each) => ({ ...each, name: name(each) }))}
      />
      <div class="bounded">
        <Table
          id="campaigns"
          caption={campaigns.length > MAX_ROWS
            ? `The ${MAX_ROWS} with most events. Sorting holds within them.`
            : "Those with most events first."}
          url={url}
          columns={[
            {
              key: "campaign",
              head: "Campaign",
              cell: (each) => (
                <>
                  {name(each)} <code class="muted">{each.campaign_id}</code>
                </>
              ),
              by: name,
            },
            {
              key: "state",
              head: "State",
              cell: ({ campaign }) => campaign?.status ?? "gone",
              by: ({ campaign }) => campaign?.status ?? null,
            },
            ...counts<EngagementData["campaigns"][number]>(),
          ]}
          rows={campaigns.slice(0, MAX_ROWS)}
          empty={<Empty>No campaign had an event.</Empty>}
        />
      </div>
    </Section>
  );
}

export function ByIntent({ url, engaged: { intents } }: { url: URL; engaged: EngagementData }) {
  return (
    <Section title="By intent" aside="a campaign counts for each of its intents">
      <Rates
        title="Click rate of the most shown intents"
        rows={intents.map((each) => ({ ...each, name: each.intent }))}
      />
      <Table
        id="intents"
        caption="What campaigns answer, most shown first."
        url={url}
        columns={[
          { key: "intent", head: "Intent", cell: ({ intent }) => intent, by: ({ intent }) => intent },
          {
            key: "campaigns",
            head: "Campaigns",
            numeric: true,
            cell: ({ campaigns }) => formatNumber(campaigns),
            by: ({ campaigns }) => campaigns,
          },
          ...counts<EngagementData["intents"][number]>(),
        ]}
        rows={intents.slice(0, MAX_ROWS)}
        empty={
          <Empty>
            No campaign that had an event names intents; the field <code>intents</code> of a campaign does.
          </Empty>
        }
      />
    </Section>
  );
}

export function ByStrategy({ url, engaged: { strategies } }: { url: URL; engaged: EngagementData }) {
  const told = strategies.some(({ strategy }) => strategy !== null);
  return (
    <Section title="By strategy" aside="as events name it">
      {told
        ? (
          <Table
            id="strategies"
            caption="Of the answers that led to events, those with most events first."
            url={url}
            columns={[
              {
                key: "strategy",
                head: "Strategy",
                cell: ({ strategy }) => strategy ?? <span class="muted">not named</span>,
                by: ({ strategy }) => strategy,
              },
              ...counts<EngagementData["strategies"][number]>(),
            ]}
            rows={strategies}
            empty={null}
          />
        )
        : (
          <Empty>
            No event names the strategy of the answer that led to it. Send an answer's <code>strategy</code>
            {" "}
            along with its events, as a field of that name.
          </Empty>
        )}
    </Section>
  );
}

function Rates(
  { title, rows }: { title: string; rows: readonly (CampaignRate & { readonly name: string })[] },
) {
  const bars = rows.filter(({ impressions }) => impressions >= ENOUGH)
    .toSorted((a, b) => b.impressions - a.impressions).slice(0, MAX_BARS)
    .flatMap(({ name, rate }) => rate === null ? [] : [{ name, ...rate }])
    .sort((a, b) => b.value - a.value);
  if (bars.length === 0) return null;
  const most = Math.max(...bars.map(({ high }) => high)) || 1;
  return (
    <figure class="chart rates">
      <figcaption>{title}, with 95 % intervals</figcaption>
      <Bars
        bars={bars.map(({ name, value, low, high }) => ({
          name,
          parts: [{
            from: 0,
            to: value / most,
            series: 1,
            title: `95 % interval ${formatPercent(low)} – ${formatPercent(high)}`,
          }],
          whisker: [low / most, high / most],
          value: formatPercent(value),
        }))}
      />
    </figure>
  );
}

function counts<Row extends CampaignRate>(): Column<Row>[] {
  const column = (
    key: "impressions" | "clicks" | "conversions" | "dismissals",
    head: string,
  ): Column<Row> => ({
    key,
    head,
    numeric: true,
    cell: (row) => formatNumber(row[key]),
    by: (row) => row[key],
  });
  return [
    column("impressions", "Impressions"),
    column("clicks", "Clicks"),
    {
      key: "rate",
      head: "Click rate",
      numeric: true,
      cell: ({ rate }) => formatPercent(rate?.value ?? null),
      by: ({ rate }) => rate?.value ?? null,
    },
    {
      key: "interval",
      head: "95 % interval",
      numeric: true,
      cell: ({ rate }) => rate === null ? "–" : `${formatPercent(rate.low)} – ${formatPercent(rate.high)}`,
      by: ({ rate }) => rate?.low ?? null,
    },
    column("conversions", "Conversions"),
    column("dismissals", "Dismissals"),
  ];
}
