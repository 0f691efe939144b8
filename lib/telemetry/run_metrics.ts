import { type Clock, iso } from "../core/clock.ts";
import {
  type AttemptRecord,
  isSkipped,
  type RunRecord,
  type RunRecordStore,
  type RunSnapshot,
  taskInstance,
} from "../stores/runs/port.ts";
import {
  counter,
  counts,
  gauge,
  histogram,
  histograms,
  type MetricFamily,
  type MetricPoint,
} from "./metric_families.ts";
import { CachedRead } from "./cached_read.ts";

/** Limits of one scrape: newest runs, runs in progress, and of how many of them it reads tasks and attempts. */
const SCRAPE_LIMITS = Object.freeze({ recent: 100, live: 1_000, in_full: 20 });
const SECONDS = [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 1_800, 3_600, 7_200];

interface RunGauges {
  readonly runs: readonly MetricPoint[];
  readonly tasks: readonly MetricPoint[];
  readonly succeeded: readonly MetricPoint[];
  readonly skipped: readonly MetricPoint[];
  readonly durations: readonly MetricPoint[];
}

/**
 * Counts of runs that ended since this process started, whichever process executed them. They are read from the run store at
 * each scrape and counted once. Every process counts all runs: take the maximum, not the sum.
 */
export class RunMetrics {
  private readonly since: string;
  /** When each counted run ended, by id: a retried run ends again. */
  private readonly counted = new Map<string, string>();
  private readonly ended = counts();
  private readonly runSeconds = histograms(SECONDS);
  private readonly attempts = counts();
  private readonly taskSeconds = histograms(SECONDS);
  private readonly rows = counts();
  private readonly gauges: CachedRead<RunGauges>;

  constructor(clock: Clock, private readonly runs: Pick<RunRecordStore, "runs" | "snapshot">) {
    this.since = iso(clock.now());
    this.gauges = new CachedRead(clock, () => this.read());
  }

  /** Gauges are left out while the run store is not responding. Never throws. */
  async families(): Promise<MetricFamily[]> {
    const gauges = await this.gauges.get();
    return [
      gauge("parley_runs", "Runs that wait or are under way", gauges?.runs ?? []),
      gauge("parley_tasks", "Tasks of runs under way", gauges?.tasks ?? []),
      gauge(
        "parley_run_last_success_timestamp_seconds",
        "When a run last succeeded that was not skipped",
        gauges?.succeeded ?? [],
      ),
      gauge(
        "parley_run_last_skipped_timestamp_seconds",
        "When a run was last skipped, as it had nothing to do",
        gauges?.skipped ?? [],
      ),
      gauge(
        "parley_run_last_duration_seconds",
        "How long the newest ended run took",
        gauges?.durations ?? [],
      ),
      counter("parley_runs_total", "Runs that ended", this.ended),
      histogram("parley_run_duration_seconds", "Time of runs", this.runSeconds),
      counter("parley_task_attempts_total", "Attempts of tasks, counted when their run ends", this.attempts),
      histogram("parley_task_duration_seconds", "Time of attempts", this.taskSeconds),
      counter("parley_task_rows_total", "Rows that tasks read, wrote and refused", this.rows),
    ];
  }

  private async read(): Promise<RunGauges> {
    const live = await this.runs.runs({ states: ["queued", "running"], limit: SCRAPE_LIMITS.live });
    const recent = await this.runs.runs({ limit: SCRAPE_LIMITS.recent });
    await this.countEnded(recent);
    const dags = [...new Set([...recent, ...live].map(({ dag_id }) => dag_id))];
    return {
      runs: dags.flatMap((dag) => ["queued", "running"].map((state) => countOf(live, dag, state))),
      tasks: await this.tasksOf(
        live.filter(({ state }) => state === "running").slice(0, SCRAPE_LIMITS.in_full),
      ),
      succeeded: await this.lastSuccesses(dags, { skipped: false }),
      skipped: await this.lastSuccesses(dags, { skipped: true }),
      durations: dags.flatMap((dag) => lastDuration(dag, recent)),
    };
  }

  private async tasksOf(running: readonly RunRecord[]): Promise<MetricPoint[]> {
    const taskCounts = counts();
    for (const { run_id, dag_id: dag } of running) {
      const snapshot = await this.runs.snapshot({ run_id });
      for (const { state } of snapshot?.tasks ?? []) taskCounts.withLabels({ dag, state }).n++;
    }
    return taskCounts.points(({ n }) => n);
  }

  private async lastSuccesses(
    dags: readonly string[],
    { skipped }: { skipped: boolean },
  ): Promise<MetricPoint[]> {
    const points: MetricPoint[] = [];
    for (const dag of dags) {
      const [run] = await this.runs.runs({ dag_id: dag, states: ["success"], skipped, limit: 1 });
      if (run?.ended_at) points.push({ labels: { dag }, value: Date.parse(run.ended_at) / 1_000 });
    }
    return points;
  }

  /** The oldest first, and the rest at the next scrape. */
  private async countEnded(recent: readonly RunRecord[]): Promise<void> {
    const newlyEnded = recent.filter((run) =>
      run.ended_at !== null && run.ended_at > this.countedUntil(run.run_id)
    );
    for (const { run_id } of newlyEnded.toReversed().slice(0, SCRAPE_LIMITS.in_full)) {
      const snapshot = await this.runs.snapshot({ run_id });
      if (snapshot !== null) this.count(snapshot);
    }
    const recentIds = new Set(recent.map(({ run_id }) => run_id));
    for (const run_id of this.counted.keys()) if (!recentIds.has(run_id)) this.counted.delete(run_id);
  }

  /** The time up to which a run has been counted. */
  private countedUntil(run_id: string): string {
    return this.counted.get(run_id) ?? this.since;
  }

  private count({ run, attempts }: RunSnapshot): void {
    const { run_id, dag_id: dag, ended_at, started_at } = run;
    const state = isSkipped(run) ? "skipped" : run.state;
    const countedUntil = this.countedUntil(run_id);
    if (ended_at === null || ended_at <= countedUntil) return;
    this.counted.set(run_id, ended_at);
    const newlyEnded = attempts.filter((attempt) =>
      attempt.ended_at !== null && attempt.ended_at > countedUntil
    );
    // A retried run was idle since it first ended.
    const begin = newlyEnded.map((attempt) => attempt.started_at).sort()[0] ?? started_at ?? ended_at;
    this.ended.withLabels({ dag, state }).n++;
    this.runSeconds.withLabels({ dag, state }).observe(seconds(begin, ended_at));
    for (const attempt of newlyEnded) this.countAttempt(dag, attempt);
  }

  private countAttempt(dag: string, attempt: AttemptRecord): void {
    const { state, started_at, ended_at } = attempt;
    const { task_id: task } = taskInstance(attempt.task_id);
    this.attempts.withLabels({ dag, task, state }).n++;
    this.taskSeconds.withLabels({ dag, task }).observe(seconds(started_at, ended_at ?? started_at));
    this.rows.withLabels({ dag, task, rows: "in" }).n += attempt.rows_in;
    this.rows.withLabels({ dag, task, rows: "out" }).n += attempt.rows_out;
    this.rows.withLabels({ dag, task, rows: "quarantined" }).n += attempt.quarantined;
  }
}

function countOf(runs: readonly RunRecord[], dag: string, state: string): MetricPoint {
  const value = runs.filter((run) => run.dag_id === dag && run.state === state).length;
  return { labels: { dag, state }, value };
}

function lastDuration(dag: string, recent: readonly RunRecord[]): MetricPoint[] {
  const last = recent.find((run) => run.dag_id === dag && run.started_at !== null && run.ended_at !== null);
  return last === undefined ? [] : [{ labels: { dag }, value: seconds(last.started_at!, last.ended_at!) }];
}

function seconds(start: string, end: string): number {
  return Math.max(0, Date.parse(end) - Date.parse(start)) / 1_000;
}
