import {
  type Answer,
  type Item,
  type Source,
  SOURCES,
  type Sources as Weights,
} from "../../lib/recommend/answer.ts";
import type { Visit } from "../web/page.ts";
import { Empty, Section } from "./layout.tsx";
import { percent } from "./numbers.ts";
import { type Column, Table } from "./table.tsx";
import { shortened } from "./text.ts";

export const SOURCE_NAMES: Readonly<Record<Source, string>> = {
  similar_users: "similar users",
  intent: "intents",
  similarity: "similarity",
  popularity: "popularity",
};

interface Placed {
  readonly item: Item;
  readonly place: number;
}

/** The items in the answer's order, each with its reasons and what each source gives it. */
export function Items({ visit, answer }: { visit: Visit; answer: Answer }) {
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
        caption="Best first; variety counts too, so scores need not fall. Sources are 0 to 1 each."
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
    head: SOURCE_NAMES[source],
    numeric: true,
    cell: ({ item }) => item.sources[source].toFixed(2),
    by: ({ item }) => item.sources[source],
  })),
];

const [LEFT, WIDTH, ROW] = [190, 560, 26];

/** What each source adds to each score: source times its weight, one beside the other. */
export function Sources({ weights, items }: { weights: Weights; items: readonly Item[] }) {
  if (items.length === 0) return null;
  const height = ROW * items.length + 4;
  const most = Math.max(...items.map(({ score }) => score), 0.01);
  const wide = (part: number) => Math.round(10 * part / most * (WIDTH - LEFT - 55)) / 10;
  return (
    <Section title="What each score is made of" aside="each source times its weight">
      <figure class="chart stacked">
        <figcaption>
          <ul class="names">
            {SOURCES.map((source, i) => (
              <li class={`series-${i + 1}`}>
                <svg viewBox="0 0 12 12" class="swatch" aria-hidden="true">
                  <rect class="bar" width="12" height="12" rx="2" />
                </svg>
                {SOURCE_NAMES[source]} × {percent(weights[source])}
              </li>
            ))}
          </ul>
        </figcaption>
        <svg viewBox={`0 0 ${WIDTH} ${height}`} role="img" aria-label={spoken(items, weights)}>
          {items.map((item, row) => <Stack item={item} top={ROW * row + 2} weights={weights} wide={wide} />)}
        </svg>
      </figure>
    </Section>
  );
}

function Stack(
  { item, top, weights, wide }: { item: Item; top: number; weights: Weights; wide: (part: number) => number },
) {
  const ends = SOURCES.map((_, i) =>
    SOURCES.slice(0, i + 1).reduce((sum, each) => sum + weights[each] * item.sources[each], 0)
  );
  return (
    <g>
      <text class="name" x={LEFT - 10} y={top + 11} text-anchor="end" dominant-baseline="central">
        {shortened(item.title, 22)}
      </text>
      {SOURCES.map((source, i) => {
        const [from, to] = [ends[i - 1] ?? 0, ends[i]!];
        return (
          <rect
            class={`bar series-${i + 1}`}
            x={LEFT + wide(from)}
            y={top + 2}
            width={wide(to - from)}
            height="18"
          >
            <title>{`${item.title}: ${SOURCE_NAMES[source]} adds ${(to - from).toFixed(3)}`}</title>
          </rect>
        );
      })}
      <text class="value" x={LEFT + wide(ends.at(-1)!) + 6} y={top + 11} dominant-baseline="central">
        {item.score.toFixed(3)}
      </text>
    </g>
  );
}

function spoken(items: readonly Item[], weights: Weights): string {
  return items.map(({ title, sources }) =>
    `${title}: ${
      SOURCES.filter((each) => weights[each] * sources[each] > 0)
        .map((each) => `${SOURCE_NAMES[each]} ${(weights[each] * sources[each]).toFixed(3)}`).join(", ")
    }`
  ).join("; ");
}
