import { type Anomalies, detectAnomalies } from "../../lib/quality/anomalies.ts";
import { type DagSummary, pipelineRunSummary, type PipelineSummary } from "../../lib/quality/summary.ts";
import { AnomalyTable } from "../ui/anomaly_table.tsx";
import { WeekCharts, WeekFigures, weeks } from "../ui/engagement_week.tsx";
import { Empty, Figure, Figures, Section } from "../ui/layout.tsx";
import { percent } from "../ui/numbers.ts";
import { schedulerOf, SchedulerWarning } from "../ui/scheduler.tsx";
import { AnswerCharts, AnswerFigures } from "../ui/serving_now.tsx";
import { State } from "../ui/state.tsx";
import { type Column, Table } from "../ui/table.tsx";
import { Ago, duration, span } from "../ui/time.tsx";
import { Unread } from "../ui/unread.tsx";
import { Verdict } from "../ui/verdict.tsx";
import { ask, type Asked, keep } from "../web/ask.ts";
import type { View, Visit } from "../web/page.ts";

/** `GET /` for a browser: whether everything is fine, what to do where it is not, and the figures behind that. */
export async function overview(visit: Visit): Promise<View> {
  const { site, url, now } = visit;
  const { runs, analytics } = site.stores;
  const watched = { runs, analytics, dags: [...site.dags.values()], clock: site.clock };
  const [anomalies, summary, week, scheduler] = await Promise.all([
    keep(site, "anomalies", () => detectAnomalies({ ...watched, serving: site.serving() })),
    keep(site, "week", () => pipelineRunSummary({ ...watched, days: 7 })),
    ask(() => weeks(analytics, now)),
    ask(() => schedulerOf(site, now)),
  ]);
  const minutes = site.serving();
  return {
    title: "Overview",
    body: (
      <>
        <Verdict anomalies={anomalies} summary={summary} />
        {scheduler.error === null && <SchedulerWarning scheduler={scheduler.value} now={now} />}
        <Figures>
          <Freshness summary={summary} />
          <AnswerFigures minutes={minutes} now={now} />
          <WeekFigures week={week} />
        </Figures>
        <Open url={url} now={now} anomalies={anomalies} />
        <Pipelines url={url} now={now} summary={summary} />
        <div class="columns">
          <AnswerCharts minutes={minutes} now={now} />
          <WeekCharts week={week} />
        </div>
      </>
    ),
  };
}

function Freshness({ summary: { value } }: { summary: Asked<PipelineSummary> }) {
  const published = value?.published ?? null;
  if (published === null) return <Figure name="Data version" value="–" note="nothing is published" />;
  return (
    <Figure
      name="Data version"
      value={String(published.version)}
      note={`published ${span(1_000 * published.age_s)} ago`}
    />
  );
}

function Open({ url, now, anomalies }: { url: URL; now: number; anomalies: Asked<Anomalies> }) {
  return (
    <Section title="Open anomalies">
      {anomalies.value === null ? <Unread what="The run store" error={anomalies.error} /> : (
        <AnomalyTable
          id="open"
          caption="What is not as it was or should be, most severe first."
          url={url}
          now={now}
          anomalies={anomalies.value.open}
          empty={<Empty>Nothing stands out.</Empty>}
        />
      )}
    </Section>
  );
}

function Pipelines({ url, now, summary }: { url: URL; now: number; summary: Asked<PipelineSummary> }) {
  return (
    <Section title="Pipelines" aside={<a href="/runs">all runs</a>}>
      {summary.value === null ? <Unread what="A store" error={summary.error} /> : (
        <Table
          id="pipelines"
          stacks
          caption="Each pipeline: its last run, and its runs of the last seven days."
          url={url}
          columns={columns(now)}
          rows={summary.value.dags}
          empty={<Empty>No dag is defined.</Empty>}
        />
      )}
    </Section>
  );
}

function columns(now: number): Column<DagSummary>[] {
  return [
    {
      key: "dag",
      head: "Pipeline",
      cell: ({ dag_id }) => <a href={`/pipelines/${dag_id}`}>{dag_id}</a>,
      by: ({ dag_id }) => dag_id,
    },
    {
      key: "last",
      head: "Last run",
      cell: ({ last_run }) =>
        last_run === null ? "none" : (
          <span class="nowrap">
            <a href={`/runs/${encodeURIComponent(last_run.run_id)}`}>
              <State state={last_run.state} />
            </a>{" "}
            <Ago at={last_run.ended_at ?? last_run.created_at} now={now} />
          </span>
        ),
      by: ({ last_run }) => last_run?.created_at ?? null,
    },
    {
      key: "success",
      head: "Last success",
      cell: ({ last_success }) =>
        last_success === null ? "none" : (
          <span class="nowrap">
            <Ago at={last_success} now={now} />
          </span>
        ),
      by: ({ last_success }) => last_success,
    },
    { key: "runs", head: "Runs", numeric: true, cell: ({ runs }) => String(runs), by: ({ runs }) => runs },
    {
      key: "rate",
      head: "Succeeded",
      numeric: true,
      cell: ({ success_rate }) => percent(success_rate),
      by: ({ success_rate }) => success_rate,
    },
    {
      key: "p50",
      head: "Usually takes",
      numeric: true,
      cell: ({ durations: { p50_ms } }) => p50_ms === null ? "–" : duration(p50_ms),
      by: ({ durations }) => durations.p50_ms,
    },
    {
      key: "quarantined",
      head: "Quarantined",
      numeric: true,
      cell: ({ quarantined_share }) => percent(quarantined_share),
      by: ({ quarantined_share }) => quarantined_share,
    },
  ];
}
