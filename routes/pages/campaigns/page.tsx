import type { CampaignWithStats } from "../../../lib/recommend/campaign_page.ts";
import { wilson } from "../../../lib/ml/wilson.ts";
import { campaignColumn } from "../../components/campaign_link.tsx";
import { numberColumn, textColumn } from "../../components/columns.tsx";
import { Select } from "../../components/form.tsx";
import { formatPercent } from "../../components/format_number.ts";
import { Empty, Section, StoreUnavailable } from "../../components/layout.tsx";
import { type Column, Table, withQuery } from "../../components/table.tsx";
import type { PageRequest, View } from "../../http/page.ts";
import { type CampaignQuery, queryOf, readCampaigns, STATUSES } from "./data.ts";

/** `GET /campaigns?q=&category=&status=&from=`, for a browser: the catalogue, or a search of it. */
export async function campaigns({ context, url }: PageRequest): Promise<View> {
  const query = queryOf(url);
  const { value, error } = await readCampaigns(context, query);
  return {
    title: "Campaigns",
    body: (
      <Section
        title="Catalogue"
        aside={value?.version ? `stats of data version ${value.version}` : "nothing is published yet"}
      >
        <Search query={query} />
        {value === null ? <StoreUnavailable what="The analytics store" error={error} /> : (
          <>
            <Table
              id="campaigns"
              caption="In ascending id. Sorting holds within the page."
              url={url}
              columns={COLUMNS}
              rows={value.rows}
              empty={
                <Empty>
                  No such campaigns. <code>deno task pipeline --campaigns FILE</code> reads campaigns.
                </Empty>
              }
            />
            <Pages url={url} after={query.after} next={value.next} />
          </>
        )}
      </Section>
    ),
  };
}

function Search({ query: { q, category, status } }: { query: CampaignQuery }) {
  return (
    <form method="get" action="/campaigns" class="filters" role="search">
      <div class="field wide">
        <label for="q">Words, or their beginnings</label>
        <input id="q" name="q" value={q} maxlength={200} autocomplete="off" />
      </div>
      <div class="field">
        <label for="category">Category</label>
        <input id="category" name="category" value={category} maxlength={256} autocomplete="off" />
      </div>
      <Select id="status" label="Status" all="all" values={STATUSES} selected={status} />
      <button type="submit" class="main">Search</button>
    </form>
  );
}

const COLUMNS: readonly Column<CampaignWithStats>[] = [
  campaignColumn(),
  textColumn("status", "Status", ({ campaign }) => campaign.status),
  textColumn("category", "Category", ({ campaign }) => campaign.category),
  numberColumn("popularity", "Popularity", ({ stats }) => stats?.popularity ?? null, (of) => of.toFixed(2)),
  numberColumn("impressions", "Impressions", ({ stats }) => stats?.impressions ?? null),
  numberColumn("clicks", "Clicks", ({ stats }) => stats?.clicks ?? null),
  numberColumn(
    "rate",
    "Click rate",
    ({ stats }) => stats && (wilson(stats.clicks, stats.impressions)?.value ?? null),
    formatPercent,
  ),
  numberColumn("conversions", "Conversions", ({ stats }) => stats?.conversions ?? null),
  numberColumn("dismissals", "Dismissals", ({ stats }) => stats?.dismissals ?? null),
];

function Pages({ url, after, next }: { url: URL; after: string | null; next: string | null }) {
  if (after === null && next === null) return null;
  return (
    <nav class="pages" aria-label="Pages of this list">
      {after !== null && <a href={withQuery(url, { from: null })}>← First</a>}
      {next !== null && <a rel="next" href={withQuery(url, { from: next })}>Next →</a>}
    </nav>
  );
}
