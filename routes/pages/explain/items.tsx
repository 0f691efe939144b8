import {
  type Item,
  type Source,
  SOURCES,
  type Sources as Weights,
  type UserAnswer,
} from "../../../lib/recommend/answer.ts";
import { contribution } from "../../../lib/recommend/score.ts";
import { numberColumn } from "../../components/columns.tsx";
import { type BarPart, Bars } from "../../components/bars.tsx";
import { CampaignLink } from "../../components/campaign_link.tsx";
import { Empty, Section } from "../../components/layout.tsx";
import { formatPercent } from "../../components/format_number.ts";
import { type Column, Table } from "../../components/table.tsx";

export const SOURCE_NAMES: Readonly<Record<Source, string>> = {
  mention: "named",
  similar_conversations: "similar conversations",
  wording: "similar words",
  co_engagement: "co-engagement",
  intent: "intents",
  similarity: "similarity",
  popularity: "popularity",
};

/** Short names for columns. */
export const SHORT_SOURCE_NAMES: Readonly<Record<Source, string>> = {
  ...SOURCE_NAMES,
  similar_conversations: "alike",
  co_engagement: "goes with",
};

interface RankedItem {
  readonly item: Item;
  readonly rank: number;
}

/** The items in the answer's order, each with its reasons and what each source gives it. */
export function Items({ url, answer }: { url: URL; answer: UserAnswer }) {
  const api = `/recommendations/${encodeURIComponent(answer.user_id)}`;
  const aside = (
    <span>
      as <code>GET {api}</code> answers
    </span>
  );
  return (
    <Section title="The answer" aside={aside}>
      <Table
        id="items"
        stacks
        caption="Best first. Variety counts too, so scores need not fall. Each source is 0 to 1. Fatigue lowers the score of what was often shown and never clicked, or not wanted in an earlier conversation."
        url={url}
        columns={COLUMNS}
        rows={answer.items.map((item, i) => ({ item, rank: i + 1 }))}
        empty={
          <Empty>
            No campaign is active now, all are left out, or analytics is down: see{" "}
            <a href="/stores">Stores</a>.
          </Empty>
        }
      />
      <details class="spaced">
        <summary>The answer as JSON</summary>
        <pre class="json" tabindex={0}>{JSON.stringify(answer, null, 2)}</pre>
      </details>
    </Section>
  );
}

const COLUMNS: readonly Column<RankedItem>[] = [
  {
    key: "place",
    head: "Campaign",
    cell: ({ item, rank }) => (
      <>
        {rank}. <CampaignLink campaign={item} />
        <div class="muted">
          <code>{item.campaign_id}</code> {item.category}
        </div>
      </>
    ),
    by: ({ rank }) => rank,
  },
  {
    key: "reasons",
    head: "Why",
    cell: ({ item }) => <ul class="plain">{item.reasons.map(({ text }) => <li>{text}</li>)}</ul>,
  },
  numberColumn("score", "Score", ({ item }) => item.score, (score) => score.toFixed(3)),
  ...SOURCES.map((source) =>
    numberColumn<RankedItem>(
      source,
      SHORT_SOURCE_NAMES[source],
      ({ item }) => item.sources[source],
      (share) => share.toFixed(2),
    )
  ),
  numberColumn(
    "fatigue",
    "Fatigue",
    ({ item }) => item.fatigue,
    (share) => share === 0 ? "–" : `−${formatPercent(share)}`,
  ),
];

/** What each score is made of: a bar is as long as the score, divided by what each source adds to its logarithm. */
export function Sources({ weights, items }: { weights: Weights; items: readonly Item[] }) {
  if (items.length === 0) return null;
  const max = Math.max(...items.map(({ score }) => score), 0.01);
  return (
    <Section title="What each score is made of" aside="divided by what each source adds">
      <figure class="chart stacked">
        <figcaption>
          <ul class="names">
            {SOURCES.map((source, i) => (
              <li class={`series-${i + 1}`}>
                <svg viewBox="0 0 12 12" class="swatch" aria-hidden="true">
                  <rect class="bar" width="12" height="12" rx="2" />
                </svg>
                {SOURCE_NAMES[source]}, weight {formatPercent(weights[source])}
              </li>
            ))}
          </ul>
        </figcaption>
        <Bars
          bars={items.map((item) => ({
            name: item.title,
            parts: partsOf(item, weights, max),
            value: item.score.toFixed(3),
          }))}
        />
      </figure>
    </Section>
  );
}

function partsOf({ sources, score }: Item, weights: Weights, max: number): BarPart[] {
  const adds = SOURCES.map((source) => contribution(source, sources, weights));
  const total = adds.reduce((sum, value) => sum + value, 0);
  if (total === 0) return [];
  let from = 0;
  return SOURCES.map((source, i) => {
    const share = adds[i]! / total;
    const to = from + share * score / max;
    const part = {
      from,
      to,
      series: i + 1 as BarPart["series"],
      title: `${SOURCE_NAMES[source]} ${formatPercent(share)}`,
    };
    from = to;
    return part;
  });
}
