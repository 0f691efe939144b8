import { ParleyError } from "../../../lib/core/errors.ts";
import type { Dag } from "../../../lib/dag/define.ts";
import type { RunFilter, RunSnapshot } from "../../../lib/stores/runs/port.ts";
import type { PageContext, PageRequest } from "../../http/page.ts";

const PER_PAGE = 25;

/** The dag that the address names. */
export function dagOf({ http, context }: Pick<PageRequest, "http" | "context">): Dag<never> {
  const dag = context.dags.get(http.req.param("dag_id") ?? "");
  if (dag === undefined) {
    throw new ParleyError("not_found", "there is no such pipeline; /pipelines lists them");
  }
  return dag;
}

/** Snapshots by run. */
export type Snapshots = Map<string, RunSnapshot>;

/** A page of a dag's runs, newest first. A run that had ended when `known` got it is not read again. */
export async function readSnapshots(
  { runs }: PageContext,
  dag: Dag<never>,
  { page, filter = {} }: { page: number; filter?: RunFilter },
  known: Snapshots = new Map(),
): Promise<{ snapshots: RunSnapshot[]; more: boolean }> {
  const records = await runs.runs({ ...filter, dag_id: dag.id, limit: page * PER_PAGE + 1 });
  const found = await Promise.all(
    records.slice((page - 1) * PER_PAGE, page * PER_PAGE).map(({ run_id, ended_at }) => {
      const last = known.get(run_id) ?? null;
      return ended_at !== null && last?.run.ended_at === ended_at ? last : runs.snapshot({ run_id });
    }),
  );
  const snapshots = found.filter((each) => each !== null);
  for (const snapshot of snapshots) known.set(snapshot.run.run_id, snapshot);
  return { snapshots, more: records.length > page * PER_PAGE };
}
