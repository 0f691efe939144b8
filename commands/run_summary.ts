import { styleText } from "../deps.ts";
import { topological } from "../lib/dag/graph.ts";
import { countsText, type MappedSummary, summarizeMapped } from "../lib/dag/mapped_summary.ts";
import type { WatchedDag } from "../lib/monitoring/run_history.ts";
import { INGEST_OUTPUT, taskOf } from "../lib/monitoring/task_outputs.ts";
import { type AttemptRecord, instanceId, type RunSnapshot, taskInstance } from "../lib/stores/runs/port.ts";
import { count, table } from "./table.ts";

/** The summary of one stage of a run. `seconds` is that of the last attempt; null without an attempt. */
interface StageSummary {
  readonly stage: string;
  /** Of an instance of a mapped task: the index of its item. Null for the task itself. */
  readonly map_index: number | null;
  /** Of a mapped task that has its instances: how many are in each state. */
  readonly mapped: MappedSummary["counts"] | null;
  readonly state: string;
  readonly rows_in: number;
  readonly rows_out: number;
  readonly quarantined: number;
  readonly attempts: number;
  readonly seconds: number | null;
  /** The progress of the running attempt; null without one. */
  readonly progress: { readonly done: number; readonly total: number | null } | null;
  readonly error: string | null;
}

/** A run summed up for machines: what `--json` prints. */
export interface RunSummary {
  readonly run_id: string;
  readonly dag_id: string;
  readonly state: string;
  readonly error: string | null;
  readonly seconds: number | null;
  readonly stages: readonly StageSummary[];
  /** A sentence about each source that could not be read. */
  readonly left_out: readonly string[];
}

/** Sums up a run in the order of its dag as that is now; stages that it no longer has come last. */
export function summarize({ run, tasks, attempts }: RunSnapshot, dag: WatchedDag | undefined): RunSummary {
  const order = topological(dag?.tasks ?? []);
  const placeOf = (id: string) => order.includes(id) ? order.indexOf(id) : order.length;
  const mapped = summarizeMapped({ tasks, attempts });
  const byTask = Map.groupBy(attempts, ({ task_id }) => task_id);
  const ids = tasks.map((task) => ({ task, ...taskInstance(task.task_id) }));
  const inOrder = ids.sort((a, b) =>
    placeOf(a.task_id) - placeOf(b.task_id) || (a.map_index ?? -1) - (b.map_index ?? -1)
  );
  const stages = inOrder.map(
    ({ task, task_id: stage, map_index }): StageSummary => {
      const own = byTask.get(task.task_id) ?? [];
      const summary = mapped.get(task.task_id);
      const last = summary ?? own.findLast(({ attempt }) => attempt === task.attempts);
      const running = own.at(-1);
      return {
        stage,
        map_index,
        mapped: summary?.counts ?? null,
        state: task.state,
        rows_in: last?.rows_in ?? 0,
        rows_out: last?.rows_out ?? 0,
        quarantined: last?.quarantined ?? 0,
        attempts: summary?.attempts ?? own.length,
        seconds: last?.started_at ? seconds(last as Timed) : null,
        progress: running?.state === "running"
          ? { done: running.progress_done, total: running.progress_total }
          : null,
        error: task.error,
      };
    },
  );
  const { run_id, dag_id, state, error } = run;
  return {
    run_id,
    dag_id,
    state,
    error,
    seconds: run.started_at === null ? null : seconds(run as Timed),
    stages,
    left_out: leftOut(tasks, dag),
  };
}

/** A sentence about each source that a run of this dag could not read. */
export function leftOut(tasks: RunSnapshot["tasks"], dag: WatchedDag | undefined): string[] {
  const ingest = dag && taskOf(dag, "ingest");
  const output = tasks.find(({ task_id }) => task_id === ingest?.id)?.output;
  return (INGEST_OUTPUT.safeParse(output).data?.failed ?? []).map(({ error }) => error);
}

type Timed = Pick<AttemptRecord, "ended_at"> & { started_at: string };

function seconds({ started_at, ended_at }: Timed): number | null {
  return ended_at === null ? null : (Date.parse(ended_at) - Date.parse(started_at)) / 1_000;
}

/** The summary as a table for a person. Colours go where the stream takes them and NO_COLOR is not set. */
export function summaryTable({ run_id, state, error, seconds, stages, left_out }: RunSummary): string {
  const head = ["stage", "state", "rows in", "rows out", "quarantined", "time"];
  // Of instances, only those that failed: a mapped task may have a thousand.
  const shown = stages.filter((s) => s.map_index === null || s.state === "failed");
  const nameOf = (s: StageSummary) => s.map_index === null ? s.stage : instanceId(s.stage, s.map_index);
  const body = shown.map((s) => [
    nameOf(s),
    s.mapped === null ? s.state : `${s.state} (${countsText({ counts: s.mapped })})`,
    count(s.rows_in),
    s.progress === null ? count(s.rows_out) : `${s.progress.done} of ${s.progress.total ?? "?"}`,
    count(s.quarantined),
    s.seconds === null ? "" : `${s.seconds.toFixed(2)} s`,
  ]);
  const colour = (name: string) => name === "success" ? "green" : name === "failed" ? "red" : "gray";
  const total = seconds === null ? "" : ` in ${seconds.toFixed(2)} s`;
  const skipped = state === "success" && error !== null;
  const outcome = skipped ? `skipped (${error})` : state;
  const [title = "", ...lines] = table(head, body, 2);
  return [
    styleText("bold", title),
    ...lines.map((line, i) => styleText(colour(shown[i]?.state ?? ""), line)),
    styleText(["bold", skipped ? "gray" : colour(state)], `run ${run_id}: ${outcome}${total}`),
    ...shown.filter((s) => s.state === "failed").map((s) => styleText("red", `${nameOf(s)}: ${s.error}`)),
    ...left_out.map((error) => styleText("red", `Left out: ${error}`)),
  ].join("\n");
}
