import { type Clock, DAY_MS, iso } from "../core/clock.ts";
import { ParleyError } from "../core/errors.ts";
import type { ServingSpan } from "../core/types.ts";
import type { AnalyticsStore } from "../stores/analytics/port.ts";
import {
  type Acknowledgement,
  type AcknowledgementStore,
  isInterrupted,
  type RunHistory,
} from "../stores/runs/port.ts";
import { type OpenAnomaly, withAcknowledgements } from "./acknowledge.ts";
import { type Anomaly, anomalyId, bySeverity, type Subject, subjectName } from "./anomaly.ts";
import { type DagFault, dagFaultAnomalies } from "./dag_faults.ts";
import { EmptiedStore } from "./emptied_store.ts";
import { engagementAnomalies } from "./engagement_anomalies.ts";
import type { Incidents } from "./incidents.ts";
import { readCheckResults } from "./check_results.ts";
import { type Health, type HealthFacts, healthOf } from "./health.ts";
import { historyAnomalies, pastFailures } from "./run_anomalies.ts";
import { lateRunAnomalies, pastLateRuns, schedulerAnomalies } from "./schedule_anomalies.ts";
import { servingAnomalies } from "./serving_anomalies.ts";
import { sourceAnomalies } from "./source_anomalies.ts";
import { oosAnomalies, oosShares } from "./oos_share.ts";
import { ended, LOOK_BACK_DAYS, MAX_RUNS, type WatchedDag, type WatchedRuns } from "./run_history.ts";

export interface AnomalyOptions {
  readonly runs: WatchedRuns;
  readonly analytics: Pick<AnalyticsStore, "daily" | "published">;
  readonly dags: readonly WatchedDag[];
  /** What cannot be used of the user's own dags. Default nothing. */
  readonly dag_faults?: readonly DagFault[];
  readonly clock: Clock;
  /** Compares the stores live. Without it, the findings of the newest check count. */
  readonly comparison?: StoreComparison;
  /** What is wrong with the indexes that answers come from, at a moment, as `indexAnomalies` has it. */
  readonly indexes?: (now: number) => Promise<readonly Anomaly[]>;
  /** Stores by name, each with a question that ends by itself: one that rejects does not answer. */
  readonly answering?: Readonly<Record<string, () => Promise<unknown>>>;
  /** What the API served, in spans of equal length, oldest first. */
  readonly serving?: readonly ServingSpan[];
  /** How far back runs are read, in days. Default {@link LOOK_BACK_DAYS}. */
  readonly days?: number;
}

/** Holds the stores against each other. It may read every row, which takes seconds in a large store. */
export interface StoreComparison {
  readonly find: (now: number) => Promise<readonly Anomaly[]>;
  /** Whether `find` would find this again, were it still so. */
  readonly finds: (anomaly: Pick<Anomaly, "code">) => boolean;
}

/** What was found, before anything of it is acknowledged. Times are ISO 8601 in UTC. */
export interface Findings extends Omit<HealthFacts, "open"> {
  readonly generated_at: string;
  readonly since: string;
  /** What holds now, most severe first. */
  readonly open: readonly Anomaly[];
  /**
   * What held in the window and no longer does, newest first; of serving, in the last two hours of this process. Runs
   * that run or wait for too long, a silent scheduler and stores that do not respond are reported only while this lasts.
   */
  readonly past: readonly Anomaly[];
}

/** JSON as it is. */
export interface Anomalies extends Pick<Findings, "generated_at" | "since" | "past"> {
  /** What it comes to: the overview's banner, and the exit code of `pipeline anomalies`. */
  readonly health: Health;
  /** What holds now, most severe first, then what of it is acknowledged. */
  readonly open: readonly OpenAnomaly[];
}

/** {@link findAnomalies}, and what of it counts. */
export async function detectAnomalies(options: AnomalyOptions): Promise<Anomalies> {
  const [found, acknowledgements] = await Promise.all([
    findAnomalies(options),
    acknowledgementsOf(options.runs),
  ]);
  return judge(found, acknowledgements, options.clock.now());
}

/** None where the run store does not answer, which the findings tell. */
export async function acknowledgementsOf(
  runs: Pick<AcknowledgementStore, "acknowledgements">,
): Promise<Acknowledgement[]> {
  try {
    return await runs.acknowledgements();
  } catch {
    return [];
  }
}

/** What was found, with what is acknowledged of it marked, and what that comes to. */
export function judge(
  { published, latest, running, ...found }: Findings,
  acknowledgements: readonly Acknowledgement[],
  now: number,
): Anomalies {
  const open = withAcknowledgements(found.open, acknowledgements, { now, found_at: found.generated_at });
  return { ...found, health: healthOf({ open, published, latest, running }), open };
}

/**
 * Looks for what is not as it was or should be: failed and late runs, stages that came out empty, slow or with other
 * row counts than usual, bad rows, faulty vectors, stores that disagree, engagement and serving. A store that cannot be
 * asked is an anomaly itself, and the rest is still checked. Reads only.
 */
export async function findAnomalies(options: AnomalyOptions): Promise<Findings> {
  const { comparison } = options;
  const now = options.clock.now();
  const since = iso(now - (options.days ?? LOOK_BACK_DAYS) * DAY_MS);
  const [newest, recorded]: [RunHistory[], Anomaly[]] = [[], []];
  const published = publishedOf(options.analytics);
  const looked = await Promise.all([
    ...Object.entries(options.answering ?? {}).map(([store, ask]) =>
      looking(store, now, () => ask().then(() => openOnly([])))
    ),
    ...options.dags.map((dag) =>
      looking("runs", now, () => ofDag(options, dag, { now, since, newest, recorded }))
    ),
    looking("runs", now, () => schedulerAnomalies(options.runs, options.dags, now).then(openOnly)),
    looking("analytics", now, () => engagementAnomalies(options.analytics, now)),
    ...options.indexes === undefined ? [] : [options.indexes(now).then(openOnly, nothingOpen)],
    ...comparison === undefined ? [] : [looking("data", now, () => comparison.find(now).then(openOnly))],
  ]);
  const serving = servingAnomalies(options.serving ?? [], atOf(await published));
  const all = [...looked, serving, openOnly(dagFaultAnomalies(options.dag_faults ?? [], now))];
  const found = toldOnce(all.flatMap((each) => each.open));
  const open = comparison === undefined ? found : sinceRecorded(found, recorded, comparison);
  // Days of engagement are read further back than they are asked for, since each is judged by those before it.
  const past = all.flatMap((each) => each.past).filter(({ until }) => until! >= since)
    .sort((a, b) => a.since < b.since ? 1 : -1);
  return {
    generated_at: iso(now),
    since,
    open: open.sort(bySeverity),
    past,
    published: await published,
    ...newestOf(newest, now),
  };
}

/** `unknown` without the analytics store, which has an anomaly of its own. */
async function publishedOf(analytics: AnomalyOptions["analytics"]): Promise<Findings["published"]> {
  try {
    return await analytics.published();
  } catch {
    return "unknown";
  }
}

function atOf(published: Findings["published"]): string | null {
  return published === null || published === "unknown" ? null : published.at;
}

function newestOf(history: readonly RunHistory[], now: number): Pick<Findings, "latest" | "running"> {
  const over = history.map(({ run }) => run).filter(({ ended_at, state }) =>
    ended_at !== null && state !== "cancelled"
  );
  const latest = over.sort((a, b) => a.ended_at! < b.ended_at! ? 1 : -1)[0] ?? null;
  return { latest, running: history.some((one) => !ended(one) && !isInterrupted(one.run, now)) };
}

/** A store that does not answer is missed by several looks; the first says it, and so why the stores could not be compared. */
function toldOnce(open: readonly Anomaly[]): Anomaly[] {
  const unreachable = new Map<string, Anomaly>();
  for (const one of open) {
    if (one.code === UNREACHABLE && !unreachable.has(subjectName(one.subject))) {
      unreachable.set(subjectName(one.subject), one);
    }
  }
  if (unreachable.size > 1) unreachable.delete(subjectName(COMPARING));
  return open.filter((one) => one.code !== UNREACHABLE || unreachable.get(subjectName(one.subject)) === one);
}

/** The subject of stores that could not be compared. */
const COMPARING: Subject = { kind: "store", store: "data" };

/** What was compared just now began when a check first recorded it. */
function sinceRecorded(
  open: readonly Anomaly[],
  recorded: readonly Anomaly[],
  { finds }: StoreComparison,
): Anomaly[] {
  const began = new Map(recorded.map((one) => [anomalyId(one), one.since]));
  return open.map((one) => finds(one) ? { ...one, since: began.get(anomalyId(one)) ?? one.since } : one);
}

const UNREACHABLE = "store_unreachable";

function openOnly(open: readonly Anomaly[]): Incidents {
  return { open, past: [] };
}

/** For a look that needs a store: that the store does not respond is found by the look at the store itself. */
function nothingOpen(): Incidents {
  return openOnly([]);
}

async function ofDag(
  { runs, comparison }: AnomalyOptions,
  dag: WatchedDag,
  { now, since, newest, recorded }: {
    now: number;
    since: string;
    newest: RunHistory[];
    recorded: Anomaly[];
  },
): Promise<Incidents> {
  const [history, found, late, shares, sources] = await Promise.all([
    runs.history({ dag_id: dag.id, since, limit: MAX_RUNS }),
    readCheckResults(runs, dag, since),
    lateRunAnomalies(runs, dag, now),
    oosShares(runs, dag, since),
    sourceAnomalies(runs, dag, since),
  ]);
  newest.push(...history);
  recorded.push(...found.stores);
  // Findings of the live comparison replace those of the last check.
  const scope = oosAnomalies(shares);
  const current = found.stores.filter((one) => !comparison?.finds(one));
  return {
    open: [...historyAnomalies(dag, history, now), ...late, ...current, ...scope.open, ...sources.open],
    past: [
      ...pastFailures(dag, history),
      ...pastLateRuns(dag, history),
      ...stagesOver(found.stages, history.find(ended)),
      ...found.past,
      ...scope.past,
      ...sources.past,
    ],
  };
}

/** The findings of a check about its run's stages end with the next run; until then the history reports them. */
function stagesOver(stages: readonly Anomaly[], newest: RunHistory | undefined): Anomaly[] {
  const until = newest?.run.ended_at ?? "";
  return stages.flatMap((one) => one.run_id === newest?.run.run_id ? [] : [{ ...one, until }]);
}

/** What is wrong where a part could not be looked at that is not called a store like the others. */
const CAUSE: Readonly<Record<string, string>> = {
  runs: "The run store does not answer",
  cache: "The cache does not answer",
  data: "The stores could not be compared",
};

/** Does one part of the looking; where its store fails, that is the anomaly. */
async function looking(store: string, now: number, look: () => Promise<Incidents>): Promise<Incidents> {
  try {
    return await look();
  } catch (error) {
    // The message of a foreign error may quote data.
    const why = error instanceof ParleyError
      ? error.message
      : error instanceof Error
      ? error.name
      : typeof error;
    const emptied = error instanceof EmptiedStore ? error : null;
    const cause = emptied?.fault ?? CAUSE[store] ?? `The ${store} store does not answer`;
    const text = `${cause}: ${emptied?.remedy ?? `${why}; \`deno task doctor\` says what is down`}`;
    const unseen: Anomaly = {
      code: emptied === null ? UNREACHABLE : "store_emptied",
      severity: "critical",
      subject: { kind: "store", store },
      figure: 0,
      expected: 1,
      unit: "stores",
      since: iso(now),
      run_id: null,
      cause,
      text,
    };
    return { open: [unseen], past: [] };
  }
}
