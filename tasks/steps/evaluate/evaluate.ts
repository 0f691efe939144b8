import { type JsonObject, type Kind, modelKey } from "../../../lib/core/types.ts";
import { Fail } from "../../../lib/dag/types.ts";
import {
  evaluateSplit,
  type EvaluationOptions,
  type EvaluationReport,
} from "../../../lib/evaluate/evaluate.ts";
import { PARLEY } from "../../../lib/evaluate/rank_fold.ts";
import type { MethodReport } from "../../../lib/evaluate/report.ts";
import type { EvaluationOutput } from "../../../lib/monitoring/task_outputs.ts";
import type { Embedder } from "../../../lib/embed/port.ts";
import type { WithParley } from "../../../lib/evaluate/fold_parley.ts";
import type { StepContext } from "../../step.ts";
import { asDataset } from "../ingest.ts";
import { readDataset } from "./dataset.ts";

/** Makes room for the stores of an evaluation that embeds by this model, and removes them when `body` has ended. */
export type InScratch = <T>(
  options: { readonly embedder: Embedder },
  body: (withParley: WithParley) => Promise<T>,
) => Promise<T>;

/** What a run is asked to measure, on which sources. */
type EvaluateParams = EvaluationOptions & Readonly<Record<Kind, readonly string[]>>;

/** Measures answers, and leaves the report as an artifact of one line of JSON. */
export async function evaluate(context: StepContext, inScratch: InScratch): Promise<JsonObject> {
  const { services, run, task_id, signal } = context;
  const params = run.params as unknown as EvaluateParams;
  if (params.events.length === 0) {
    throw new Fail("an evaluation needs events: set the param events, or PARLEY_EVENTS");
  }
  const onNote = (line: string) => context.log(line);
  const { settings, clock } = services;
  const { data, read } = await readDataset({ sources: params, settings, now: clock.now(), onNote, signal });
  for (const source of read) context.reads(asDataset(source, run.run_id));
  const embedder = await services.embedder(settings.model, onNote);
  context.version("model", modelKey(embedder.model));
  const report = await inScratch({ embedder }, (withParley) =>
    evaluateSplit({
      data,
      options: params,
      withParley,
      signal,
      onNote,
      onProgress: ({ done, total }) => context.progress({ done, total }),
    }));
  for (const method of report.methods) context.log(lineOf(method));
  const artifact = await services.artifacts.writeLines({
    name: `${run.run_id}/${task_id}/report.json`,
    lines: linesOf(report),
    signal,
  });
  context.writes(services.artifact(artifact));
  context.rows({ in: read.reduce((sum, { rows }) => sum + rows, 0), out: report.queries });
  return outputOf(report, artifact.uri) as JsonObject;
}

/** The main results, for those who read them without the artifact. */
function outputOf(
  { split, queries, methods, ablation, chosen_weights }: EvaluationReport,
  uri: string,
): EvaluationOutput {
  return {
    report: uri,
    split,
    queries,
    subject: PARLEY,
    methods: methods.map(({ method, metrics: { ndcg_10, recall_10 }, coverage, against, by_kind }) => ({
      method,
      ndcg_10,
      recall_10,
      coverage,
      against: Object.fromEntries(Object.entries(against).map(([other, paired]) => [other, paired.ndcg_10])),
      by_kind: [...by_kind],
    })),
    ablation: ablation.map(({ without, against }) => ({ without, ndcg_10: against[PARLEY]!.ndcg_10 })),
    chosen_weights: chosen_weights.map(({ queries, weights }) => ({ queries, weights: { ...weights } })),
  };
}

function lineOf({ method, metrics: { ndcg_10, recall_10 } }: MethodReport): string {
  const { mean, low, high } = ndcg_10;
  const figure = (value: number) => value.toFixed(4);
  return `${method}: NDCG@10 ${figure(mean)} (${figure(low)} … ${figure(high)}), R@10 ${
    figure(recall_10.mean)
  }`;
}

async function* linesOf(report: EvaluationReport): AsyncGenerator<string> {
  yield await Promise.resolve(JSON.stringify(report));
}
