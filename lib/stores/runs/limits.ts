import type { ActiveLimits } from "./port.ts";

/** A dag's limit, with the dags whose running runs count against it: its own, and those of the dags of its group. */
interface DagLimit {
  readonly dag_id: string;
  readonly most: number;
  readonly peers: readonly string[];
}

/** Spells out who shares a limit with whom, a row a dag. */
export function dagLimits({ max_active, groups = {} }: ActiveLimits): DagLimit[] {
  return Object.entries(max_active).map(([dag_id, most]) => {
    const group = groups[dag_id];
    const others = Object.keys(groups).filter((id) => group !== undefined && groups[id] === group);
    return { dag_id, most, peers: [...new Set([dag_id, ...others])] };
  });
}
