import { formatNumber } from "../../components/format_number.ts";
import type { GraphEdge, GraphNode } from "../../components/graph.tsx";
import type { DatasetUse } from "./data.ts";

/** The uses of each dataset, in the order of `uses`. */
export function byDataset(uses: readonly DatasetUse[]): Map<string, DatasetUse[]> {
  return Map.groupBy(uses, ({ dataset }) => dataset);
}

/** The address of a dataset's uses. */
export function pathOf(dataset: string): string {
  return `/data?${new URLSearchParams({ dataset })}#dataset`;
}

/**
 * Datasets and the tasks between them, over all dags. What the tasks of a run pass to each other is a line from task to
 * task. A task that reads what it writes gets one line, to the dataset.
 */
export function datasetGraph(
  uses: readonly DatasetUse[],
  chosen: string | null,
): { nodes: GraphNode[]; edges: GraphEdge[] } {
  const nodes = new Map<string, GraphNode>();
  const edges = new Map<string, GraphEdge>();
  const connect = (from: string, to: string) => edges.set(`${from}\n${to}`, { from, to });
  const all = uses.filter(({ passing }) => !passing);
  const hidden = hiddenSources(all);
  const drawn = all.filter(({ dataset }) => !hidden.has(dataset));
  for (const use of uses) {
    const { dag_id, task_id } = use;
    const task = taskOf(use);
    nodes.set(task, { id: task, label: task_id, note: dag_id, look: "busy", href: `/pipelines/${dag_id}` });
  }
  for (const use of drawn) {
    const { dataset } = use;
    const task = taskOf(use);
    if (!nodes.has(dataset)) nodes.set(dataset, nodeOf(use, chosen));
    if (use.direction === "output") connect(task, dataset);
  }
  for (const use of drawn) {
    const task = taskOf(use);
    if (use.direction === "input" && !edges.has(`${task}\n${use.dataset}`)) connect(use.dataset, task);
  }
  for (const reader of new Set(all.filter(({ dataset }) => hidden.has(dataset)).map(taskOf))) {
    const more = `more ${reader}`;
    nodes.set(more, {
      id: more,
      label: `${formatNumber(hidden.size)} more sources`,
      round: true,
      look: "off",
    });
    connect(more, reader);
  }
  for (const { from, to } of passedOn(uses)) {
    if (from !== to) connect(from, to);
  }
  return { nodes: [...nodes.values()], edges: [...edges.values()] };
}

/** A folder may hold thousands. */
const MAX_SOURCES = 4;

/** Datasets that are read and never written, without the newest. */
function hiddenSources(uses: readonly DatasetUse[]): ReadonlySet<string> {
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

/** From each task that passes something on within a run to each task that reads it. */
function passedOn(uses: readonly DatasetUse[]): GraphEdge[] {
  const passing = byDataset(uses.filter((use) => use.passing));
  return [...passing.values()].flatMap((of) =>
    of.filter(({ direction }) => direction === "output").flatMap((writer) =>
      of.filter(({ direction }) => direction === "input")
        .map((reader) => ({ from: taskOf(writer), to: taskOf(reader) }))
    )
  );
}

/** The last two parts of a path, such as `analytics.db/events`; of vectors the store and the kind, without the model. */
export function shortName(name: string): string {
  const parts = name.split("/").filter((part) => part !== "");
  const model = parts.findIndex((part, i) => part.includes("@") && i === parts.length - 4);
  return (model > 0 ? [parts[model - 1], parts.at(-1)] : parts.slice(-2)).join("/");
}
