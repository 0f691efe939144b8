import type { LineageEntry, RunRecord, RunRecordStore } from "../../../lib/stores/runs/port.ts";
import type { GraphEdge, GraphNode } from "../../components/graph.tsx";
import { formatNumber } from "../../components/format_number.ts";

/** One reading or writing of a dataset by a task. */
export interface DatasetUse extends LineageEntry {
  /** Namespace and name. */
  readonly dataset: string;
  readonly dag_id: string;
  readonly task_id: string;
  readonly run_id: string;
  readonly at: string;
  /** What the attempt's result depends on: `code`, `model`, `schema`. */
  readonly versions: Readonly<Record<string, string>>;
  /** What the tasks of one run leave for each other, which is no dataset. */
  readonly passing: boolean;
}

/** Runs of each dag that are looked at. A run over unchanged sources uses little, so that one would not do. */
const RUNS = 10;

/** What the newest runs of these dags read and wrote, newest first. */
export async function newestUses(
  runs: Pick<RunRecordStore, "runs" | "lineage" | "snapshot">,
  dag_ids: readonly string[],
): Promise<DatasetUse[]> {
  const found = (await Promise.all(dag_ids.map((dag_id) => runs.runs({ dag_id, limit: RUNS })))).flat();
  const uses = await Promise.all(found.map((run) => usesOf(runs, run)));
  return uses.flat().sort((a, b) => a.at < b.at ? 1 : a.at > b.at ? -1 : 0);
}

async function usesOf(
  runs: Pick<RunRecordStore, "lineage" | "snapshot">,
  run: RunRecord,
): Promise<DatasetUse[]> {
  const { run_id, dag_id } = run;
  const at = run.started_at ?? run.created_at;
  const [lineage, snapshot] = await Promise.all([runs.lineage({ run_id }), runs.snapshot({ run_id })]);
  const made = new Map(snapshot?.attempts.map((each) => [`${each.task_id} ${each.attempt}`, each.versions]));
  return lineage.map((entry) => ({
    ...entry,
    dataset: `${entry.namespace} ${entry.name}`,
    dag_id,
    run_id,
    at,
    versions: made.get(`${entry.task_id} ${entry.attempt}`) ?? {},
    passing: entry.name.includes(run_id),
  }));
}

/** Newest uses of each dataset by its key. `uses` are newest first. */
export function byDataset(uses: readonly DatasetUse[]): Map<string, DatasetUse[]> {
  return Map.groupBy(uses, ({ dataset }) => dataset);
}

/** The address of a dataset's uses. */
export function pathOf(dataset: string): string {
  return `/data?${new URLSearchParams({ dataset })}#dataset`;
}

/**
 * Datasets and the tasks between them, over all dags. What a run's tasks leave for each other is a line from task to task; a
 * task that reads what it writes gets the one line out.
 */
export function datasetGraph(
  uses: readonly DatasetUse[],
  chosen: string | null,
): { nodes: GraphNode[]; edges: GraphEdge[] } {
  const nodes = new Map<string, GraphNode>();
  const edges = new Map<string, GraphEdge>();
  const draw = (from: string, to: string) => edges.set(`${from}\n${to}`, { from, to });
  const all = uses.filter(({ passing }) => !passing);
  const left = sourcesLeftOut(all);
  const lasting = all.filter(({ dataset }) => !left.has(dataset));
  for (const use of uses) {
    const { dag_id, task_id } = use;
    const task = taskOf(use);
    nodes.set(task, { id: task, label: task_id, note: dag_id, look: "busy", href: `/pipelines/${dag_id}` });
  }
  for (const use of lasting) {
    const { dataset } = use;
    const task = taskOf(use);
    if (!nodes.has(dataset)) nodes.set(dataset, nodeOf(use, chosen));
    if (use.direction === "output") draw(task, dataset);
  }
  for (const use of lasting) {
    const task = taskOf(use);
    if (use.direction === "input" && !edges.has(`${task}\n${use.dataset}`)) draw(use.dataset, task);
  }
  for (const reader of new Set(all.filter(({ dataset }) => left.has(dataset)).map(taskOf))) {
    const more = `more ${reader}`;
    nodes.set(more, {
      id: more,
      label: `${formatNumber(left.size)} more sources`,
      round: true,
      look: "off",
    });
    draw(more, reader);
  }
  for (const { from, to } of handed(uses)) {
    if (from !== to) draw(from, to);
  }
  return { nodes: [...nodes.values()], edges: [...edges.values()] };
}

/** Sources that are drawn; a folder may hold thousands. */
const MAX_SOURCES = 4;

/** What is read and never written, but for the newest. */
function sourcesLeftOut(uses: readonly DatasetUse[]): ReadonlySet<string> {
  const written = new Set(
    uses.filter(({ direction }) => direction === "output").map(({ dataset }) => dataset),
  );
  const sources = new Set(uses.map(({ dataset }) => dataset).filter((each) => !written.has(each)));
  return new Set([...sources].slice(MAX_SOURCES));
}

function taskOf({ dag_id, task_id }: DatasetUse): string {
  return `task ${dag_id}/${task_id}`;
}

function nodeOf({ dataset, name, namespace, rows }: DatasetUse, chosen: string | null): GraphNode {
  const look = dataset === chosen ? { look: "here" } : {};
  const store = namespace.replace(/:.*$/, "");
  const note = rows === null || rows === 0 ? store : `${store}, ${formatNumber(rows)} rows`;
  return { id: dataset, label: shortName(name), note, round: true, href: pathOf(dataset), ...look };
}

/** From each task that wrote what passes within a run to each that read it. */
function handed(uses: readonly DatasetUse[]): GraphEdge[] {
  const passing = byDataset(uses.filter((use) => use.passing));
  return [...passing.values()].flatMap((of) =>
    of.filter(({ direction }) => direction === "output").flatMap((writer) =>
      of.filter(({ direction }) => direction === "input")
        .map((reader) => ({ from: taskOf(writer), to: taskOf(reader) }))
    )
  );
}

/**
 * The last two parts of a path, since `analytics.db/events` says more than `events`; of vectors the store and the kind, between
 * which their model stands.
 */
export function shortName(name: string): string {
  const parts = name.split("/").filter((part) => part !== "");
  const model = parts.findIndex((part, i) => part.includes("@") && i === parts.length - 4);
  return (model > 0 ? [parts[model - 1], parts.at(-1)] : parts.slice(-2)).join("/");
}
