import { type Config, loadConfig, type Sources } from "../lib/config.ts";
import { readEnvironment } from "../lib/environment.ts";
import { systemClock } from "../lib/core/clock.ts";
import { ParleyError } from "../lib/core/errors.ts";
import { FILE_MODE, FOLDER_MODE } from "../lib/core/modes.ts";
import { absolute } from "../lib/core/parse_url.ts";
import { type Kind, KINDS, type Rows } from "../lib/core/types.ts";
import { createRun } from "../lib/dag/runs.ts";
import { CachedEmbedder } from "../lib/embed/cached.ts";
import { openEmbedder } from "../lib/embed/open.ts";
import type { Embedder } from "../lib/embed/port.ts";
import { BASELINES } from "../lib/evaluate/baselines.ts";
import { DEPTH } from "../lib/evaluate/metrics.ts";
import { titleFinder } from "../lib/evaluate/named.ts";
import { Evaluation, type MethodReport } from "../lib/evaluate/report.ts";
import { type Dataset, type Fold, type Split, splitRows } from "../lib/evaluate/splits.ts";
import { Recommender } from "../lib/recommend/recommender.ts";
import { tryParseJson } from "../lib/core/json.ts";
import { parseRow } from "../lib/schema/row.ts";
import { timeWindow } from "../lib/schema/time.ts";
import { expandSources } from "../lib/sources/expand_sources.ts";
import { readRows } from "../lib/sources/read.ts";
import { openCache } from "../lib/stores/open.ts";
import { type Executing, executing, work } from "./engine.ts";
import { evaluationTables } from "./evaluate_view.ts";
import { EXIT, shutdownSignal } from "./exit.ts";
import { embedderOptions } from "./models.ts";

export interface EvaluateOptions extends Sources {
  readonly split: Split;
  readonly folds: number;
  readonly seed: number;
  readonly json: boolean;
}

/** What an evaluation came to, as `--json` prints it. */
export interface EvaluationReport extends Pick<EvaluateOptions, "split" | "seed"> {
  readonly folds: number;
  readonly queries: number;
  readonly methods: readonly MethodReport[];
}

/** The name of Parley's own answers among the methods. */
const PARLEY = "parley";
/** Methods that every other one is held against, query by query. */
const REFERENCES = ["popularity", "tf-idf conversation-kNN"];
/** A query may take this long: an evaluation asks for whole answers, not for quick ones. */
const ANSWER_MS = 60_000;

/**
 * Measures answers on rows that they were not made from, next to simple baselines. Each fold is built by the nightly pipeline from
 * its training rows alone, in stores of its own below the data directory, which are removed again; texts are embedded once.
 */
export async function evaluate(config: Config, options: EvaluateOptions): Promise<number> {
  const shutdown = shutdownSignal();
  const scratch = `${config.data}/evaluate-${Deno.pid}`;
  await Deno.mkdir(scratch, { recursive: true, mode: FOLDER_MODE });
  try {
    const data = await readDataset(config, chosenSources(config, options), shutdown.signal);
    say(`${data.messages.length} messages, ${data.campaigns.length} campaigns, ${data.events.length} events`);
    const embedder = new CachedEmbedder(
      await openEmbedder(embedderOptions(config)),
      `${scratch}/embeddings.db`,
    );
    try {
      const report = await evaluateFolds({ data, options, scratch, embedder, signal: shutdown.signal });
      console.log(options.json ? JSON.stringify(report) : evaluationTables(report, PARLEY));
    } finally {
      await embedder.close();
    }
    return EXIT.ok;
  } catch (error) {
    if (!shutdown.signal.aborted) throw error;
    return EXIT.interrupted;
  } finally {
    await Deno.remove(scratch, { recursive: true });
    shutdown.dispose();
  }
}

/** The sources given, which then are all; else the configured ones. */
function chosenSources({ sources }: Config, given: Sources): Sources {
  const paths = (kind: Kind) => given[kind].map((path) => absolute(path, Deno.cwd()));
  const chosen = KINDS.some((kind) => given[kind].length > 0)
    ? { messages: paths("messages"), campaigns: paths("campaigns"), events: paths("events") }
    : sources;
  if (chosen.events.length > 0) return chosen;
  throw new ParleyError("invalid", "an evaluation needs events: give --events, or set PARLEY_EVENTS");
}

interface Run {
  readonly data: Dataset;
  readonly options: EvaluateOptions;
  readonly scratch: string;
  readonly embedder: Embedder;
  readonly signal: AbortSignal;
}

async function evaluateFolds(run: Run): Promise<EvaluationReport> {
  const { data, options } = run;
  const { split, seed } = options;
  const evaluation = new Evaluation({ campaigns: data.campaigns.length, seed });
  const named = titleFinder(data.campaigns);
  let folds = 0;
  for (const fold of splitRows(data, split, { ...options, named })) {
    folds++;
    say(`fold ${folds}: ${fold.queries.length} queries`);
    if (fold.queries.length === 0) continue;
    for (const [name, baseline] of Object.entries(BASELINES)) {
      const rank = baseline(fold.train);
      for (const query of fold.queries) evaluation.add(name, query, rank(query, DEPTH));
      run.signal.throwIfAborted();
    }
    await askParley(run, fold, `${run.scratch}/fold-${folds}`, evaluation);
  }
  if (evaluation.queries === 0) {
    throw new ParleyError(
      "invalid",
      `there is nothing to find by --split ${split}: try another split or more data`,
    );
  }
  return { split, seed, folds, queries: evaluation.queries, methods: evaluation.report(REFERENCES) };
}

/** Builds a Parley from the fold's rows, asks it for each query, and removes it. */
async function askParley(run: Run, fold: Fold, folder: string, evaluation: Evaluation): Promise<void> {
  const config = scratchConfig(folder);
  const params = await writeRows(fold, folder);
  await executing(config, async ({ options }) => {
    const services = { ...options.services, embedder: () => Promise.resolve(run.embedder) };
    await build({ ...options, services }, params, run.signal);
    await using cache = new AsyncDisposableStack();
    const stores = { ...services, cache: cache.adopt(await openCache(config.cache), (one) => one.close()) };
    const { repurchase_days } = config;
    const recommender = new Recommender({
      stores,
      clock: systemClock,
      answer_ms: ANSWER_MS,
      repurchase_days,
    });
    for (const query of fold.queries) {
      run.signal.throwIfAborted();
      const { answer, failures } = await recommender.explain({ user_id: query.user_id, k: DEPTH });
      for (const error of failures.values()) throw error;
      evaluation.add(PARLEY, query, answer.items.map(({ campaign_id }) => campaign_id));
    }
  });
  await Deno.remove(folder, { recursive: true });
}

/** Runs the nightly pipeline over these sources. */
async function build(
  options: Executing["options"],
  params: Record<Kind, string[]>,
  signal: AbortSignal,
): Promise<void> {
  const { runs } = options;
  const dag = options.dags.get("nightly")!;
  const { run_id } = await createRun({ dag, runs, clock: systemClock, params });
  const outcome = await work(options, signal, { until: run_id });
  signal.throwIfAborted();
  if (outcome === "success") return;
  const error = (await runs.snapshot({ run_id }))?.run.error;
  throw new ParleyError("unavailable", `the fold could not be built: ${error}`);
}

/** The settings of this Parley, on embedded stores in a folder of its own, without sources and sinks. */
function scratchConfig(folder: string): Config {
  const stores = ["DOCUMENTS", "VECTORS", "GRAPH", "ANALYTICS", "RUNS", "CACHE", "ARTIFACTS", "LINEAGE"];
  const left_out = [...stores, "MESSAGES", "CAMPAIGNS", "EVENTS", "INBOX"].map((name) => `PARLEY_${name}`);
  const env = Object.entries(readEnvironment()).filter(([name]) => !left_out.includes(name));
  return loadConfig({
    ...Object.fromEntries(env),
    PARLEY_DATA: folder,
    PARLEY_SCHEDULE: "off",
    PARLEY_MAX_BAD_SHARE: "1",
  });
}

async function writeRows({ train, asked }: Fold, folder: string): Promise<Record<Kind, string[]>> {
  await Deno.mkdir(folder, { recursive: true, mode: FOLDER_MODE });
  const rows = { ...train, messages: [...train.messages, ...asked] };
  const params = { messages: [] as string[], campaigns: [] as string[], events: [] as string[] };
  for (const kind of KINDS) {
    const path = `${folder}/${kind}.ndjson`;
    await Deno.writeTextFile(path, ReadableStream.from(linesOf(rows[kind])), { mode: FILE_MODE });
    if (rows[kind].length > 0) params[kind].push(path);
  }
  return params;
}

function* linesOf(rows: readonly unknown[]): Generator<string> {
  for (const row of rows) yield `${JSON.stringify(row)}\n`;
}

/** All rows of the sources that are right, each once; whether a campaign may be shown today plays no part. */
async function readDataset(config: Config, sources: Sources, signal: AbortSignal): Promise<Dataset> {
  const messages = await readKind("messages", config, sources, signal);
  const campaigns = await readKind("campaigns", config, sources, signal);
  const events = await readKind("events", config, sources, signal);
  const always = { starts_at: null, ends_at: null, status: "active" } as const;
  return {
    messages: unique(messages, ({ message_id }) => message_id),
    campaigns: unique(campaigns, ({ campaign_id }) => campaign_id).map((row) => ({ ...row, ...always })),
    events: unique(events, ({ event_id }) => event_id),
  };
}

async function readKind<K extends Kind>(
  kind: K,
  { max_source_bytes: maxBytes, earliest }: Config,
  sources: Sources,
  signal: AbortSignal,
): Promise<Rows[K][]> {
  const window = timeWindow({ now: Date.now(), earliest });
  const { sources: found, failed } = await expandSources({ paths: sources[kind], signal });
  for (const error of failed) throw error;
  const rows: Rows[K][] = [];
  let refused = 0;
  for (const source of found) {
    for await (const text of readRows(source, { signal, maxBytes })) {
      if (text === "") continue;
      const parsed = parseRow({ kind, value: tryParseJson(text), window });
      if (parsed.ok) rows.push(parsed.row);
      else refused++;
    }
  }
  if (refused > 0) say(`${refused} rows of ${kind} are left out: \`deno task pipeline\` tells why`);
  return rows;
}

function unique<Row>(rows: readonly Row[], idOf: (row: Row) => string): Row[] {
  return [...new Map(rows.map((row) => [idOf(row), row])).values()];
}

function say(line: string): void {
  console.error(line);
}
