import { withTimeout } from "../lib/core/abort.ts";
import { messageOf } from "../lib/core/errors.ts";
import { localUrl } from "../lib/core/parse_url.ts";
import { type Dag, loadDags } from "../lib/dag/define.ts";
import type { Dataset } from "../lib/dag/types.ts";
import type { DagFault } from "../lib/monitoring/dag_faults.ts";
import { isOwnDag, type OwnDag } from "./public.ts";
import type { Services } from "./services.ts";

/** How long a file may take to load: one that waits for something must not stop the others. */
const LOAD_TIMEOUT_MS = 10_000;

/** Every dag by id, and what cannot be used of the user's own. */
export interface LoadedDags {
  readonly dags: Map<string, Dag<Services>>;
  readonly faults: readonly DagFault[];
}

interface OwnDagOptions {
  /** A path. */
  readonly folder: string;
  /** Parley's own dags: no other has their ids. */
  readonly builtIn: readonly Dag<Services>[];
  readonly pools: Readonly<Record<string, number>>;
  readonly secrets: Readonly<Record<string, string>>;
  /** Whether runs start by a schedule. */
  readonly isScheduled: boolean;
  /** A table of a store, as lineage names it. */
  readonly dataset: (store: StoreName, table: string) => Dataset;
}

/**
 * Adds the dags that the `*.ts` files of a folder export, in the order of their names. Tests (`*_test.ts`), types (`*.d.ts`) and
 * sub-folders are not read. A file with an error becomes a fault; it stops no other.
 */
export async function addOwnDags(options: OwnDagOptions): Promise<LoadedDags> {
  const { folder, builtIn, pools } = options;
  const faults: DagFault[] = [];
  let dags = loadDags({ dags: builtIn, pools });
  let names: string[];
  try {
    names = await dagFiles(folder);
  } catch (error) {
    return { dags, faults: [{ path: folder, reason: `the folder cannot be read: ${messageOf(error)}` }] };
  }
  for (const name of names) {
    const path = `${folder}/${name}`;
    try {
      const own = await withTimeout(LOAD_TIMEOUT_MS, () => dagsOf(path));
      const added = own.map((dag) => checked(dag, options));
      dags = loadDags({ dags: [...dags.values(), ...added], pools });
    } catch (error) {
      faults.push({ path, reason: faultReason(error, path) });
    }
  }
  return { dags, faults };
}

async function dagFiles(folder: string): Promise<string[]> {
  const entries = await Array.fromAsync(Deno.readDir(folder));
  return entries.filter(({ name, isDirectory }) => !isDirectory && /(?<!_test|\.d)\.ts$/.test(name))
    .map(({ name }) => name).sort();
}

/** The dags that a file exports. */
export async function dagsOf(path: string): Promise<OwnDag[]> {
  const exported: Record<string, unknown> = await import(localUrl("file", path).href);
  const dags = [...new Set(Object.values(exported))].filter(isOwnDag);
  if (dags.length > 0) return dags;
  throw new Error("it exports no dag: export what defineDag returns, and keep shared code in a sub-folder");
}

/** In a dag of the user's own, the name of a store stands for the namespace that its tables have in this deployment. */
const STORES = ["documents", "analytics", "vectors", "graph"] as const;
type StoreName = typeof STORES[number];

function isStore(namespace: string): namespace is StoreName {
  return (STORES as readonly string[]).includes(namespace);
}

function checked(dag: OwnDag, { secrets, isScheduled, dataset }: OwnDagOptions): Dag<Services> {
  const missing = dag.secrets.filter((name) => secrets[name] === undefined);
  if (missing.length > 0) {
    throw new Error(`dag "${dag.id}" needs ${missing.map((name) => `PARLEY_DAG_SECRET_${name}`).join(", ")}`);
  }
  const { schedule: _off, on_datasets, ...unscheduled } = dag;
  if (!isScheduled) return unscheduled;
  if (on_datasets === undefined) return dag;
  const resolve = (one: Dataset) => isStore(one.namespace) ? dataset(one.namespace, one.name) : one;
  const { all_of, any_of } = on_datasets;
  return {
    ...dag,
    on_datasets: all_of === undefined ? { any_of: any_of.map(resolve) } : { all_of: all_of.map(resolve) },
  };
}

/** What is wrong, with the line and column of the file, if the error says them. */
export function faultReason(error: unknown, path: string): string {
  const text = messageOf(error);
  const name = path.slice(path.lastIndexOf("/"));
  const stack = error instanceof Error ? `${text}\n${error.stack ?? ""}` : text;
  const at = stack.split("\n").find((line) => line.includes(encodeURI(name)) || line.includes(name));
  const position = at === undefined ? null : /:(\d+):(\d+)\)?$/.exec(at.trim());
  const what = text.split("\n")[0];
  return position === null ? `${what}` : `${what} (line ${position[1]}, column ${position[2]})`;
}
