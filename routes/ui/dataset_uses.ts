import type { LineageEntry, RunRecord, RunStore } from "../../lib/stores/runs/port.ts";
import type { GraphEdge, GraphNode } from "./graph.tsx";
import { figure } from "./numbers.ts";

/** One reading or writing of a dataset by a task. */
export interface DatasetUse extends LineageEntry {
  /** Namespace and name. */
  readonly dataset: string;
  readonly dag_id: string;
  readonly task_id: string;
  readonly run_id: string;
  readonly at: string;
}

/** Runs of each dag that are looked at. A run over unchanged sources uses little, so that one would not do. */
const RUNS = 10;

/** What the newest runs of these dags read and wrote, newest first, but for what a run's tasks leave each other. */
export async function newestUses(
  runs: Pick<RunStore, "runs" | "lineage">,
  dag_ids: readonly string[],
): Promise<DatasetUse[]> {
  const found = (await Promise.all(dag_ids.map((dag_id) => runs.runs({ dag_id, limit: RUNS })))).flat();
  const uses = await Promise.all(found.map((run) => usesOf(runs, run)));
  return uses.flat().sort((a, b) => a.at < b.at ? 1 : a.at > b.at ? -1 : 0);
}

async function usesOf(runs: Pick<RunStore, "lineage">, run: RunRecord): Promise<DatasetUse[]> {
  const { run_id, dag_id } = run;
  const at = run.started_at ?? run.created_at;
  return (await runs.lineage({ run_id }))
    .filter(({ name }) => !name.includes(run_id))
    .map((entry) => ({ ...entry, dataset: `${entry.namespace} ${entry.name}`, dag_id, run_id, at }));
}

/** Newest uses of each dataset by its key. `uses` are newest first. */
export function byDataset(uses: readonly DatasetUse[]): Map<string, DatasetUse[]> {
  return Map.groupBy(uses, ({ dataset }) => dataset);
}

/** The address of a dataset's uses. */
export function pathOf(dataset: string): string {
  return `/data?${new URLSearchParams({ dataset })}#dataset`;
}

/** Datasets and the tasks between them, over all dags. A task that reads what it writes gets the one edge out. */
export function datasetGraph(
  uses: readonly DatasetUse[],
  chosen: string | null,
): { nodes: GraphNode[]; edges: GraphEdge[] } {
  const nodes = new Map<string, GraphNode>();
  const edges = new Map<string, GraphEdge>();
  for (const { dataset, name, namespace, rows, dag_id, task_id, direction } of uses) {
    const task = `task ${dag_id}/${task_id}`;
    nodes.set(task, { id: task, label: task_id, note: dag_id, look: "busy", href: `/pipelines/${dag_id}` });
    if (!nodes.has(dataset)) {
      const look = dataset === chosen ? { look: "here" } : {};
      const store = namespace.replace(/:.*$/, "");
      const note = rows === null ? store : `${store}, ${figure(rows)} rows`;
      nodes.set(dataset, {
        id: dataset,
        label: shortName(name),
        note,
        round: true,
        href: pathOf(dataset),
        ...look,
      });
    }
    const [from, to] = direction === "input" ? [dataset, task] : [task, dataset];
    if (direction === "output") edges.delete(`${dataset}\n${task}`);
    if (direction === "output" || !edges.has(`${task}\n${dataset}`)) {
      edges.set(`${from}\n${to}`, { from, to });
    }
  }
  return { nodes: [...nodes.values()], edges: [...edges.values()] };
}

/** The last two parts of a path: `analytics.db/events` says more than `events`. */
export function shortName(name: string): string {
  return name.split("/").filter((part) => part !== "").slice(-2).join("/");
}
