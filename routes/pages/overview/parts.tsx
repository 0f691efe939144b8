import type { DagSummary } from "../../../lib/monitoring/pipeline_run_summary.ts";
import { statusOf } from "../../../lib/stores/runs/port.ts";
import { agoColumn, linkColumn, numberColumn } from "../../components/columns.tsx";
import { AnomalyTable } from "../../components/anomaly_table.tsx";
import { formatPercent } from "../../components/format_number.ts";
import { Empty, Figure, Figures, Section, StoreUnavailable } from "../../components/layout.tsx";
import { RecentRuns, State } from "../../components/state.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { Ago, duration, span } from "../../components/time.tsx";
import { AnswerFigures } from "./answer_figures.tsx";
import type { OverviewData } from "./data.ts";
import { EngagementFigures } from "./engagement.tsx";
import { RunLink } from "../../components/run_link.tsx";

export function Now({ summary, minutes, now, engagement }: OverviewData) {
  return (
    <Figures id="now">
      <DataVersion summary={summary} />
      <AnswerFigures minutes={minutes} now={now} />
      <EngagementFigures engagement={engagement} />
    </Figures>
  );
}

function DataVersion({ summary: { value } }: Pick<OverviewData, "summary">) {
  const published = value?.published ?? null;
  if (published === null) {
    const note = value?.degraded.length === 0 ? "nothing is published" : "not known";
    return <Figure name="Data version" value="–" note={note} />;
  }
  return (
    <Figure
      name="Data version"
      value={String(published.version)}
      note={published.age_s < 1 ? "published just now" : `published ${span(1_000 * published.age_s)} ago`}
    />
  );
}

export function OpenAnomalies({ url, now, anomalies }: OverviewData) {
  return (
    <Section title="Open anomalies" aside={<a href="/anomalies">acknowledge, or see past ones</a>}>
      {anomalies.value === null
        ? <StoreUnavailable what="The run store" error={anomalies.error} />
        : (
          <AnomalyTable
            id="open"
            caption="What is not as it was or should be, most severe first, then what is acknowledged."
            url={url}
            now={now}
            anomalies={anomalies.value.open}
            empty={<Empty>No open anomalies.</Empty>}
          />
        )}
    </Section>
  );
}

export function Pipelines({ url, now, summary, recent }: OverviewData) {
  return (
    <Section id="all-pipelines" title="Pipelines" aside={<a href="/runs">all runs</a>}>
      {summary.value === null ? <StoreUnavailable what="A store" error={summary.error} /> : (
        <Table
          id="pipelines"
          stacks
          caption="Each pipeline: its last runs, newest first, and what it did in seven days."
          url={url}
          columns={columns(now, recent.value)}
          rows={summary.value.dags}
          empty={<Empty>No dag is defined.</Empty>}
        />
      )}
    </Section>
  );
}

function columns(now: number, recent: OverviewData["recent"]["value"]): Column<DagSummary>[] {
  return [
    linkColumn("dag", "Pipeline", ({ dag_id }) => dag_id, ({ dag_id }) => `/pipelines/${dag_id}`),
    {
      key: "last",
      head: "Last run",
      cell: ({ last_run }) =>
        last_run === null ? "none" : (
          <>
            <span class="nowrap">
              <RunLink run_id={last_run.run_id}>
                <State state={last_run.state} />
              </RunLink>{" "}
              <Ago at={last_run.ended_at ?? last_run.created_at} now={now} />
            </span>
            {last_run.state === "skipped" && <div class="muted">{last_run.error}</div>}
          </>
        ),
      by: ({ last_run }) => last_run?.created_at ?? null,
    },
    {
      key: "recent",
      head: "Before it",
      cell: ({ dag_id }) => {
        const [, ...runs] = recent?.get(dag_id) ?? [];
        return <RecentRuns runs={runs.map((run) => ({ ...run, state: statusOf(run, now) }))} />;
      },
    },
    agoColumn("success", "Last success", now, ({ last_success }) => last_success, "none"),
    numberColumn("runs", "Runs", ({ runs }) => runs),
    numberColumn("rate", "Succeeded", ({ success_rate }) => success_rate, formatPercent),
    numberColumn("p50", "Usually takes", ({ durations }) => durations.p50_ms, duration),
    numberColumn("quarantined", "Quarantined", ({ quarantined_share }) => quarantined_share, formatPercent),
  ];
}
