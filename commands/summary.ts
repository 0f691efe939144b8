import { styleText } from "../deps.ts";
import type { Config } from "../lib/config.ts";
import { systemClock } from "../lib/core/clock.ts";
import {
  type DagSummary,
  pipelineRunSummary,
  type PipelineSummary,
  type StageSummary,
} from "../lib/monitoring/pipeline_run_summary.ts";
import { openAnalytics, openRuns } from "../lib/stores/open.ts";
import { allDags } from "./engine.ts";
import { EXIT } from "./exit.ts";
import { openAll, openOptions, readOptions } from "./services.ts";
import { count, table } from "./table.ts";

/** The summary of each dag and stage over the last days. */
export async function showSummary(
  config: Config,
  options: { days?: number; json: boolean },
): Promise<number> {
  const [toWrite, toRead] = await Promise.all([openOptions(config), readOptions(config)]);
  await using opened = await openAll({
    runs: () => openRuns(config.runs, toWrite),
    analytics: () => openAnalytics(config.analytics, toRead),
  });
  const dags = [...(await allDags(config)).dags.values()];
  const summary = await pipelineRunSummary({ ...opened.value, dags, clock: systemClock, ...options });
  console.log(options.json ? JSON.stringify(summary) : summaryText(summary));
  return EXIT.ok;
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
    ? "The published version is unknown: analytics cannot be read; `deno task doctor` says why."
    : published === null
    ? "Nothing is published yet; `deno task pipeline` publishes."
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
  const cut = dag.truncated ? `, of which only the newest ${runs} count here` : "";
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
