import { sleep } from "../lib/core/abort.ts";
import type { Config } from "../lib/config.ts";
import { systemClock } from "../lib/core/clock.ts";
import { ParleyError } from "../lib/core/errors.ts";
import { activeLimits, loadDags } from "../lib/dag/define.ts";
import { executeRun } from "../lib/dag/executor.ts";
import type { ExecutorOptions, RunObserver, RunOutcome } from "../lib/dag/options.ts";
import { dagFaultText } from "../lib/monitoring/dag_faults.ts";
import { datasetName, type OpenOptions, openRuns } from "../lib/stores/open.ts";
import {
  isSkipped,
  type RunRecord,
  type RunSnapshot,
  type RunStore,
  taskInstance,
} from "../lib/stores/runs/port.ts";
import { startTracing, withSpan } from "../lib/telemetry/tracing.ts";
import { defineDags } from "../tasks/mod.ts";
import { addOwnDags, type LoadedDags } from "../tasks/own_dags.ts";
import type { Services } from "../tasks/services.ts";
import { shutdownSignal, warn } from "./exit.ts";
import { sendLineage } from "./lineage.ts";
import type { RunEnd, RunLog } from "./logs.ts";
import { sendNotifications } from "./notifications.ts";
import { configuredModels, resolveModel } from "./models.ts";
import { leftOut } from "./run_summary.ts";
import { openServices } from "./services.ts";
import { reapplyTombstones } from "./tombstones.ts";
import { VERSION } from "./version.ts";

/** Slots by pool, over all processes on one run store. */
const POOLS = Object.freeze({ default: 16 });

/** How long a task may continue after a shutdown request. */
export const GRACE_MS = 10_000;

/** Parley's own dags by id, as this configuration sets them. */
export function builtInDags(config: Config) {
  const dags = defineDags({
    ...config,
    models: configuredModels(config),
    resolve: (model) => resolveModel(config, model),
    backUp: async () => (await import("./backup.ts")).backUp(config),
    inScratch: async (...args) => (await import("./scratch.ts")).inScratch(config, ...args),
  });
  return loadDags({ dags, pools: POOLS });
}

/** Those and the user's own in the folder of `PARLEY_DAGS`, with what cannot be used of it. */
export async function allDags(config: Config): Promise<LoadedDags> {
  const dags = builtInDags(config);
  if (config.dags === null) return { dags, faults: [] };
  return await addOwnDags({
    folder: config.dags,
    builtIn: [...dags.values()],
    pools: POOLS,
    secrets: config.dag_secrets,
    isScheduled: config.schedule !== null,
    dataset: (store, table) => datasetName(config[store], table),
  });
}

/** Names this process among all that share a run store. */
export function processName(): string {
  return `${Deno.pid}-${crypto.randomUUID().slice(0, 8)}`;
}

export function engine(
  options: {
    config: Config;
    runs: RunStore;
    services: Services;
    dags?: ExecutorOptions<Services>["dags"];
    observer?: RunObserver;
  },
): ExecutorOptions<Services> {
  const { config, ...rest } = options;
  return {
    dags: builtInDags(config),
    ...rest,
    clock: systemClock,
    random: Math.random,
    owner: processName(),
    pools: POOLS,
    concurrency: 4,
    ttl_ms: config.lease_ms,
    heartbeat_ms: Math.min(1_000, config.lease_ms / 5),
    grace_ms: GRACE_MS,
    code_version: VERSION,
    around: ({ run_id, dag_id: dag, task_id: task, attempt }, body) =>
      withSpan(`task ${taskInstance(task).task_id}`, {
        "parley.run_id": run_id,
        "parley.dag": dag,
        "parley.task": task,
        "parley.attempt": attempt,
      }, body),
  };
}

/** The engine's options, and the signal that SIGINT and SIGTERM abort. */
export interface ExecutorScope {
  readonly options: ExecutorOptions<Services>;
  readonly shutdown: AbortSignal;
}

/**
 * Opens the stores for executing tasks, and sends lineage and notifications meanwhile; closes them when `body` ends or throws. `create` says
 * whether a missing run store is created. If the run store cannot be used, no other store is opened or made.
 */
export async function withExecutor<T>(
  config: Config,
  body: (options: ExecutorScope) => Promise<T>,
  { create = true }: OpenOptions = {},
): Promise<T> {
  await startTracing();
  await using opened = new AsyncDisposableStack();
  const adopt = <O extends { close(): Promise<void> }>(resource: O) =>
    opened.adopt(resource, () => resource.close());
  const runs = adopt(await openRuns(config.runs, { create }));
  await runs.health();
  adopt(sendLineage(config, runs));
  adopt(sendNotifications(config, runs));
  const services = adopt(await openServices(config)).value;
  const { dags, faults } = await allDags(config);
  for (const fault of faults) warn(dagFaultText(fault));
  const erase = dags.get("erase")!;
  await reapplyTombstones(config, { stores: services, runs, erase });
  const shutdown = opened.adopt(shutdownSignal(), ({ dispose }) => dispose());
  return await body({ options: engine({ config, runs, services, dags }), shutdown: shutdown.signal });
}

/**
 * Executes runs, interrupted ones first, until no run is left; or, given a run, until that one has ended, while
 * waiting for others to make room. Returns the outcome of the last one; null if there was nothing to do.
 */
export async function executeQueued(
  options: ExecutorOptions<Services>,
  shutdown: AbortSignal,
  hooks: {
    until?: string;
    log?: RunLog;
    /** Whether a run that was claimed, other than `until`, is to be cancelled instead of executed. */
    cancels?: (run: RunRecord) => Promise<boolean>;
    onCancel?: (run_id: string) => void;
    onClaim?: (run_id: string, resumed: boolean) => void;
    onWait?: () => void;
  } = {},
): Promise<RunOutcome | null> {
  const { runs, dags, owner, clock, ttl_ms } = options;
  const limits = activeLimits(dags.values());
  let outcome: RunOutcome | null = null;
  while (!shutdown.aborted) {
    let claimed = await runs.claim({ owner, now: clock.now(), ttl_ms, ...limits });
    if (claimed !== null) {
      const { run_id } = claimed.run;
      if (run_id !== hooks.until && await hooks.cancels?.(claimed.run)) {
        hooks.onCancel?.(run_id);
        await runs.requestCancel({ run_id });
        claimed = { ...claimed, run: { ...claimed.run, cancel_requested: true } };
      }
      if (!claimed.run.cancel_requested) hooks.onClaim?.(run_id, claimed.attempts.length > 0);
      outcome = await executeLogged(options, claimed, { shutdown, ...hooks });
      if (run_id === hooks.until) return outcome;
    } else if (hooks.until === undefined) {
      return outcome;
    } else {
      const run = (await runs.snapshot({ run_id: hooks.until }))?.run;
      if (run === undefined || run.ended_at !== null) return ended(run?.state);
      hooks.onWait?.();
      // A run that any process may execute is not leased by this one: then another has it, or will.
      await runs.heartbeat({ run_id: hooks.until, owner, now: clock.now(), ttl_ms, progress: [] })
        .catch((error) => {
          if (!(error instanceof ParleyError && error.code === "conflict")) throw error;
        });
      await sleep(500);
    }
  }
  return "interrupted";
}

async function executeLogged(
  options: ExecutorOptions<Services>,
  claimed: RunSnapshot,
  { shutdown, log }: { shutdown: AbortSignal; log?: RunLog },
): Promise<RunOutcome> {
  const { run } = claimed;
  if (!run.cancel_requested) log?.claimed(run, claimed.attempts.length > 0);
  const observed = log === undefined ? options : { ...options, observer: log.observer(run) };
  const { run_id, dag_id: dag } = run;
  const outcome = await withSpan(
    `run ${dag}`,
    { "parley.run_id": run_id, "parley.dag": dag },
    () => executeRun(observed, claimed, shutdown),
  );
  log?.ended(run, await endOf(options, run, outcome));
  return outcome;
}

/** What the outcome does not say: a run that succeeded may have skipped all its tasks, and left sources out. */
async function endOf(
  { runs, dags }: Pick<ExecutorOptions<Services>, "runs" | "dags">,
  { run_id, dag_id }: RunRecord,
  outcome: RunOutcome,
): Promise<RunEnd> {
  const ended = outcome === "success" ? await runs.snapshot({ run_id }) : null;
  if (ended === null) return { outcome, left_out: 0 };
  const left_out = leftOut(ended.tasks, dags.get(dag_id)).length;
  return { outcome: isSkipped(ended.run) ? "skipped" : outcome, left_out };
}

function ended(state: string | undefined): RunOutcome {
  return state === "success" || state === "failed" || state === "cancelled" ? state : "lost";
}
