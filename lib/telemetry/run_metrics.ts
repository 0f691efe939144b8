import { type Clock, iso } from "../core/clock.ts";
import type { AttemptRecord, RunRecord, RunRecordStore, RunSnapshot } from "../stores/runs/port.ts";
import {
  counter,
  counts,
  gauge,
  histogram,
  histograms,
  type MetricFamily,
  type MetricPoint,
} from "./metric_families.ts";
import { CachedRead } from "./kept.ts";

/** How far one scrape looks: newest runs, runs under way, and how many of either it reads in full. */
const REACH = Object.freeze({ recent: 100, live: 1_000, in_full: 20 });
const SECONDS = [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 1_800, 3_600, 7_200];

/** How things are now. */
interface Now {
  readonly runs: readonly MetricPoint[];
  readonly tasks: readonly MetricPoint[];
  readonly succeeded: readonly MetricPoint[];
  readonly lasted: readonly MetricPoint[];
}

/**
 * What became of runs, whichever process executed them: read from the run store when asked, and counted once each, from
 * when this process started. So every process that is scraped counts all runs: take the maximum, not the sum.
 */
export class RunMetrics {
  private readonly since: string;
  /** When the runs that were counted ended, by id: a retried run ends again. */
  private readonly counted = new Map<string, string>();
  private readonly ended = counts();
  private readonly runSeconds = histograms(SECONDS);
  private readonly attempts = counts();
  private readonly taskSeconds = histograms(SECONDS);
  private readonly rows = counts();
  private readonly now: CachedRead<Now>;

  constructor(clock: Clock, private readonly runs: Pick<RunRecordStore, "runs" | "snapshot">) {
    this.since = iso(clock.now());
    this.now = new CachedRead(clock, () => this.read());
  }

  /** Gauges are left out while the run store does not answer. Never throws. */
  async families(): Promise<MetricFamily[]> {
    const now = await this.now.get();
    return [
      gauge("parley_runs", "Runs that wait or are under way", now?.runs ?? []),
      gauge("parley_tasks", "Tasks of runs under way", now?.tasks ?? []),
      gauge("parley_run_last_success_timestamp_seconds", "When a run last succeeded", now?.succeeded ?? []),
      gauge("parley_run_last_duration_seconds", "How long the newest ended run took", now?.lasted ?? []),
      counter("parley_runs_total", "Runs that ended", this.ended),
      histogram("parley_run_duration_seconds", "Time of runs", this.runSeconds),
      counter("parley_task_attempts_total", "Attempts of tasks, counted when their run ends", this.attempts),
      histogram("parley_task_duration_seconds", "Time of attempts", this.taskSeconds),
      counter("parley_task_rows_total", "Rows that tasks read, wrote and refused", this.rows),
    ];
  }

  private async read(): Promise<Now> {
    const live = await this.runs.runs({ states: ["queued", "running"], limit: REACH.live });
    const recent = await this.runs.runs({ limit: REACH.recent });
    await this.countEnded(recent);
    const dags = [...new Set([...recent, ...live].map(({ dag_id }) => dag_id))];
    return {
      runs: dags.flatMap((dag) => ["queued", "running"].map((state) => countOf(live, dag, state))),
      tasks: await this.tasksOf(live.filter(({ state }) => state === "running").slice(0, REACH.in_full)),
      succeeded: await this.lastSuccesses(dags),
      lasted: dags.flatMap((dag) => lastDuration(dag, recent)),
    };
  }

  private async tasksOf(running: readonly RunRecord[]): Promise<MetricPoint[]> {
    const tally = counts();
    for (const { run_id, dag_id: dag } of running) {
      const snapshot = await this.runs.snapshot({ run_id });
      for (const { state } of snapshot?.tasks ?? []) tally.of({ dag, state }).n++;
    }
    return tally.points(({ n }) => n);
  }

  private async lastSuccesses(dags: readonly string[]): Promise<MetricPoint[]> {
    const points: MetricPoint[] = [];
    for (const dag of dags) {
      const [run] = await this.runs.runs({ dag_id: dag, states: ["success"], limit: 1 });
      if (run?.ended_at) points.push({ labels: { dag }, value: Date.parse(run.ended_at) / 1_000 });
    }
    return points;
  }

  /** The oldest first, and the rest at the next scrape. */
  private async countEnded(recent: readonly RunRecord[]): Promise<void> {
    const fresh = recent.filter((run) => run.ended_at !== null && run.ended_at > this.until(run.run_id));
    for (const { run_id } of fresh.toReversed().slice(0, REACH.in_full)) {
      const snapshot = await this.runs.snapshot({ run_id });
      if (snapshot !== null) this.count(snapshot);
    }
    const known = new Set(recent.map(({ run_id }) => run_id));
    for (const run_id of this.counted.keys()) if (!known.has(run_id)) this.counted.delete(run_id);
  }

  /** Up to when all of a run has been counted. */
  private until(run_id: string): string {
    return this.counted.get(run_id) ?? this.since;
  }

  private count({ run, attempts }: RunSnapshot): void {
    const { run_id, dag_id: dag, state, ended_at, started_at } = run;
    const until = this.until(run_id);
    if (ended_at === null || ended_at <= until) return;
    this.counted.set(run_id, ended_at);
    const fresh = attempts.filter((attempt) => attempt.ended_at !== null && attempt.ended_at > until);
    // A retried run has stood still since it first ended.
    const began = fresh.map((attempt) => attempt.started_at).sort()[0] ?? started_at ?? ended_at;
    this.ended.of({ dag, state }).n++;
    this.runSeconds.of({ dag, state }).observe(seconds(began, ended_at));
    for (const attempt of fresh) this.countAttempt(dag, attempt);
  }

  private countAttempt(dag: string, attempt: AttemptRecord): void {
    const { task_id: task, state, started_at, ended_at } = attempt;
    this.attempts.of({ dag, task, state }).n++;
    this.taskSeconds.of({ dag, task }).observe(seconds(started_at, ended_at ?? started_at));
    this.rows.of({ dag, task, rows: "in" }).n += attempt.rows_in;
    this.rows.of({ dag, task, rows: "out" }).n += attempt.rows_out;
    this.rows.of({ dag, task, rows: "quarantined" }).n += attempt.quarantined;
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

function seconds(from: string, to: string): number {
  return Math.max(0, Date.parse(to) - Date.parse(from)) / 1_000;
}
