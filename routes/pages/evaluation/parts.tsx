import { Bars } from "../../components/bars.tsx";
import { LineChart } from "../../components/chart.tsx";
import { agoColumn, intervalColumn, numberColumn, textColumn } from "../../components/columns.tsx";
import { formatNumber } from "../../components/format_number.ts";
import { Figure, Figures as FigureList, Section } from "../../components/layout.tsx";
import { type Column, Table, withQuery } from "../../components/table.tsx";
import { Ago } from "../../components/time.tsx";
import type { Evaluation } from "./data.ts";

type Method = Evaluation["methods"][number];
type Interval = Method["ndcg_10"];

/** The method that every recommender has to be better than. */
const BASELINE = "popularity";

const formatScore = (value: number) => value.toFixed(4);
const formatDifference = (value: number) => `${value < 0 ? "−" : "+"}${formatScore(Math.abs(value))}`;

function methodOf({ methods }: Evaluation, name: string): Method | undefined {
  return methods.find(({ method }) => method === name);
}

const own = (evaluation: Evaluation) => methodOf(evaluation, evaluation.subject);

/** The paired difference of Parley to the baseline; null if one of them was not measured. */
const lead = (evaluation: Evaluation): Interval | null => own(evaluation)?.against[BASELINE] ?? null;

function toneOf({ low, high }: Interval): "good" | "bad" | "warn" {
  return low > 0 ? "good" : high < 0 ? "bad" : "warn";
}

export function Figures({ chosen, now }: { chosen: Evaluation; now: number }) {
  const [parley, difference] = [own(chosen), lead(chosen)];
  return (
    <FigureList>
      {parley !== undefined && (
        <Figure
          name="NDCG@10"
          value={formatScore(parley.ndcg_10.mean)}
          note={`${formatScore(parley.ndcg_10.low)} – ${formatScore(parley.ndcg_10.high)} at 95 %`}
        />
      )}
      {difference !== null && (
        <Figure
          name="Better than popularity by"
          value={formatDifference(difference.mean)}
          note={`${formatDifference(difference.low)} – ${
            formatDifference(difference.high)
          }, on the same queries`}
          tone={toneOf(difference)}
        />
      )}
      <Figure
        name="Queries"
        value={formatNumber(chosen.queries)}
        note={`hidden choices, by ${chosen.split}`}
      />
      <Figure name="Measured" value={<Ago at={chosen.ended_at} now={now} />} note={chosen.run_id} />
    </FigureList>
  );
}

/** Evaluations side by side; the chart has those by the split of the chosen one, since others are no comparison. */
export function History(
  { url, all, chosen, now }: { url: URL; all: readonly Evaluation[]; chosen: Evaluation; now: number },
) {
  const alike = all.filter(({ split }) => split === chosen.split).toReversed();
  const series = (name: string) => ({
    name,
    points: alike.flatMap((each) => {
      const ndcg_10 = methodOf(each, name)?.ndcg_10;
      return ndcg_10 === undefined
        ? []
        : [{ x: Date.parse(each.ended_at), y: ndcg_10.mean, low: ndcg_10.low, high: ndcg_10.high }];
    }),
  });
  return (
    <Section title="Evaluations" aside="of the data at their time">
      {alike.length > 1 && (
        <LineChart
          title={`NDCG@10 by ${chosen.split}, with 95 % intervals`}
          series={[series(chosen.subject), series(BASELINE)]}
          format={formatScore}
        />
      )}
      <Table
        id="evaluations"
        caption="Newest first. A difference is paired: both methods had the same queries."
        url={url}
        columns={historyColumns(url, chosen, now)}
        rows={all}
      />
    </Section>
  );
}

function historyColumns(url: URL, chosen: Evaluation, now: number): Column<Evaluation>[] {
  return [
    {
      key: "run",
      head: "Run",
      cell: ({ run_id }) => (
        <a
          href={withQuery(url, { run: run_id })}
          {...run_id === chosen.run_id ? { "aria-current": "true" } : {}}
        >
          {run_id}
        </a>
      ),
      by: ({ run_id }) => run_id,
    },
    agoColumn("ended", "Measured", now, ({ ended_at }) => ended_at),
    textColumn("split", "Split", ({ split }) => split),
    numberColumn("queries", "Queries", ({ queries }) => queries),
    numberColumn("parley", "NDCG@10", (each) => own(each)?.ndcg_10.mean ?? null, formatScore),
    numberColumn(
      "popularity",
      "Popularity",
      (each) => methodOf(each, BASELINE)?.ndcg_10.mean ?? null,
      formatScore,
    ),
    ...differenceColumns<Evaluation>(lead),
  ];
}

export function Methods({ url, chosen }: { url: URL; chosen: Evaluation }) {
  return (
    <Section title="Methods" aside={chosen.run_id}>
      <Table
        id="methods"
        caption={`Parley and what it is compared with. The difference is that of ${chosen.subject} to the method.`}
        url={url}
        columns={[
          textColumn<Method>("method", "Method", ({ method }) => method),
          numberColumn<Method>("ndcg", "NDCG@10", ({ ndcg_10 }) => ndcg_10.mean, formatScore),
          intervalColumn<Method>("ndcg-interval", ({ ndcg_10 }) => ndcg_10, formatScore),
          numberColumn<Method>("recall", "Recall@10", ({ recall_10 }) => recall_10.mean, formatScore),
          numberColumn<Method>("coverage", "Coverage", ({ coverage }) => coverage, formatScore),
          ...differenceColumns<Method>(({ method }) => own(chosen)?.against[method] ?? null),
        ]}
        rows={chosen.methods}
      />
    </Section>
  );
}

/** NDCG@10 of each method for users of whom the same kinds of data are known. */
export function ByKind({ url, chosen }: { url: URL; chosen: Evaluation }) {
  type Kind = Method["by_kind"][number];
  const kinds = own(chosen)?.by_kind ?? [];
  const valueOf = (method: Method) => ({ kind }: Kind) =>
    method.by_kind.find((each) => each.kind === kind)?.ndcg_10 ?? null;
  return (
    <Section title="By what is known of the user" aside="NDCG@10">
      <Table
        id="kinds"
        caption="Before the hidden choice."
        url={url}
        columns={[
          textColumn<Kind>("kind", "Known", ({ kind }) => kind),
          numberColumn<Kind>("queries", "Queries", ({ queries }) => queries),
          ...chosen.methods.map((method, i) =>
            numberColumn<Kind>(`method-${i}`, method.method, valueOf(method), formatScore)
          ),
        ]}
        rows={kinds}
      />
    </Section>
  );
}

/** How much worse answers are without each source, the most useful one first. */
export function Ablation({ chosen: { ablation } }: { chosen: Evaluation }) {
  const largest = Math.max(
    ...ablation.flatMap(({ ndcg_10: { low, high } }) => [Math.abs(low), Math.abs(high)]),
  );
  const at = (value: number) => largest === 0 ? 0.5 : 0.5 + value / largest / 2;
  const text = formatDifference;
  return (
    <Section title="Without a source" aside="change of NDCG@10, with 95 % intervals">
      <figure class="chart rates">
        <figcaption>A source is worth what is lost without it. One without data changes nothing.</figcaption>
        <Bars
          axis={[text(-largest), "0", text(largest)]}
          bars={ablation.toSorted((a, b) => a.ndcg_10.mean - b.ndcg_10.mean).map(({ without, ndcg_10 }) => {
            const { mean, low, high } = ndcg_10;
            return {
              name: without,
              parts: [{
                from: at(Math.min(0, mean)),
                to: at(Math.max(0, mean)),
                series: mean > 0 ? 2 : 1,
                title: `95 % interval ${text(low)} – ${text(high)}`,
              }],
              whisker: [at(low), at(high)],
              value: text(mean),
            };
          })}
        />
      </figure>
    </Section>
  );
}

export function Weights({ url, chosen: { chosen_weights } }: { url: URL; chosen: Evaluation }) {
  type Group = Evaluation["chosen_weights"][number] & { readonly nth: number };
  const sources = Object.keys(chosen_weights[0]!.weights);
  return (
    <Section title="Chosen weights" aside="for each group of users, on the queries of all others">
      <Table
        id="weights"
        caption="Alike in all groups if the data say clearly how much a source is worth."
        url={url}
        columns={[
          numberColumn<Group>("group", "Group", ({ nth }) => nth),
          numberColumn<Group>("queries", "Queries", ({ queries }) => queries),
          ...sources.map((source) =>
            numberColumn<Group>(source, source, ({ weights }) => weights[source] ?? null, formatScore)
          ),
        ]}
        rows={chosen_weights.map((group, i) => ({ ...group, nth: i + 1 }))}
      />
    </Section>
  );
}

function differenceColumns<Row>(difference: (row: Row) => Interval | null): Column<Row>[] {
  return [
    numberColumn("difference", "Difference", (row) => difference(row)?.mean ?? null, formatDifference),
    intervalColumn("difference-interval", difference, formatDifference),
  ];
}
