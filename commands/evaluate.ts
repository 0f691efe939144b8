import type { Config, Sources } from "../lib/config.ts";
import { systemClock } from "../lib/core/clock.ts";
import { ParleyError } from "../lib/core/errors.ts";
import { absolute } from "../lib/core/parse_url.ts";
import { type Kind, KINDS } from "../lib/core/types.ts";
import { openEmbedder } from "../lib/embed/open.ts";
import { evaluateSplit, type EvaluationOptions, type EvaluationProgress } from "../lib/evaluate/evaluate.ts";
import { readDataset } from "../tasks/steps/evaluate/dataset.ts";
import { StatusLine } from "./status_line.ts";
import { evaluationTables } from "./evaluate_view.ts";
import { announceStop, EXIT, shutdownSignal } from "./exit.ts";
import { embedderOptions } from "./models.ts";
import { inScratch } from "./scratch.ts";

/** How often progress is shown without a terminal, in milliseconds. */
const PLAIN_EVERY_MS = 10_000;

interface EvaluateOptions extends Sources, Pick<EvaluationOptions, "split" | "folds" | "seed"> {
  readonly chooseWeights: boolean;
  /** File that vectors are remembered in for later evaluations. */
  readonly keepVectors?: string;
  readonly json: boolean;
}

/**
 * Measures answers on rows that they were not made from, next to simple baselines. Each fold is built by the nightly pipeline from
 * its training rows alone, in stores of its own below the data directory, which are removed again; texts are embedded once.
 */
export async function evaluate(config: Config, options: EvaluateOptions): Promise<number> {
  const { signal, dispose } = shutdownSignal();
  const progress = new StatusLine(PLAIN_EVERY_MS);
  const onNote = (line: string) => progress.note(line);
  announceStop(signal, () => "the step in progress ends first, and the scratch stores are removed", onNote);
  const embeddings = options.keepVectors;
  try {
    const sources = chosenSources(config, options);
    const { data } = await readDataset({ sources, settings: config, now: systemClock.now(), onNote, signal });
    onNote(
      `${data.messages.length} messages, ${data.campaigns.length} campaigns, ${data.events.length} events`,
    );
    await using opened = new AsyncDisposableStack();
    const embedder = opened.adopt(
      await openEmbedder(embedderOptions(config)),
      (resource) => resource.close(),
    );
    const report = await inScratch(config, { embedder, embeddings }, (withParley) =>
      evaluateSplit({
        data,
        options: { ...options, choose_weights: options.chooseWeights },
        withParley,
        signal,
        onNote,
        onProgress: (at) => progress.show(statusOf(at)),
      }));
    progress.clear();
    console.log(options.json ? JSON.stringify(report) : evaluationTables(report));
    return EXIT.ok;
  } catch (error) {
    if (!signal.aborted) throw error;
    return EXIT.interrupted;
  } finally {
    progress.clear();
    dispose();
  }
}

function statusOf({ fold, folds, step, done, total }: EvaluationProgress): string {
  const position = fold === null ? "" : `fold ${fold} of ${folds}, `;
  return `${position}${step}: ${done}${total === null ? "" : ` of ${total}`}`;
}

/** The sources given, which then are all; else the configured ones. */
function chosenSources({ sources }: Config, overrides: Sources): Sources {
  const paths = (kind: Kind) => overrides[kind].map((path) => absolute(path, Deno.cwd()));
  const chosen = KINDS.some((kind) => overrides[kind].length > 0)
    ? { messages: paths("messages"), campaigns: paths("campaigns"), events: paths("events") }
    : sources;
  if (chosen.events.length > 0) return chosen;
  throw new ParleyError("invalid", "an evaluation needs events: pass --events, or set PARLEY_EVENTS");
}
