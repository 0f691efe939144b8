/**
 * What a test of a dag of your own imports: `import { openTestStores } from "parley/testing"`. It is as stable as `parley`.
 */
import { type Config, loadConfig } from "../lib/config.ts";
import { type Clock, systemClock } from "../lib/core/clock.ts";
import { type Json, type JsonObject, KINDS } from "../lib/core/types.ts";
import type { Dag } from "../lib/dag/define.ts";
import type { RunOutcome } from "../lib/dag/options.ts";
import { createRun } from "../lib/dag/runs.ts";
import { openRuns } from "../lib/stores/open.ts";
import type { RunStore, TaskRecord } from "../lib/stores/runs/port.ts";
import type { OwnDag } from "../tasks/public.ts";
import type { Services } from "../tasks/services.ts";
import { builtInDags, engine, executeQueued } from "./engine.ts";
import { writeSample } from "./sample.ts";
import { type Opened, openServices } from "./services.ts";

export interface TestStoreOptions {
  /** Whether the bundled sample is loaded: 50 campaigns, and messages and events up to `now`. Default false. */
  readonly sample?: boolean;
  /** The time at which the clock of the tasks begins, ISO 8601. Default now. */
  readonly now?: string;
}

export interface TestRunOptions {
  readonly params?: JsonObject;
  /** ISO 8601. Default: the time of the stores' clock. */
  readonly logical_date?: string;
  /** By the name that the dag declares. */
  readonly secrets?: Readonly<Record<string, string>>;
  /** In place of the network. */
  readonly fetch?: typeof fetch;
}

/** How a task of a test came out. */
export interface TestedTask extends Pick<TaskRecord, "state" | "attempts" | "error"> {
  readonly output: Json;
  readonly log: readonly string[];
}

export interface TestedRun {
  readonly run_id: string;
  readonly outcome: RunOutcome | null;
  readonly error: string | null;
  /** By id. */
  readonly tasks: Readonly<Record<string, TestedTask>>;
}

/** Embedded stores in a temporary folder, with an embedder that needs no model. */
export class TestStores implements AsyncDisposable {
  constructor(
    private readonly folder: string,
    private readonly config: Config,
    private readonly opened: Opened<Services>,
    private readonly runs: RunStore,
    private readonly clock: Clock,
  ) {}

  /** The stores, as tasks have them: to put rows in, and to look at what a run has written. */
  get services(): Services {
    return this.opened.value;
  }

  /** Runs a dag to its end. Retries do not wait. */
  async run(dag: OwnDag, { secrets = {}, ...options }: TestRunOptions = {}): Promise<TestedRun> {
    const missing = dag.secrets.filter((name) => secrets[name] === undefined);
    if (missing.length > 0) throw new Error(`the test gives no secret ${missing.join(", ")}`);
    return await this.runDag(dag, { dag_secrets: secrets, ...options });
  }

  /** Loads the bundled sample by a nightly run. */
  async loadSample(): Promise<void> {
    const sources = await writeSample({ data: this.config.data, now: this.clock.now() });
    const params = Object.fromEntries(KINDS.map((kind) => [kind, [...sources[kind]]]));
    const { outcome, error } = await this.runDag(builtInDags(this.config).get("nightly")!, { params });
    if (outcome !== "success") throw new Error(`the sample was not loaded: ${error}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.opened.close();
    await this.runs.close();
    await Deno.remove(this.folder, { recursive: true });
  }

  private async runDag(
    dag: Dag<Services>,
    { params = {}, logical_date, fetch = this.services.fetch, dag_secrets = {} }:
      & Pick<TestRunOptions, "params" | "logical_date" | "fetch">
      & Partial<Pick<Services, "dag_secrets">>,
  ): Promise<TestedRun> {
    const { config, runs, clock } = this;
    const services = { ...this.services, clock, fetch, dag_secrets };
    const options = engine({ config, runs, services, dags: new Map([[dag.id, dag]]) });
    const { run_id } = await createRun({
      dag,
      runs,
      clock,
      params,
      ...logical_date !== undefined && { logical_date },
    });
    const outcome = await executeQueued(
      { ...options, clock, random: () => 0 },
      new AbortController().signal,
      { until: run_id },
    );
    const { run, tasks } = (await runs.snapshot({ run_id }))!;
    const logs = Map.groupBy(await runs.logs({ run_id, after: 0, limit: 100_000 }), ({ task_id }) => task_id);
    const tested = tasks.map(({ task_id, state, attempts, error, output }) => {
      const log = (logs.get(task_id) ?? []).map(({ line }) => line);
      return [task_id, { state, attempts, error, output, log }] as const;
    });
    return { run_id, outcome, error: run.error, tasks: Object.fromEntries(tested) };
  }
}

/**
 * Opens temporary stores for a test; `await using` removes them at its end.
 *
 * @example
 * ```ts ignore
 * await using stores = await openTestStores({ sample: true, now: "2026-05-04T07:00:00Z" });
 * const { outcome, tasks } = await stores.run(dag, { params: { days: 7 } });
 * ```
 */
export async function openTestStores({ sample = false, now }: TestStoreOptions = {}): Promise<TestStores> {
  const offset = now === undefined ? 0 : Date.parse(now) - Date.now();
  if (Number.isNaN(offset)) throw new Error(`now is "${now}": write it as 2026-05-04T07:00:00Z`);
  const folder = await Deno.makeTempDir({ prefix: "parley-test-" });
  const config = loadConfig({ PARLEY_DATA: `${folder}/data`, PARLEY_EMBEDDINGS: "test:64" });
  const opened = await openServices(config);
  const clock = { now: () => systemClock.now() + offset };
  const stores = new TestStores(folder, config, opened, await openRuns(config.runs), clock);
  if (sample) await stores.loadSample();
  return stores;
}
