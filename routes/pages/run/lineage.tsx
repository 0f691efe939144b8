import { type LineageEntry, taskInstance } from "../../../lib/stores/runs/port.ts";
import { numberColumn, textColumn } from "../../components/columns.tsx";
import { Graph, type GraphEdge, type GraphNode } from "../../components/graph.tsx";
import { Empty, Section } from "../../components/layout.tsx";
import { formatBytes, formatNumber } from "../../components/format_number.ts";
import { type Column, Table } from "../../components/table.tsx";

export type Use = LineageEntry & { readonly task_id: string; readonly attempt: number };

/** What a run's attempts read and wrote: a graph of datasets and tasks, and a table of the uses. */
export function Lineage({ url, uses }: { url: URL; uses: readonly Use[] }) {
  if (uses.length === 0) {
    return (
      <Section id="lineage" title="Lineage">
        <Empty>Nothing was read or written yet. An attempt records what it used when it ends.</Empty>
      </Section>
    );
  }
  const { nodes, edges } = graphOf(uses);
  return (
    <Section id="lineage" title="Lineage" aside="datasets are round, tasks are square">
      <Graph label="What was read and written" nodes={nodes} edges={edges} />
      <details class="spaced">
        <summary>Artifacts and datasets: {formatNumber(uses.length)} uses</summary>
        <Table
          id="uses"
          caption="What each attempt read and wrote."
          url={url}
          columns={COLUMNS}
          rows={uses}
        />
      </details>
    </Section>
  );
}

/** Tasks between the datasets that they read and wrote. A dataset that a task reads and writes is one node. */
function graphOf(uses: readonly Use[]): { nodes: GraphNode[]; edges: GraphEdge[] } {
  const nodes = new Map<string, GraphNode>();
  const edges = new Map<string, GraphEdge>();
  for (const use of uses) {
    const { namespace, name, direction } = use;
    const { task_id } = taskInstance(use.task_id);
    const task = `task ${task_id}`;
    const dataset = `dataset ${namespace} ${name}`;
    nodes.set(task, { id: task, label: task_id, look: "busy" });
    nodes.set(dataset, { id: dataset, label: baseName(name), note: noteOf(use), round: true });
    const [from, to] = direction === "input" ? [dataset, task] : [task, dataset];
    edges.set(`${from}\n${to}`, { from, to });
  }
  return { nodes: [...nodes.values()], edges: [...edges.values()] };
}

function noteOf({ namespace, rows }: Use): string {
  const store = namespace.replace(/:.*$/, "");
  return rows === null ? store : `${store}, ${rows === 1 ? "1 row" : `${formatNumber(rows)} rows`}`;
}

function baseName(name: string): string {
  return name.split("/").filter((part) => part !== "").at(-1) ?? name;
}

const COLUMNS: readonly Column<Use>[] = [
  textColumn("task", "Task", ({ task_id, attempt }) => `${task_id}/${attempt}`),
  textColumn("direction", "Use", ({ direction }) => direction === "input" ? "reads" : "writes"),
  { key: "name", head: "Dataset", cell: ({ name }) => <code>{name}</code>, by: ({ name }) => name },
  {
    key: "namespace",
    head: "Where",
    cell: ({ namespace }) => <code>{namespace}</code>,
    by: ({ namespace }) => namespace,
  },
  numberColumn("rows", "Rows", ({ rows }) => rows),
  numberColumn("bytes", "Size", ({ bytes }) => bytes, formatBytes),
  {
    key: "version",
    head: "Version",
    cell: ({ version }) => version === null ? "" : <code title={version}>{version.slice(0, 12)}</code>,
    by: ({ version }) => version,
  },
];
