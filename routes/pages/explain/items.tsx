import {
  type Answer,
  type Item,
  type Source,
  SOURCES,
  type Sources as Weights,
} from "../../../lib/recommend/answer.ts";
import { contribution } from "../../../lib/recommend/score.ts";
import type { PageRequest } from "../../http/page.ts";
import { type BarPart, Bars } from "../../components/bars.tsx";
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

/** The same, short enough for a column. */
const HEADS: Readonly<Record<Source, string>> = {
  ...SOURCE_NAMES,
  similar_conversations: "asked alike",
  co_engagement: "goes with",
};

interface Placed {
  readonly item: Item;
  readonly place: number;
}

/** The items in the answer's order, each with its reasons and what each source gives it. */
export function Items({ visit, answer }: { visit: PageRequest; answer: Answer }) {
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
        caption="Best first; variety counts too, so scores need not fall. Sources are 0 to 1 each; fatigue is what being shown often and never clicked takes off."
        url={visit.url}
        columns={COLUMNS}
        rows={answer.items.map((item, i) => ({ item, place: i + 1 }))}
        empty={
          <Empty>
            Nothing can be shown: no campaign is active now, or analytics is down.{" "}
            <a href="/stores">Stores</a> says which.
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

const COLUMNS: readonly Column<Placed>[] = [
  {
    key: "place",
    head: "Campaign",
    cell: ({ item, place }) => (
      <>
        {place}. {item.title}
        <div class="muted">
          <code>{item.campaign_id}</code> {item.category}
        </div>
      </>
    ),
    by: ({ place }) => place,
  },
  {
    key: "reasons",
    head: "Why",
    cell: ({ item }) => <ul class="plain">{item.reasons.map(({ text }) => <li>{text}</li>)}</ul>,
  },
  {
    key: "score",
    head: "Score",
    numeric: true,
    cell: ({ item }) => item.score.toFixed(3),
    by: ({ item }) => item.score,
  },
  ...SOURCES.map((source): Column<Placed> => ({
    key: source,
    head: HEADS[source],
    numeric: true,
    cell: ({ item }) => item.sources[source].toFixed(2),
    by: ({ item }) => item.sources[source],
  })),
  {
    key: "fatigue",
    head: "Fatigue",
    numeric: true,
    cell: ({ item }) => item.fatigue === 0 ? "–" : `−${formatPercent(item.fatigue)}`,
    by: ({ item }) => item.fatigue,
  },
];

/** How each score comes about: each bar is as long as the score, and shared out by what each source adds to its logarithm. */
export function Sources({ weights, items }: { weights: Weights; items: readonly Item[] }) {
  if (items.length === 0) return null;
  const most = Math.max(...items.map(({ score }) => score), 0.01);
  return (
    <Section title="What each score is made of" aside="shared out by what each source adds">
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
            parts: partsOf(item, weights, most),
            value: item.score.toFixed(3),
          }))}
        />
      </figure>
    </Section>
  );
}

function partsOf({ sources, score }: Item, weights: Weights, most: number): BarPart[] {
  const adds = SOURCES.map((source) => contribution(source, sources, weights));
  const total = adds.reduce((sum, value) => sum + value, 0);
  if (total === 0) return [];
  let from = 0;
  return SOURCES.map((source, i) => {
    const share = adds[i]! / total;
    const to = from + share * score / most;
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
