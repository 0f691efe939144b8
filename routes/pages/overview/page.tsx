import { type Anomalies, findAnomalies } from "../../../lib/monitoring/anomalies.ts";
import { DAY_MS, iso } from "../../../lib/core/clock.ts";
import type { ServingSpan } from "../../../lib/core/types.ts";
import {
  type DagSummary,
  pipelineRunSummary,
  type PipelineSummary,
} from "../../../lib/monitoring/pipeline_run_summary.ts";
import { cacheHistory, LOOK_BACK_DAYS } from "../../../lib/monitoring/run_history.ts";
import type { RunRecord, RunRecordStore } from "../../../lib/stores/runs/port.ts";
import { AnomalyTable } from "../../components/anomaly_table.tsx";
import { WeekCharts, WeekFigures, type Weeks, weeks } from "./engagement_week.tsx";
import { Empty, Figure, Figures, Section } from "../../components/layout.tsx";
import { formatPercent } from "../../components/format_number.ts";
import { RecentRuns } from "../../components/recent_runs.tsx";
import { AnswerCharts, AnswerFigures } from "../../components/serving_now.tsx";
import { State } from "../../components/state.tsx";
import { type Column, Table } from "../../components/table.tsx";
import { Ago, duration, span } from "../../components/time.tsx";
import { StoreUnavailable } from "../../components/store_unavailable.tsx";
import { StatusBanner } from "./status_banner.tsx";
import { watched } from "../../api/pipeline.ts";
import { withAcknowledged } from "../anomalies/data.ts";
import { cachedRead, type ReadResult } from "../../http/try_read.ts";
import { live } from "../../http/live.ts";
import type { PageContext, PageRequest, View } from "../../http/page.ts";

/** Runs of each dag that are shown beside its last one. */
const RECENT = 7;

type Runs = ReadonlyMap<string, readonly RunRecord[]>;

/** All that the page shows, as asked at one moment. */
interface OverviewData {
  readonly url: URL;
  readonly now: number;
  readonly recent: ReadResult<Runs>;
  readonly anomalies: ReadResult<Anomalies>;
  readonly summary: ReadResult<PipelineSummary>;
  readonly week: ReadResult<Weeks>;
  readonly minutes: readonly ServingSpan[];
}

/** How old what is made of the whole history may be while no run begins, ends or is made. */
const HISTORY_TTL_MS = 15_000;

async function readOverview(site: PageContext, url: URL): Promise<OverviewData> {
  const { analytics } = site.stores;
  const now = site.clock.now();
  const minutes = site.metrics.window.minutes(now);
  const runs = cacheHistory(site.stores.runs, iso(now - LOOK_BACK_DAYS * DAY_MS));
  const dags = [...site.dags.values()];
  const recent = await cachedRead(site, "recent", () => newest(site.runs, [...site.dags.keys()]));
  const states = [...recent.value?.values() ?? []].flat().map(({ run_id, state }) => [run_id, state]);
  const settled = { ms: HISTORY_TTL_MS, of: JSON.stringify(states) };
  const [anomalies, summary, week] = await Promise.all([
    withAcknowledged(
      site,
      cachedRead(site, "open", () => findAnomalies({ ...watched({ ...site, dags }), runs }), settled),
    ),
    cachedRead(
      site,
      "week",
      () => pipelineRunSummary({ runs, analytics, dags, clock: site.clock, days: 7 }),
      settled,
    ),
    cachedRead(site, "engagement", () => weeks(analytics, now), settled),
  ]);
  return { url, now, recent, anomalies, summary, week, minutes };
}

/** The last runs of each dag, newest first. */
async function newest(runs: Pick<RunRecordStore, "runs">, dag_ids: readonly string[]): Promise<Runs> {
  const of = async (dag_id: string) => [dag_id, await runs.runs({ dag_id, limit: RECENT + 1 })] as const;
  return new Map(await Promise.all(dag_ids.map(of)));
}

/** `GET /` for a browser: whether everything is fine, what to do where it is not, and the figures behind that. */
export async function overview({ site, url }: PageRequest): Promise<View> {
  const at = await readOverview(site, url);
  return {
    title: "Overview",
    live: `/overview/events${url.search}`,
    body: (
      <>
        <div role="status">
          <Health {...at} />
        </div>
        <Now {...at} />
        <Open {...at} />
        <Pipelines {...at} />
        <div class="columns">
          <Answers {...at} />
          <Engagement {...at} />
        </div>
      </>
    ),
  };
}

/** `GET /overview/events`: each part of the overview as it changes. */
export function overviewEvents(visit: PageRequest): Promise<Response> {
  const page = new URL(`/${visit.url.search}`, visit.url);
  const takeSnapshot = async () => {
    const at = await readOverview(visit.site, page);
    const fragments = Object.entries(FRAGMENTS).map(([id, Part]) => {
      const html = (<Part {...at} />).toString();
      return { id, key: html, html: () => html };
    });
    return { fragments, over: false };
  };
  return live(visit, { every_ms: 3_000, takeSnapshot });
}

/** What changes, by the id of its element. */
const FRAGMENTS = {
  "judged": Health,
  "now": Now,
  "open-anomalies": Open,
  "all-pipelines": Pipelines,
  "answers": Answers,
  "engagement": Engagement,
} as const;

function Health({ anomalies }: OverviewData) {
  return (
    <div id="judged">
      <StatusBanner anomalies={anomalies} />
    </div>
  );
}

function Now({ summary, minutes, now, week }: OverviewData) {
  return (
    <Figures id="now">
      <Freshness summary={summary} />
      <AnswerFigures minutes={minutes} now={now} />
      <WeekFigures week={week} />
    </Figures>
  );
}

function Answers({ minutes, now }: OverviewData) {
  return <AnswerCharts minutes={minutes} now={now} />;
}

function Engagement({ week }: OverviewData) {
  return <WeekCharts week={week} />;
}

function Freshness({ summary: { value } }: { summary: ReadResult<PipelineSummary> }) {
  const published = value?.published ?? null;
  if (published === null) {
    const isKnown = value?.degraded.length === 0;
    const note = isKnown ? "nothing is published" : "not known";
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

function Open({ url, now, anomalies }: OverviewData) {
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

function Pipelines({ url, now, summary, recent }: OverviewData) {
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

function columns(now: number, recent: Runs | null): Column<DagSummary>[] {
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
          <>
            <span class="nowrap">
              <a href={`/runs/${encodeURIComponent(last_run.run_id)}`}>
                <State state={last_run.state} />
              </a>{" "}
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
      cell: ({ dag_id }) => <RecentRuns runs={recent?.get(dag_id)?.slice(1) ?? []} now={now} />,
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
      cell: ({ success_rate }) => formatPercent(success_rate),
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
      cell: ({ quarantined_share }) => formatPercent(quarantined_share),
      by: ({ quarantined_share }) => quarantined_share,
    },
  ];
}
