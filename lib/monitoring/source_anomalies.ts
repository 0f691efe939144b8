import { z } from "../../deps.ts";
import { compareText } from "../core/text.ts";
import { KINDS } from "../core/types.ts";
import type { TaskOutput } from "../stores/runs/port.ts";
import type { Anomaly } from "./anomaly.ts";
import { findIncidents, type Incidents } from "./incidents.ts";
import type { WatchedDag, WatchedRuns } from "./run_history.ts";
import { INGEST_OUTPUT, outputsOf } from "./task_outputs.ts";

type Output = z.infer<typeof INGEST_OUTPUT>;
type Path = Output["given"][number];
type Failed = Output["failed"];

/**
 * What is wrong with sources, by what each run's task of the role `ingest` recorded: paths of which something could not be read, files that have
 * lost all their rows, that there is no source at all, and that there is no catalogue of intents any more. A path that is configured is wrong until a run reads all of it, whatever
 * other runs were given meanwhile; any other one until the next run.
 */
export async function sourceAnomalies(
  runs: Pick<WatchedRuns, "outputs">,
  dag: WatchedDag,
  since: string,
): Promise<Incidents> {
  const outputs = await outputsOf(runs, dag, { role: "ingest", since });
  // By when they ended: a retry of an older run may have read the sources last.
  const byEnd = outputs.toReversed().sort((a, b) => compareText(endOf(a), endOf(b)));
  return findIncidents(observe(byEnd, dag), {
    at: ({ at }) => at,
    judge: (upTo) => upTo.at(-1)!.found,
    byCause: true,
  });
}

function endOf({ ended_at, created_at }: TaskOutput): string {
  return ended_at ?? created_at;
}

interface Observed {
  readonly at: string;
  readonly found: readonly Anomaly[];
}

/** What is wrong as each run has left it, oldest first. An output of other words, such as an older Parley's, says nothing. */
function observe(outputs: readonly TaskOutput[], dag: WatchedDag): Observed[] {
  const configured = configuredPaths(dag);
  const emptied = new EmptiedSources(configured);
  let unreadable = new Map<string, Anomaly>();
  return outputs.flatMap((output) => {
    const { success, data } = INGEST_OUTPUT.safeParse(output.output);
    if (!success) return [];
    const { given, failed, old_intents } = data;
    const at = endOf(output);
    const seen = new Set(given.map(keyOf));
    unreadable = new Map([...unreadable].filter(([key]) => configured.has(key) && !seen.has(key)));
    for (const [key, errors] of Map.groupBy(failed, keyOf)) {
      unreadable.set(key, unreadableSource(errors, output.run_id, at));
    }
    const idle = output.state === "skipped" && given.length === 0 && configured.size === 0;
    const found = [
      ...unreadable.values(),
      ...emptied.after(data, output.run_id, at),
      ...idle ? [noSources(dag, output.run_id, at)] : [],
      ...old_intents ? [oldIntents(dag, output.run_id, at)] : [],
    ];
    return [{ at, found }];
  });
}

/** Files that had rows and have none now: as unlikely to be meant as one that is gone. */
class EmptiedSources {
  private readonly rows = new Map<string, number>();
  private open = new Map<string, Anomaly>();

  constructor(private readonly configured: ReadonlySet<string>) {}

  after({ sources, given, failed }: Output, run_id: string, at: string): Anomaly[] {
    const left = new Set(failed.map(keyOf));
    const isKept = (key: string) => this.isConfigured(key) && !left.has(key);
    this.open = new Map([...this.open].filter(([key]) => given.length === 0 || isKept(key)));
    for (const { kind, uri, rows } of sources) {
      const key = keyOf({ kind, path: uri });
      const before = this.rows.get(key) ?? 0;
      if (rows > 0) {
        this.rows.set(key, rows);
        this.open.delete(key);
      } else if (before > 0) {
        this.open.set(key, emptySource({ kind, path: uri }, before, run_id, at));
      }
    }
    return [...this.open.values()];
  }

  private isConfigured(key: string): boolean {
    return [...this.configured].some((path) => key === path || key.startsWith(path.replace(/\/?$/, "/")));
  }
}

function configuredPaths({ params }: WatchedDag): Set<string> {
  const paths = z.object(Object.fromEntries(KINDS.map((kind) => [kind, z.array(z.string())])))
    .safeParse(params?.safeParse({}).data).data ?? {};
  return new Set(KINDS.flatMap((kind) => (paths[kind] ?? []).map((path) => keyOf({ kind, path }))));
}

function keyOf({ kind, path }: Path): string {
  return `${kind} ${path}`;
}

function unreadableSource(failed: Failed, run_id: string, since: string): Anomaly {
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
    text: `${cause}: its ${kind} were left out; repair it, or correct ${settingOf(kind)}, then ` +
      "`deno task pipeline`",
  };
}

function emptySource({ kind, path }: Path, expected: number, run_id: string, since: string): Anomaly {
  const cause = `A source of ${kind} is empty: ${path} has no row, and had ${expected}`;
  return {
    code: "source_emptied",
    severity: "warning",
    subject: { kind: "source", rows: kind, path },
    figure: 0,
    expected,
    unit: "rows",
    since,
    run_id,
    cause,
    text: `${cause}; what was read stays stored: look at what writes it, or correct ${settingOf(kind)}`,
  };
}

function noSources(dag: WatchedDag, run_id: string, since: string): Anomaly {
  const remedy =
    `set ${KINDS.map(settingOf).join(", ")} to what is read each night, or PARLEY_SCHEDULE=off if you give ` +
    "each run its sources";
  const cause = `No source is set, so the run of ${dag.id} had nothing to read`;
  return { ...settingMissing(dag, cause, remedy), code: "no_sources", since, run_id };
}

function oldIntents(dag: WatchedDag, run_id: string, since: string): Anomaly {
  const remedy = "set PARLEY_INTENTS to it again; new messages get no intent until then";
  const cause =
    "No catalogue of intents is set any more, and messages keep the intents that they were given by one";
  return { ...settingMissing(dag, cause, remedy), code: "intents_unset", since, run_id };
}

/** What is the same of every setting that a dag needs and does not have. */
function settingMissing({ id: dag_id }: WatchedDag, cause: string, remedy: string) {
  return {
    severity: "warning",
    subject: { kind: "dag", dag_id },
    figure: 0,
    expected: 1,
    unit: "sources",
    cause,
    text: `${cause}; ${remedy}`,
  } as const;
}

function settingOf(kind: Path["kind"]): string {
  return `PARLEY_${kind.toUpperCase()}`;
}
