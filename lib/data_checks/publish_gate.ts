import { DAY_MS, iso } from "../core/clock.ts";
import type { Abortable, Published } from "../core/types.ts";
import type { RunHistory, TaskOutput } from "../stores/runs/port.ts";
import { type Anomaly, bySeverity } from "../monitoring/anomaly.ts";
import { checkAnomalies, type CheckedStores } from "./data_checks.ts";
import { runAnomalies } from "../monitoring/run_anomalies.ts";
import { WINDOW } from "../monitoring/forecast.ts";
import { snapshotAnomalies, snapshotsOf, type StoreSnapshot, takeSnapshot } from "./store_snapshot.ts";
import type { WatchedDag, WatchedRuns } from "../monitoring/run_history.ts";

interface PublishGateOptions extends Abortable {
  readonly stores: CheckedStores;
  readonly runs: Pick<WatchedRuns, "history" | "outputs">;
  /** The run whose data is about to be published, and its task that asks. */
  readonly dag_id: string;
  readonly run_id: string;
  readonly task_id: string;
  /** Whether the run read all sources again: then what there is is meant, and a store that lost all is a warning. */
  readonly all: boolean;
  /** Epoch milliseconds. */
  readonly now: number;
}

/** How far back earlier runs are looked at. */
const DAYS = 90;

/**
 * Looks at the data of a run before it is published, most severe first. Critical are faults of the data alone: stores that
 * disagree, invalid vectors, a store that lost all it had. What is only unlike earlier runs is a warning. The survey
 * is for the next check to compare with.
 */
export async function checkBeforePublish(
  options: PublishGateOptions,
): Promise<{ findings: Anomaly[]; survey: StoreSnapshot }> {
  const { dag_id, now } = options;
  const published = await options.stores.analytics.published(options);
  const [faults, survey, earlier, history] = await Promise.all([
    checkAnomalies(options.stores, now, options),
    takeSnapshot(options.stores, options),
    earlierSnapshots({ ...options, published }),
    options.runs.history({ dag_id, since: sinceOf(now), limit: WINDOW }),
  ]);
  const own = history.find(({ run }) => run.run_id === options.run_id);
  const before = history.filter(({ run }) => run.run_id !== options.run_id && run.ended_at !== null);
  const unusual = own === undefined ? [] : runAnomalies(inOrder(dag_id, own), own, before);
  const findings = [...faults, ...snapshotAnomalies(survey, earlier, options), ...unusual].sort(bySeverity);
  return { findings, survey };
}

/** What the checks before that of this run have counted, oldest first. */
export async function earlierSnapshots(
  { runs, published, ...options }: Pick<PublishGateOptions, "dag_id" | "run_id" | "task_id" | "now"> & {
    runs: Pick<WatchedRuns, "outputs">;
    published: Published | null;
  },
): Promise<StoreSnapshot[]> {
  const { dag_id, task_id, now } = options;
  const checks = await runs.outputs({ dag_id, task_id, since: sinceOf(now), limit: WINDOW });
  // What a check that failed has counted is no measure: the next night would take its loss for usual, and publish it.
  const passed = checks.filter(({ run_id, state }) => run_id !== options.run_id && state === "success");
  return snapshotsOf(comparable(passed, published)).reverse();
}

function sinceOf(now: number): string {
  return iso(now - DAYS * DAY_MS);
}

/** None if another process has published since, such as `reset`, which changes the stores on purpose. */
function comparable(newestFirst: readonly TaskOutput[], published: Published | null): readonly TaskOutput[] {
  if (published === null || newestFirst.some(({ run_id }) => run_id === published.run_id)) return newestFirst;
  return newestFirst.filter(({ created_at }) => created_at > published.at);
}

/** The run's dag as it went: each task after the one that started before it. A run does not record what needs what. */
function inOrder(id: string, { tasks }: RunHistory): WatchedDag {
  const started = tasks.filter(({ started_at }) => started_at !== null)
    .sort((a, b) => a.started_at! < b.started_at! ? -1 : 1)
    .map(({ task_id }) => task_id);
  return { id, tasks: started.map((task, i) => ({ id: task, needs: started.slice(Math.max(0, i - 1), i) })) };
}
