import { ParleyError } from "../../../lib/core/errors.ts";
import type { Dag } from "../../../lib/dag/define.ts";
import { topological } from "../../../lib/dag/graph.ts";
import { type MappedSummary, summarizeMapped } from "../../../lib/dag/mapped_summary.ts";
import {
  type LogLine,
  type LogStore,
  type RunSnapshot,
  taskInstance,
} from "../../../lib/stores/runs/port.ts";
import type { PageRequest } from "../../http/page.ts";

export interface LogFilter {
  readonly task_id?: string;
  readonly attempt?: number;
}

/**
 * A run as its page shows it. `order` are its tasks without instances of mapped ones: the dag's order, then those that the dag no
 * longer has.
 */
export interface RunPageData extends RunSnapshot {
  readonly dag: Dag<never> | undefined;
  readonly order: readonly string[];
  readonly mapped: ReadonlyMap<string, MappedSummary>;
}

export async function readRunPage({ http, context }: PageRequest): Promise<RunPageData> {
  const snapshot = await context.runs.snapshot({ run_id: http.req.param("run_id") ?? "" });
  if (snapshot === null) throw new ParleyError("not_found", "there is no such run; /runs lists them");
  const dag = context.dags.get(snapshot.run.dag_id);
  const known = topological(dag?.tasks ?? []);
  const others = new Set(snapshot.tasks.map(({ task_id }) => taskInstance(task_id).task_id));
  const order = [...known, ...[...others].filter((id) => !known.includes(id))];
  return { ...snapshot, dag, order, mapped: summarizeMapped(snapshot) };
}

/** The lines of the log that the address selects: all, or those of a task or of one attempt. */
export function logFilter({ url }: PageRequest): LogFilter {
  const task_id = url.searchParams.get("task") ?? "";
  const attempt = Number(url.searchParams.get("attempt") ?? "0");
  if (task_id === "") return {};
  return { task_id, ...Number.isSafeInteger(attempt) && attempt > 0 ? { attempt } : {} };
}

export type Line = LogLine & { readonly seq: number };

export interface Tail {
  readonly lines: readonly Line[];
  /** Whether there are lines before these. */
  readonly cut: boolean;
}

const LINES_PER_READ = 1_000;
/** Lines that the page shows. */
export const MAX_LINES = 500;

/** The last lines of a log. */
export async function readTail(
  runs: Pick<LogStore, "logs">,
  filter: LogFilter & { readonly run_id: string },
): Promise<Tail> {
  let lines: Line[] = [];
  let cut = false;
  for (let after = 0;;) {
    const next = await runs.logs({ ...filter, after, limit: LINES_PER_READ });
    cut ||= lines.length + next.length > MAX_LINES;
    lines = [...lines, ...next].slice(-MAX_LINES);
    if (next.length < LINES_PER_READ) return { lines, cut };
    after = next.at(-1)!.seq;
  }
}
