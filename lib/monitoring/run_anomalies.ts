import type { RunHistory, TaskHistory } from "../stores/runs/port.ts";
import type { Anomaly } from "./anomaly.ts";
import { forecastShare, median, WINDOW } from "./forecast.ts";
import { stuckRunAnomalies } from "./stuck_runs.ts";
import { percent } from "../core/text.ts";
import { findOutlier, seconds } from "./outliers.ts";
import { ended, span, type WatchedDag } from "./run_history.ts";

/** Rows that a count must be off by, and by which factor, to be worth a look. */
const ROWS = { min_difference: 20, factor: 1.5 };
/** The same for durations: jitter of a second raises no alarm. */
const SLOW = { min_difference: 2_000, factor: 1.5 };
/** Quarantined rows that it takes. */
const MIN_BAD_ROWS = 10;
/** Runs that all gave rows before one that gives none is a surprise. */
const MIN_FULL = 5;
/** Runs in a row at another level after which it is the new level, and no warning any more. */
const SETTLED = 5;

/**
 * Anomalies of the newest run of a dag, compared with those before: whether it failed, and of a successful one each
 * task's rows, time, refused rows and lost attempts. `history` is newest first.
 */
export function historyAnomalies(dag: WatchedDag, history: readonly RunHistory[], now: number): Anomaly[] {
  const unfinished = stuckRunAnomalies(dag, history, now);
  const [newest, ...before] = history.filter(ended).filter(({ run }) => run.state !== "cancelled");
  if (newest === undefined) return unfinished;
  if (newest.run.state === "failed") return [failed(dag, newest, before), ...unfinished];
  return [...tolerated(dag, newest), ...runAnomalies(dag, newest, before), ...unfinished];
}

/** Tasks that failed in a run that continued without them. */
function tolerated(dag: WatchedDag, { run, tasks }: RunHistory): Anomaly[] {
  return tasks.filter(({ state }) => state === "failed").map(({ task_id, attempts }) => ({
    code: "task_failed",
    severity: "warning",
    subject: { kind: "task", dag_id: dag.id, task_id },
    figure: attempts,
    expected: 0,
    unit: "attempts",
    since: run.ended_at ?? run.created_at,
    run_id: run.run_id,
    text: `Task ${task_id} failed, and the run of ${dag.id} continued without it: see ` +
      `\`deno task pipeline logs ${run.run_id} ${task_id}\``,
  }));
}

/** Failed runs after which another one succeeded, newest first; of several in a row, the last with their number. */
export function pastFailures(dag: WatchedDag, history: readonly RunHistory[]): Anomaly[] {
  const runs = history.filter(ended).filter(({ run }) => run.state !== "cancelled");
  return runs.flatMap((one, i) => {
    const next = runs[i - 1]?.run;
    if (one.run.state !== "failed" || next?.state !== "success" || next.ended_at === null) return [];
    return [{ ...failed(dag, one, runs.slice(i + 1)), until: next.ended_at }];
  });
}

/** A failed run, with how many before it failed likewise. */
function failed(dag: WatchedDag, one: RunHistory, before: readonly RunHistory[]): Anomaly {
  const good = before.findIndex(({ run }) => run.state === "success");
  const streak = good === -1 ? before : before.slice(0, good);
  const first = streak.at(-1) ?? one;
  const task = one.tasks.find(({ state }) => state === "failed")?.task_id ?? null;
  const { run_id, trigger } = one.run;
  const remedy = trigger === "external"
    ? "have the engine outside that drives it run the task again"
    : `\`deno task pipeline retry ${run_id}\``;
  const what = streak.length === 0
    ? `The last run of ${dag.id} failed`
    : `The last ${streak.length + 1} runs of ${dag.id} failed`;
  const where = task === null ? what : `${what} at ${task}`;
  const why = one.run.error === null ? where : `${where}: ${brief(one.run.error, task)}`;
  return {
    code: "run_failed",
    severity: "critical",
    subject: task === null
      ? { kind: "dag", dag_id: dag.id }
      : { kind: "task", dag_id: dag.id, task_id: task },
    figure: streak.length + 1,
    expected: 0,
    unit: "runs",
    since: first.run.ended_at ?? first.run.created_at,
    run_id,
    // An error may continue with a remedy.
    cause: why.split("; ", 1)[0]!,
    text: `${why}; see \`deno task pipeline logs ${run_id}\`, mend the cause, then ${remedy}`,
  };
}

/** Maximum length of an error in a text, in characters. */
const MAX_ERROR = 1_000;

/** The first line of a run's error, without the task's name. */
function brief(error: string, task: string | null): string {
  const [line = ""] = error.replace(`${task}: `, "").split("\n");
  return line.length <= MAX_ERROR ? line : `${line.slice(0, MAX_ERROR - 1)}…`;
}

/** What is unusual about a successful run, against the runs before it, newest first. */
export function runAnomalies(dag: WatchedDag, one: RunHistory, before: readonly RunHistory[]): Anomaly[] {
  const earlier = before.filter(({ run }) => run.state === "success").reverse();
  const found: Anomaly[] = [];
  const off = new Set<string>();
  for (const { id, needs = [] } of dag.tasks) {
    const task = one.tasks.find(({ task_id }) => task_id === id);
    if (task === undefined || task.state !== "success" || task.attempts === 0) continue;
    const look = new TaskLook({ dag, one, task, series: seriesOf(id, earlier) });
    // A stage that only passes on what another one found is no news.
    const rows = look.empty() ?? look.rows();
    if (rows !== null && !needs.some((need) => off.has(need))) found.push(rows);
    if (rows !== null || needs.some((need) => off.has(need))) off.add(id);
    const slow = rows === null ? look.duration() : null;
    found.push(...[slow, look.quarantine(), look.lost()].filter((anomaly) => anomaly !== null));
  }
  return found;
}

interface Measured extends TaskHistory {
  readonly at: number;
}

/** One task's newest successes, oldest first: runs that had nothing to do leave no gap. */
function seriesOf(task_id: string, runs: readonly RunHistory[]): Measured[] {
  return runs.flatMap(({ run, tasks }) => {
    const task = tasks.find((one) => one.task_id === task_id);
    if (task === undefined || task.state !== "success" || task.attempts === 0) return [];
    return [{ ...task, at: timeOf(run) }];
  }).slice(-WINDOW);
}

/** The time that a run was for: it determines the weekday of a late or repeated run, and its rows. */
function timeOf(run: RunHistory["run"]): number {
  return Date.parse(run.logical_date);
}

class TaskLook {
  private readonly at: number;

  constructor(
    private readonly options: {
      dag: WatchedDag;
      one: RunHistory;
      task: TaskHistory;
      series: readonly Measured[];
    },
  ) {
    this.at = timeOf(options.one.run);
  }

  empty(): Anomaly | null {
    const { task, series } = this.options;
    const full = series.length >= MIN_FULL &&
      series.every(({ rows_in, rows_out }) => rows_in > 0 && rows_out > 0);
    if (!full || task.rows_in === 0 || task.rows_out > 0) return null;
    const given = series.map(({ rows_out }) => rows_out);
    return this.anomaly("stage_empty", {
      figure: 0,
      expected: Math.round(median(given)),
      unit: "rows",
      history: [...given, 0],
      text:
        `${task.task_id} took ${task.rows_in} rows in and gave none out, as it never did before: ${this.logs()}`,
    });
  }

  rows(): Anomaly | null {
    return this.level("rows_in", "took in") ?? this.level("rows_out", "gave out");
  }

  private level(key: "rows_in" | "rows_out", did: string): Anomaly | null {
    const { task, series } = this.options;
    const points = series.map((one) => ({ at: one.at, value: one[key] }));
    const seen = findOutlier(points, { at: this.at, value: task[key] }, ROWS);
    if (seen === null) return null;
    const { expected, streak, usual } = seen;
    return this.anomaly("rows_unusual", {
      usual,
      figure: task[key],
      expected: Math.round(expected),
      unit: "rows",
      ...this.lasting(streak),
      history: [...points.map(({ value }) => value), task[key]],
      text:
        `${task.task_id} ${did} ${task[key]} rows where about ${Math.round(expected)} were to be expected: ` +
        `look whether the sources are whole; ${this.logs()}`,
    });
  }

  duration(): Anomaly | null {
    const { task, series } = this.options;
    const ms = span(task.started_at, task.ended_at);
    if (ms === null) return null;
    const points = series.flatMap(({ at, started_at, ended_at }) => {
      const value = span(started_at, ended_at);
      return value === null ? [] : [{ at, value }];
    });
    const seen = findOutlier(points, { at: this.at, value: ms }, SLOW);
    if (seen === null || ms < seen.expected) return null;
    const { expected, streak, usual } = seen;
    return this.anomaly("stage_slow", {
      usual,
      figure: ms,
      expected: Math.round(expected),
      unit: "ms",
      ...this.lasting(streak),
      history: [...points.map(({ value }) => value), ms],
      text: `${task.task_id} took ${seconds(ms)} where about ${seconds(expected)} were to be expected: ` +
        `look at the machine and at the stores it uses; ${this.logs()}`,
    });
  }

  quarantine(): Anomaly | null {
    const { task, series, one } = this.options;
    const parts = series.map(({ quarantined, rows_in }) => ({ part: quarantined, whole: rows_in }));
    const usual = forecastShare(parts, task.rows_in);
    const share = task.quarantined / task.rows_in;
    if (usual === null || task.quarantined < MIN_BAD_ROWS || share <= usual.high) return null;
    if (share < 2 * usual.expected) return null;
    return this.anomaly("quarantine_spike", {
      figure: share,
      expected: usual.expected,
      usual: [usual.low, usual.high],
      unit: "share",
      history: [...parts.filter(({ whole }) => whole > 0).map(({ part, whole }) => part / whole), share],
      text: `${percent(share)} of the rows were refused where ${percent(usual.expected)} are usual: ` +
        `\`deno task pipeline quarantine --run ${one.run.run_id}\` has the reasons`,
    });
  }

  lost(): Anomaly | null {
    const { task } = this.options;
    if (task.lost === 0) return null;
    return this.anomaly("attempts_lost", {
      figure: task.lost,
      expected: 0,
      unit: "attempts",
      text: `${task.lost} attempts of ${task.task_id} were lost with their process: ` +
        `look whether the machine ran out of memory or was restarted; ${this.logs()}`,
    });
  }

  private logs(): string {
    return `\`deno task pipeline logs ${this.options.one.run.run_id} ${this.options.task.task_id}\``;
  }

  private lasting(streak: number): Pick<Anomaly, "since" | "severity"> {
    const { series, task, one } = this.options;
    const since = (streak === 0 ? task : series.at(-streak))?.ended_at ?? one.run.created_at;
    return { since, severity: streak >= SETTLED ? "info" : "warning" };
  }

  private anomaly(
    code: string,
    rest: Pick<Anomaly, "figure" | "expected" | "unit" | "text"> & Partial<Anomaly>,
  ): Anomaly {
    const { dag, task, one: { run } } = this.options;
    return {
      code,
      severity: "warning",
      subject: { kind: "task", dag_id: dag.id, task_id: task.task_id },
      since: run.ended_at ?? run.created_at,
      run_id: run.run_id,
      ...rest,
    };
  }
}
