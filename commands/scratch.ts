import { type Config, loadConfig } from "../lib/config.ts";
import { systemClock } from "../lib/core/clock.ts";
import { ParleyError } from "../lib/core/errors.ts";
import { FILE_MODE, FOLDER_MODE } from "../lib/core/file_modes.ts";
import { type Abortable, type Kind, KINDS } from "../lib/core/types.ts";
import { createRun } from "../lib/dag/runs.ts";
import { CachedEmbedder } from "../lib/embed/cached_embedder.ts";
import type { Embedder } from "../lib/embed/port.ts";
import type { BuildProgress, FoldParley, WithParley } from "../lib/evaluate/fold_parley.ts";
import type { Fold } from "../lib/evaluate/splits.ts";
import { executeQueued, type ExecutorScope, withExecutor } from "./engine.ts";

const NAME = /^evaluate-\d+$/;
const LOCK = "lock";

interface ScratchOptions {
  readonly embedder: Embedder;
  /** File that vectors are remembered in beyond this evaluation; by default they go with it. */
  readonly embeddings?: string | undefined;
}

/**
 * A folder below the data directory for Parleys that `body` has built from the rows of folds. All of it is removed when `body` has
 * ended, and what an evaluation left that was killed is removed by the next. Texts are embedded once.
 */
export async function inScratch<T>(
  config: Config,
  { embedder, embeddings }: ScratchOptions,
  body: (withParley: WithParley) => Promise<T>,
): Promise<T> {
  await Deno.mkdir(config.data, { recursive: true, mode: FOLDER_MODE });
  await removeLeftovers(config.data);
  await using opened = new AsyncDisposableStack();
  const folder = `${config.data}/evaluate-${Deno.pid}`;
  await Deno.mkdir(folder, { recursive: true, mode: FOLDER_MODE });
  opened.defer(() => Deno.remove(folder, { recursive: true }));
  const lock = opened.adopt(await openLock(folder), (file) => file.close());
  await lock.lock(true);
  const cached = opened.adopt(
    new CachedEmbedder(embedder, embeddings ?? `${folder}/embeddings.db`),
    (resource) => resource.close(),
  );
  return await body((options, ask) =>
    withParley({ ...options, embedder: cached, config: scratchConfig(config, `${folder}/parley`) }, ask)
  );
}

/** Removes folders of evaluations that are no longer running: who runs one holds its lock. */
async function removeLeftovers(data: string): Promise<void> {
  for await (const { name, isDirectory } of Deno.readDir(data)) {
    if (!isDirectory || !NAME.test(name)) continue;
    const lock = await openLock(`${data}/${name}`);
    const isLeft = await lock.tryLock(true);
    lock.close();
    if (isLeft) await Deno.remove(`${data}/${name}`, { recursive: true });
  }
}

function openLock(folder: string): Promise<Deno.FsFile> {
  return Deno.open(`${folder}/${LOCK}`, { create: true, write: true, mode: FILE_MODE });
}

async function withParley(
  { config, fold, embedder, onProgress, signal }:
    & { config: Config; fold: Fold; embedder: Embedder; onProgress: BuildProgress }
    & Abortable,
  body: (parley: FoldParley) => Promise<void>,
): Promise<void> {
  const params = await writeRows(fold, config.data);
  await withExecutor(config, async ({ options }) => {
    const services = { ...options.services, embedder: () => Promise.resolve(embedder) };
    await build({ ...options, services, observer: { progress: onProgress } }, params, signal);
    await body(services);
  });
  await Deno.remove(config.data, { recursive: true });
}

/** Runs the nightly dag over these sources. */
async function build(
  options: ExecutorScope["options"],
  params: Record<Kind, string[]>,
  signal: AbortSignal = new AbortController().signal,
): Promise<void> {
  const { runs } = options;
  const dag = options.dags.get("nightly")!;
  const { run_id } = await createRun({ dag, runs, clock: systemClock, params });
  const outcome = await executeQueued(options, signal, { until: run_id });
  signal.throwIfAborted();
  if (outcome === "success") return;
  const error = (await runs.snapshot({ run_id }))?.run.error;
  throw new ParleyError("unavailable", `the fold could not be built: ${error}`);
}

/** The same settings on embedded stores in a folder of their own, without sources and sinks; no row is refused. */
function scratchConfig(config: Config, folder: string): Config {
  const own = loadConfig({ PARLEY_DATA: folder, PARLEY_SCHEDULE: "off" });
  const { data, documents, vectors, graph, analytics, runs, cache, artifacts } = own;
  const { lineage, notify, sources, inbox, schedule } = own;
  const stores = { data, documents, vectors, graph, analytics, runs, cache, artifacts };
  return { ...config, ...stores, lineage, notify, sources, inbox, schedule, max_bad_share: 1 };
}

async function writeRows({ train, query_messages }: Fold, folder: string): Promise<Record<Kind, string[]>> {
  await Deno.mkdir(folder, { recursive: true, mode: FOLDER_MODE });
  const rows = { ...train, messages: [...train.messages, ...query_messages] };
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
