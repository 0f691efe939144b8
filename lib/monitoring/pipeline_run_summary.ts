import { type Clock, DAY_MS, iso } from "../core/clock.ts";
import { ParleyError } from "../core/errors.ts";
import type { Published } from "../core/types.ts";
import type { ReleaseStore } from "../stores/analytics/port.ts";
import {
  type RunHistory,
  type RunRecordStore,
  type RunState,
  statusOf,
  type TaskHistory,
  type TaskState,
} from "../stores/runs/port.ts";
import { median, quantile } from "./forecast.ts";
import { MAX_RUNS, span, type WatchedDag } from "./run_history.ts";

interface SummaryOptions {
  readonly runs: Pick<RunRecordStore, "history">;
  readonly analytics: Pick<ReleaseStore, "published">;
  readonly dags: readonly WatchedDag[];
  readonly clock: Clock;
  /** How far back runs are read, in days. Default 30. */
  readonly days?: number;
}

/** How long something took, in milliseconds, over its successful runs or attempts. */
interface Durations {
  readonly count: number;
  readonly p50_ms: number | null;
  readonly p95_ms: number | null;
  /**
   * How much the newer half differs from the older half, as a share of the older median: 0.1 is 10 % slower. Null
   * with fewer than eight.
   */
  readonly trend: number | null;
}

/** Counts that stages and dags have in common. `rate`s and shares are 0..1, and null if nothing was counted. */
interface OutcomeCounts {
  /**
   * Runs that ended in success or failure, in the window. Skipped and cancelled ones count as neither, and so does a run
   * that had nothing to do.
   */
  readonly runs: number;
  readonly success_rate: number | null;
  readonly last_success: string | null;
  /** Age of that success in seconds. */
  readonly freshness_s: number | null;
  readonly durations: Durations;
  readonly quarantined: number;
  /** Of the rows that came in. */
  readonly quarantined_share: number | null;
  /** Attempts after the first one. */
  readonly retries: number;
  /** Attempts whose process died. */
  readonly lost: number;
}

export interface StageSummary extends OutcomeCounts {
  readonly task_id: string;
  readonly rows_in: number;
  readonly rows_out: number;
  readonly last_state: TaskState | null;
}

export interface DagSummary extends OutcomeCounts {
  readonly dag_id: string;
  readonly last_run: {
    readonly run_id: string;
    readonly state: RunState | "skipped" | "interrupted";
    readonly created_at: string;
    readonly ended_at: string | null;
    readonly ms: number | null;
    readonly error: string | null;
  } | null;
  /** Rows that its first stages took in; what it gave out, its stages tell. */
  readonly rows_in: number;
  /** In the order of the dag; tasks that it no longer has come last. */
  readonly stages: readonly StageSummary[];
  /** True if there were more runs than are read ({@link MAX_RUNS}): the window is then shorter than asked. */
  readonly truncated: boolean;
}

/** What the pipeline did in a window of time. JSON as it is; times are ISO 8601 in UTC. */
export interface PipelineSummary {
  readonly generated_at: string;
  readonly since: string;
  /** Null if nothing is published, and if that cannot be read. */
  readonly published: (Published & { readonly age_s: number }) | null;
  /** Stores that could not be read: without `analytics`, what is published is not known. */
  readonly degraded: readonly "analytics"[];
  readonly dags: readonly DagSummary[];
}

/**
 * Sums up the runs of each dag, and of each of its stages, that were made in the last `days`. Throws `unavailable` if the runs
 * cannot be read.
 */
export async function pipelineRunSummary(options: SummaryOptions): Promise<PipelineSummary> {
  const now = options.clock.now();
  const since = iso(now - (options.days ?? 30) * DAY_MS);
  const [published, ...dags] = await Promise.all([
    publishedIn(options.analytics),
    ...options.dags.map(async (dag) => {
      const history = await options.runs.history({ dag_id: dag.id, since, limit: MAX_RUNS });
      return dagSummary(dag, history, now);
    }),
  ]);
  return {
    generated_at: iso(now),
    since,
    published: published === "unknown" ? null : published && { ...published, age_s: age(published.at, now)! },
    degraded: published === "unknown" ? ["analytics"] : [],
    dags,
  };
}

async function publishedIn(
  analytics: SummaryOptions["analytics"],
): Promise<Published | null | "unknown"> {
  try {
    return await analytics.published();
  } catch (error) {
    if (error instanceof ParleyError) return "unknown";
    throw error;
  }
}

/** Sums up one dag over its runs, newest first. */
export function dagSummary(dag: WatchedDag, history: readonly RunHistory[], now: number): DagSummary {
  const stages = stageIds(dag, history).map((id) => stageSummary(id, history, now));
  const first = new Set(dag.tasks.filter(({ needs = [] }) => needs.length === 0).map(({ id }) => id));
  const times = history.map(({ run }) => ({
    state: statusOf(run, now),
    started_at: run.started_at,
    ended_at: run.ended_at,
  }));
  const rows_in = sum(stages.map((stage) => first.has(stage.task_id) ? stage.rows_in : 0));
  const quarantined = sum(stages.map((stage) => stage.quarantined));
  return {
    dag_id: dag.id,
    ...outcomes(times, now),
    rows_in,
    quarantined,
    quarantined_share: share(quarantined, rows_in),
    retries: sum(stages.map((stage) => stage.retries)),
    lost: sum(stages.map((stage) => stage.lost)),
    last_run: lastRun(history[0], now),
    stages,
    truncated: history.length === MAX_RUNS,
  };
}

function stageIds(dag: WatchedDag, history: readonly RunHistory[]): string[] {
  const own = dag.tasks.map(({ id }) => id);
  const gone = new Set(history.flatMap(({ tasks }) => tasks.map(({ task_id }) => task_id)));
  for (const id of own) gone.delete(id);
  return [...own, ...gone];
}

function stageSummary(task_id: string, history: readonly RunHistory[], now: number): StageSummary {
  const made = history.flatMap(({ tasks }) => tasks.find((task) => task.task_id === task_id) ?? []);
  const total = (key: "rows_in" | "rows_out" | "quarantined" | "lost") => sum(made.map((task) => task[key]));
  return {
    task_id,
    ...outcomes(made, now),
    rows_in: total("rows_in"),
    rows_out: total("rows_out"),
    quarantined: total("quarantined"),
    quarantined_share: share(total("quarantined"), total("rows_in")),
    retries: sum(made.map(({ attempts }) => Math.max(0, attempts - 1))),
    lost: total("lost"),
    last_state: made[0]?.state ?? null,
  };
}

type Outcome = Pick<TaskHistory, "started_at" | "ended_at"> & {
  readonly state: TaskState | ReturnType<typeof statusOf>;
};

/** Of what is newest first. */
function outcomes(
  made: readonly Outcome[],
  now: number,
): Pick<OutcomeCounts, "runs" | "success_rate" | "last_success" | "freshness_s" | "durations"> {
  const good = made.filter(({ state }) => state === "success");
  const bad = made.filter(({ state }) => state === "failed" || state === "upstream_failed");
  const last_success = good[0]?.ended_at ?? null;
  return {
    runs: good.length + bad.length,
    success_rate: share(good.length, good.length + bad.length),
    last_success,
    freshness_s: age(last_success, now),
    durations: durations(good.flatMap(({ started_at, ended_at }) => span(started_at, ended_at) ?? [])),
  };
}

const MIN_TREND = 8;

function durations(newestFirst: readonly number[]): Durations {
  const half = Math.floor(newestFirst.length / 2);
  const older = median(newestFirst.slice(-half));
  const trend = newestFirst.length < MIN_TREND || older === 0
    ? null
    : median(newestFirst.slice(0, half)) / older - 1;
  const at = (q: number) => newestFirst.length === 0 ? null : quantile(newestFirst, q);
  return { count: newestFirst.length, p50_ms: at(0.5), p95_ms: at(0.95), trend };
}

function lastRun(history: RunHistory | undefined, now: number): DagSummary["last_run"] {
  if (history === undefined) return null;
  const { run_id, created_at, started_at, ended_at, error } = history.run;
  return {
    run_id,
    state: statusOf(history.run, now),
    created_at,
    ended_at,
    ms: span(started_at, ended_at),
    error,
  };
}

function age(at: string | null, now: number): number | null {
  return at === null ? null : Math.round(Math.max(0, now - Date.parse(at)) / 1_000);
}

function share(part: number, whole: number): number | null {
  return whole === 0 ? null : part / whole;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
