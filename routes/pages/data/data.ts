import {
  type LineageEntry,
  type RunRecord,
  type RunRecordStore,
  taskInstance,
} from "../../../lib/stores/runs/port.ts";
import type { PageContext } from "../../http/page.ts";
import { cachedRead, type ReadResult, tryRead } from "../../http/try_read.ts";
import { readRowCounts, type RowCounts } from "../row_counts.ts";

/** A task that read or wrote a dataset. */
export interface DatasetUse extends LineageEntry {
  /** Namespace and name. */
  readonly dataset: string;
  readonly dag_id: string;
  readonly task_id: string;
  readonly run_id: string;
  readonly at: string;
  /** What the attempt's result depends on: `code`, `model`, `schema`. */
  readonly versions: Readonly<Record<string, string>>;
  /** Whether the tasks of one run pass it to each other, so that it is no dataset. */
  readonly passing: boolean;
}

export interface DataPageData {
  /** What the newest runs read and wrote, newest first. */
  readonly uses: ReadResult<readonly DatasetUse[]>;
  readonly counts: ReadResult<RowCounts | null>;
  /** Whether rows are in quarantine. */
  readonly quarantined: ReadResult<boolean>;
}

export async function readData(context: PageContext, now: number): Promise<DataPageData> {
  const { documents } = context.stores;
  const [uses, counts, quarantined] = await Promise.all([
    cachedRead(context, "uses", () => readUses(context.runs, [...context.dags.keys()])),
    readRowCounts(context, now),
    tryRead(async () => (await documents.quarantined({ limit: 1, offset: 0 })).length > 0),
  ]);
  return { uses, counts, quarantined };
}

/** Runs of each dag that are read. The last one alone may have used little, since its sources had not changed. */
const MAX_RUNS = 10;

async function readUses(
  runs: Pick<RunRecordStore, "runs" | "lineage" | "snapshot">,
  dag_ids: readonly string[],
): Promise<DatasetUse[]> {
  const found = (await Promise.all(dag_ids.map((dag_id) => runs.runs({ dag_id, limit: MAX_RUNS })))).flat();
  const uses = await Promise.all(found.map((run) => usesOf(runs, run)));
  return uses.flat().sort((a, b) => a.at < b.at ? 1 : a.at > b.at ? -1 : 0);
}

async function usesOf(
  runs: Pick<RunRecordStore, "runs" | "lineage" | "snapshot">,
  run: RunRecord,
): Promise<DatasetUse[]> {
  const { run_id, dag_id } = run;
  const at = run.started_at ?? run.created_at;
  const [lineage, snapshot] = await Promise.all([runs.lineage({ run_id }), runs.snapshot({ run_id })]);
  const versions = new Map(
    snapshot?.attempts.map((each) => [`${each.task_id} ${each.attempt}`, each.versions]),
  );
  return lineage.map((entry) => ({
    ...entry,
    // A dataset of a mapped task is that of all its instances.
    task_id: taskInstance(entry.task_id).task_id,
    dataset: `${entry.namespace} ${entry.name}`,
    dag_id,
    run_id,
    at,
    versions: versions.get(`${entry.task_id} ${entry.attempt}`) ?? {},
    passing: entry.name.includes(run_id),
  }));
}
