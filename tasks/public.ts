/**
 * What a dag of your own imports: `import { defineDag, z } from "parley"`. It is stable: a change of anything here is a version of its
 * own in CHANGELOG.md.
 */
import { z } from "../deps.ts";
import type { Json, JsonObject } from "../lib/core/types.ts";
import {
  type Dag,
  type DagDefinition,
  defineDag as checkDag,
  type TaskDefinition,
} from "../lib/dag/define.ts";
import { Fail, type RunInfo, type TaskContext, TRIGGER_RULES } from "../lib/dag/types.ts";
import type { Services } from "./services.ts";
import { STORE_RETRIES } from "./step.ts";

export { Branch, Fail, Skip } from "../lib/dag/types.ts";
export type { Services } from "./services.ts";
export { z };

/** What a task of your own works with: ports of the stores, never adapters. */
export type OwnServices<Secret extends string = never> = Omit<Services, Internal> & {
  /** The secret that the dag declares by this name, from `PARLEY_DAG_SECRET_…`. It is cut out of logs and errors. */
  secret(name: Secret): string;
};
/** What only Parley's own dags need. */
type Internal = "catalogue" | "dag_secrets" | "exports" | "runs" | "secret" | "settings";

/** All that a task of your own sees of the world. */
export interface OwnContext<Params = JsonObject, Secret extends string = never>
  extends Omit<TaskContext<OwnServices<Secret>>, "run" | "output"> {
  readonly run: Omit<RunInfo, "params">;
  /** The run's params, as the dag's schema has parsed them. */
  readonly params: Params;
  /** What a task returned that this one needs; null if it was skipped and left nothing. */
  output<Output = Json>(task_id: string): Output | null;
}

/** A task of your own: {@link TaskDefinition}, with three retries by default, as stores and endpoints that are down may be back soon. */
export interface OwnTask<Params, Secret extends string>
  extends Omit<TaskDefinition<never>, "run" | "role" | "inputs" | "outputs"> {
  /**
   * What it does: returns small JSON for the tasks that need it, throws `Skip` if there is nothing to do and `Fail` if no retry can
   * help. Any other error is retried.
   */
  run(context: OwnContext<Params, Secret>): Promise<Json | object | void> | Json | object | void;
}

/** A dag of your own. */
export interface OwnDagDefinition<Params extends z.ZodType, Secret extends string>
  extends Omit<DagDefinition<never>, "params" | "schedule" | "tasks"> {
  /** Without one the dag runs by hand only. `PARLEY_SCHEDULE=off` switches every schedule off. */
  readonly schedule?: {
    /** Crontab(5). */
    readonly cron: string;
    /** An IANA time zone. Default UTC. */
    readonly timezone?: string;
    /** Which missed times run after a scheduler was down. Default `latest`. */
    readonly catch_up?: "none" | "latest" | "all";
  };
  /** A zod schema of the params; a scheduled dag needs a default for each. Default: no params. */
  readonly params?: Params;
  /** Names of secrets that its tasks may read, in capitals, such as `SLACK_URL`. */
  readonly secrets?: readonly Secret[];
  readonly tasks: readonly OwnTask<z.output<Params>, Secret>[];
}

/** A checked dag of your own, as `defineDag` returns it. */
export interface OwnDag extends Dag<Services> {
  readonly secrets: readonly string[];
}

const OWN = new WeakSet<object>();

/** Whether a value was made by {@link defineDag} of this module. */
export function isOwnDag(value: unknown): value is OwnDag {
  return typeof value === "object" && value !== null && OWN.has(value);
}

const count = z.number().int();
const datasets = z.record(z.string(), z.unknown());
const deadlineAlert = z.union(
  [z.strictObject({ by: z.string() }), z.strictObject({ within_ms: z.number() })],
  {
    error: 'must be { by: "06:00" } or { within_ms: 3_600_000 }',
  },
).optional();

/** The fields of a definition, so that one that is misspelt is an error. What they mean together is checked by the engine. */
const TASK = z.strictObject({
  id: z.string(),
  doc: z.string().optional(),
  needs: z.array(z.string()).optional(),
  trigger: z.enum(TRIGGER_RULES).optional(),
  retries: z.strictObject({
    count,
    base_ms: z.number().optional(),
    cap_ms: z.number().optional(),
    decide: z.custom((value) => typeof value === "function", "must be a function").optional(),
  }).optional(),
  timeout_ms: z.number().optional(),
  deadline_ms: z.number().optional(),
  deadline_alert: deadlineAlert,
  grace_ms: z.number().optional(),
  pool: z.string().optional(),
  pool_slots: count.optional(),
  priority: z.number().optional(),
  expand: z.strictObject({
    over: z.string(),
    max_map_length: count.optional(),
    max_active: count.optional(),
  }).optional(),
  allow_failure: z.boolean().optional(),
  run: z.custom((value) => typeof value === "function", "must be a function"),
});
const DATASET = z.strictObject({ namespace: z.string(), name: z.string() });
const DEFINITION = z.strictObject({
  id: z.string(),
  doc: z.string().optional(),
  owner: z.string().optional(),
  tags: z.array(z.string()).optional(),
  schedule: z.strictObject({
    cron: z.string(),
    timezone: z.string().optional(),
    catch_up: z.enum(["none", "latest", "all"]).optional(),
  }).optional(),
  deadline_alert: deadlineAlert,
  on_datasets: z.union([
    z.strictObject({ all_of: z.array(DATASET).min(1) }),
    z.strictObject({ any_of: z.array(DATASET).min(1) }),
  ], "must be { all_of: [...] } or { any_of: [...] }, each dataset { namespace, name }").optional(),
  max_active_runs: count.optional(),
  group: z.string().optional(),
  params: z.custom((value) => value instanceof z.ZodType, "must be a zod schema").optional(),
  remote: datasets.optional(),
  secrets: z.array(
    z.string().regex(/^[A-Z][A-Z0-9_]*$/, "must be in capitals, such as SLACK_URL"),
  ).optional(),
  tasks: z.array(TASK),
});

/**
 * Checks a dag of your own and returns it ready to run. Export it from a file in the folder of `PARLEY_DAGS`.
 *
 * @throws `Error` that names the dag, the task and the field at fault.
 */
export function defineDag<
  Params extends z.ZodType = z.ZodType<JsonObject>,
  const Secret extends string = never,
>(
  definition: OwnDagDefinition<Params, Secret>,
): OwnDag {
  const parsed = DEFINITION.safeParse(definition);
  if (!parsed.success) {
    const problems = parsed.error.issues.map(({ path, message }) => `${path.join(".")} ${message}`.trim());
    throw new Error(`dag "${definition?.id}": ${problems.join("; ")}`);
  }
  const { schedule, secrets = [], tasks, ...rest } = definition;
  const dag = checkDag<Services>({
    ...rest as Omit<DagDefinition<Services>, "schedule" | "tasks">,
    ...schedule && { schedule: { timezone: "UTC", catch_up: "latest", ...schedule } },
    tasks: tasks.map(({ run, ...task }) => ({
      retries: STORE_RETRIES,
      ...task,
      run: (context) => runOwn(context, secrets, run as OwnTask<JsonObject, string>["run"]),
    })),
  });
  const own = { ...dag, secrets };
  OWN.add(own);
  return own;
}

/** Runs a task of the user with the services, params and secrets that are its own. */
async function runOwn(
  context: TaskContext<Services>,
  declared: readonly string[],
  body: OwnTask<JsonObject, string>["run"],
): Promise<Json | object | void> {
  const { services, run: { params, ...run } } = context;
  const { catalogue: _c, dag_secrets, exports: _e, runs: _r, secret: _s, settings: _t, ...shared } = services;
  const secrets = new Map(declared.map((name) => [name, dag_secrets[name] ?? null]));
  const redact = (text: string) =>
    secrets.values().reduce(
      (cut: string, secret) => secret === null ? cut : cut.replaceAll(secret, "•••"),
      text,
    );
  const secret = (name: string) => {
    const value = secrets.get(name);
    if (value === undefined) {
      throw new Fail(`the dag does not declare the secret "${name}": add it to \`secrets\``);
    }
    if (value === null) throw new Fail(`PARLEY_DAG_SECRET_${name} is not set`);
    return value;
  };
  try {
    return await body({
      ...context,
      run,
      params,
      services: { ...shared, secret },
      log: (line) => context.log(redact(line)),
    });
  } catch (error) {
    if (error instanceof Error) error.message = redact(error.message);
    throw error;
  }
}
