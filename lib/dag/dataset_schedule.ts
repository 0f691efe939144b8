import { datasetKey, type DatasetWrites, type RunRecord } from "../stores/runs/port.ts";
import type { Dataset } from "./types.ts";

/** Runs a dag when tasks have written datasets since its last such run: each of them, or one of them. */
export type DatasetSchedule =
  | { readonly all_of: readonly Dataset[]; readonly any_of?: never }
  | { readonly any_of: readonly Dataset[]; readonly all_of?: never };

export function datasetsOf({ all_of, any_of }: DatasetSchedule): readonly Dataset[] {
  return all_of ?? any_of;
}

/**
 * The occurrence that is due, as {@link RunRecord.occurrence}; null if none is. It has the number of writes of each dataset, and
 * thereby says what the next one follows. `last` is the dag's newest run that datasets started; a dataset that it does not name
 * counts if it was written after `since` (ISO 8601).
 */
export function dueByDatasets(options: {
  dag_id: string;
  schedule: DatasetSchedule;
  writes: readonly DatasetWrites[];
  last: Pick<RunRecord, "occurrence"> | null;
  since: string;
}): string | null {
  const { dag_id, schedule, since } = options;
  const seen = new Map(
    (options.last?.occurrence?.split("|").at(-1) ?? "").split(",").map((entry) => {
      const [key = "", count] = entry.split("=");
      return [key, Number(count)];
    }),
  );
  const now = new Map(options.writes.map((each) => [each.dataset, each]));
  const isWritten = (dataset: Dataset) => {
    const written = now.get(datasetKey(dataset));
    const before = seen.get(datasetKey(dataset));
    if (written === undefined) return false;
    return before === undefined ? written.written_at > since : written.writes > before;
  };
  const datasets = datasetsOf(schedule);
  const isDue = schedule.all_of === undefined ? datasets.some(isWritten) : datasets.every(isWritten);
  if (!isDue) return null;
  const counts = options.writes.map(({ dataset, writes }) => `${dataset}=${writes}`).sort();
  return `${dag_id}|datasets|${counts.join(",")}`;
}
