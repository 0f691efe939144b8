import { styleText } from "../deps.ts";
import type { Config } from "../lib/config.ts";
import { systemClock } from "../lib/core/clock.ts";
import { parseModelKey } from "../lib/core/types.ts";
import { type Anomalies, detectAnomalies } from "../lib/quality/anomalies.ts";
import { type Anomaly, subjectName } from "../lib/quality/anomaly.ts";
import {
  type DagSummary,
  pipelineRunSummary,
  type PipelineSummary,
  type StageSummary,
} from "../lib/quality/summary.ts";
import { openAnalytics, openDocuments, openGraph, openRuns, openVectors } from "../lib/stores/open.ts";
import { allDags } from "./engine.ts";
import { EXIT } from "./exit.ts";
import { openAll, openOptions } from "./services.ts";
import { count, table } from "./table.ts";

interface Options {
  readonly days?: number;
  readonly json: boolean;
}

const daysOf = ({ days }: Options) => days === undefined ? {} : { days };

/** What each dag and stage did in the last days. */
export async function showSummary(config: Config, o: Options): Promise<number> {
  const { value, close } = await openAll({
    runs: () => openRuns(config.runs, openOptions(config)),
    analytics: () => openAnalytics(config.analytics, openOptions(config)),
  });
  try {
    const dags = [...allDags(config).values()];
    const summary = await pipelineRunSummary({ ...value, dags, clock: systemClock, ...daysOf(o) });
    console.log(o.json ? JSON.stringify(summary) : summaryText(summary));
    return EXIT.ok;
  } finally {
    await close();
  }
}

const HEAD = [
  "stage",
  "last",
  "runs",
  "success",
  "p50",
  "p95",
  "trend",
  "rows in",
  "rows out",
  "refused",
  "retries",
];

function summaryText({ published, degraded, dags, since }: PipelineSummary): string {
  const version = degraded.includes("analytics")
    ? "What is published is not known: analytics cannot be read; `deno task doctor` says why."
    : published === null
    ? "Nothing is published yet; `deno task pipeline` does it."
    : `Data version ${published.version} was published ${
      age(published.age_s)
    } ago by run ${published.run_id}.`;
  return [version, ...dags.map((dag) => dagText(dag, since))].join("\n\n");
}

function dagText(dag: DagSummary, since: string): string {
  const { dag_id, runs, last_run, freshness_s } = dag;
  const title = styleText("bold", `${dag_id} since ${since.slice(0, 10)}`);
  if (last_run === null) return `${title}: no runs`;
  const fresh = freshness_s === null ? "no success" : `last success ${age(freshness_s)} ago`;
  const cut = dag.truncated ? `, of which the newest ${runs} are summed up` : "";
  const rows = dag.stages.map((stage) => rowOf(stage.task_id, stage.last_state ?? "", stage));
  const [head = "", ...lines] = table(
    HEAD,
    [...rows, rowOf("all", last_run.state, { ...dag, rows_out: 0 })],
    2,
  );
  return [
    `${title}: ${runs} ${runs === 1 ? "run" : "runs"}${cut}, ${fresh}`,
    styleText("bold", head),
    ...lines,
  ].join("\n");
}

function rowOf(name: string, last: string, s: Omit<StageSummary, "task_id" | "last_state">): string[] {
  const { p50_ms, p95_ms, trend } = s.durations;
  return [
    ...[name, last, count(s.runs), share(s.success_rate), time(p50_ms), time(p95_ms)],
    ...[trend === null ? "" : `${trend < 0 ? "" : "+"}${(100 * trend).toFixed(0)} %`],
    ...[
      count(s.rows_in),
      count(s.rows_out),
      share(s.quarantined === 0 ? null : s.quarantined_share),
      count(s.retries),
    ],
  ];
}

/** What is not as it should be; exit code 1 where something of it is critical. */
export async function showAnomalies(config: Config, o: Options): Promise<number> {
  const { value: { runs, vectors, ...others }, close } = await openAll({
    runs: () => openRuns(config.runs, openOptions(config)),
    documents: () => openDocuments(config.documents, openOptions(config)),
    analytics: () => openAnalytics(config.analytics, openOptions(config)),
    vectors: () => openVectors(config.vectors, openOptions(config)),
    graph: () => openGraph(config.graph, openOptions(config)),
  });
  try {
    const dags = [...allDags(config).values()];
    const { analytics } = others;
    const published = await analytics.published();
    // Nothing is published, so there is nothing yet that stores could disagree on.
    const stores = published === null
      ? {}
      : { stores: { ...others, vectors: await vectors.of({ model: parseModelKey(published.model) }) } };
    const found = await detectAnomalies({
      runs,
      analytics,
      ...stores,
      dags,
      clock: systemClock,
      ...daysOf(o),
    });
    console.log(o.json ? JSON.stringify(found) : anomaliesText(found));
    return found.open.some(({ severity }) => severity === "critical") ? EXIT.failed : EXIT.ok;
  } finally {
    await close();
  }
}

const COLOUR = { critical: "red", warning: "yellow", info: "gray" } as const;
/** Past ones that are listed; `--json` has all of them. */
const SHOWN_PAST = 10;

function anomaliesText({ open, past, since }: Anomalies): string {
  const now = open.length === 0
    ? ["Nothing is wrong."]
    : open.map((one) => styleText(COLOUR[one.severity], `${one.severity.padEnd(8)}  ${line(one)}`));
  if (past.length === 0) return now.join("\n");
  const earlier = past.slice(0, SHOWN_PAST).map((one) =>
    styleText("gray", `until ${one.until ?? ""}  ${line(one)}`)
  );
  return [...now, "", `${past.length} more since ${since.slice(0, 10)}, over by now:`, ...earlier].join("\n");
}

function line({ subject, since, text }: Anomaly): string {
  return `${subjectName(subject)} since ${since}: ${text}`;
}

function share(value: number | null): string {
  return value === null ? "" : `${(100 * value).toFixed(1)} %`;
}

function time(ms: number | null): string {
  return ms === null ? "" : `${(ms / 1_000).toFixed(2)} s`;
}

function age(s: number): string {
  if (s < 7_200) return `${Math.round(s / 60)} min`;
  return s < 172_800 ? `${Math.round(s / 3_600)} h` : `${Math.round(s / 86_400)} days`;
}
