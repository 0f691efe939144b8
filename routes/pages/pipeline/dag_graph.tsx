import type { Dag } from "../../../lib/dag/define.ts";
import type { RunSnapshot } from "../../../lib/stores/runs/port.ts";
import { Graph, type GraphNode } from "../../components/graph.tsx";
import { stateLabel } from "../../components/state.tsx";

/** A dag's tasks and what each needs, coloured as a run has them. */
export function DagGraph({ dag, snapshot }: { dag: Dag<never>; snapshot: RunSnapshot | undefined }) {
  const nodes = dag.tasks.map(({ id, doc }): GraphNode => {
    const state = snapshot?.tasks.find(({ task_id }) => task_id === id)?.state;
    if (snapshot === undefined || state === undefined) {
      return { id, label: id, ...doc === undefined ? {} : { note: doc } };
    }
    const { look, sign, name } = stateLabel(state);
    const href = `/runs/${encodeURIComponent(snapshot.run.run_id)}?task=${encodeURIComponent(id)}#task-${id}`;
    return { id, label: id, note: progressOf(snapshot, id) ?? name, look, sign, href };
  });
  const edges = dag.tasks.flatMap(({ id, needs = [] }) =>
    [...new Set(needs)].map((from) => ({ from, to: id }))
  );
  return <Graph label={`The tasks of ${dag.id}`} nodes={nodes} edges={edges} />;
}

function progressOf({ attempts }: RunSnapshot, task_id: string): string | null {
  const last = attempts.findLast((each) => each.task_id === task_id);
  if (last?.state !== "running" || last.progress_done === 0) return null;
  return `${last.progress_done} of ${last.progress_total ?? "?"}`;
}
