import { z } from "../../deps.ts";
import { KINDS } from "../core/types.ts";
import type { TaskOutput } from "../stores/runs/port.ts";
import type { Anomaly } from "./anomaly.ts";
import { type Episodes, episodes } from "./episodes.ts";
import { MAX_RUNS, type WatchedDag, type WatchedRuns } from "./watched.ts";

/** The task whose output says which sources could not be read. */
const INGEST_TASK = "ingest";

const PATH = z.object({ kind: z.enum(KINDS), path: z.string() });
/** An output of other words, such as an older Parley's, says nothing of its sources. */
const OUTPUT = z.object({ given: z.array(PATH), failed: z.array(PATH.extend({ error: z.string() })) })
  .catch({ given: [], failed: [] });
type Path = z.infer<typeof PATH>;
type Failed = z.infer<typeof OUTPUT>["failed"];

/**
 * The paths of which something could not be read, by what each run's `ingest` recorded. A path that is configured is so until
 * a run reads all of it, whatever other runs were given meanwhile; any other one until the next run.
 */
export async function sourceAnomalies(
  runs: Pick<WatchedRuns, "outputs">,
  dag: WatchedDag,
  since: string,
): Promise<Episodes> {
  if (!dag.tasks.some(({ id }) => id === INGEST_TASK)) return { open: [], past: [] };
  const outputs = await runs.outputs({ dag_id: dag.id, task_id: INGEST_TASK, since, limit: MAX_RUNS });
  return episodes(unreadable(outputs.reverse(), configuredPaths(dag)), {
    at: ({ at }) => at,
    judge: (upTo) => upTo.at(-1)!.found,
  });
}

interface Observed {
  readonly at: string;
  readonly found: readonly Anomaly[];
}

/** What is unreadable as each run has left it, oldest first. */
function unreadable(outputs: readonly TaskOutput[], configured: ReadonlySet<string>): Observed[] {
  let open = new Map<string, Anomaly>();
  return outputs.map((output) => {
    const { given, failed } = OUTPUT.parse(output.output);
    const at = output.ended_at ?? output.created_at;
    const seen = new Set(given.map(keyOf));
    open = new Map([...open].filter(([key]) => configured.has(key) && !seen.has(key)));
    for (const [key, errors] of Map.groupBy(failed, keyOf)) open.set(key, anomaly(errors, output.run_id, at));
    return { at, found: [...open.values()] };
  });
}

function configuredPaths({ params }: WatchedDag): Set<string> {
  const paths = z.object(Object.fromEntries(KINDS.map((kind) => [kind, z.array(z.string())])))
    .safeParse(params?.safeParse({}).data).data ?? {};
  return new Set(KINDS.flatMap((kind) => (paths[kind] ?? []).map((path) => keyOf({ kind, path }))));
}

function keyOf({ kind, path }: Path): string {
  return `${kind} ${path}`;
}

function anomaly(failed: Failed, run_id: string, since: string): Anomaly {
  const { kind, path, error } = failed[0]!;
  const more = failed.length > 1 ? `, and ${failed.length - 1} more of ${path} cannot be read` : "";
  const cause = `A source of ${kind} cannot be read: ${error}${more}`;
  return {
    code: "source_unreadable",
    severity: "critical",
    subject: { kind: "source", rows: kind, path },
    figure: failed.length,
    expected: 0,
    unit: "sources",
    since,
    run_id,
    cause,
    text: `${cause}: its ${kind} were left out; repair it, or correct PARLEY_${kind.toUpperCase()}, then ` +
      "`deno task pipeline`",
  };
}
