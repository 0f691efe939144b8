import { ParleyError } from "../core/errors.ts";
import type { Abortable } from "../core/types.ts";
import { type Source, SOURCES } from "../recommend/answer.ts";
import { WEIGHTS } from "../recommend/score.ts";
import { CampaignNames } from "../recommend/mentions.ts";
import { baselinesFor } from "./baselines.ts";
import { chooseWeights, type EvaluatedQuery, type GroupWeights, learnWeights } from "./choose_weights.ts";
import { DEPTH } from "./metrics.ts";
import { PARLEY, rankFold, withoutName } from "./rank_fold.ts";
import { Evaluation, type MethodReport } from "./report.ts";
import { pack, rankBy } from "./rescore.ts";
import type { WithParley } from "./fold_parley.ts";
import { type Dataset, type Split, splitRows } from "./splits.ts";

export interface EvaluationOptions {
  readonly split: Split;
  /** Number of folds, for splits that have any, and of groups of users that weights are chosen for. */
  readonly folds: number;
  readonly seed: number;
  /** Whether weights are chosen too, by nested cross-validation. */
  readonly choose_weights: boolean;
}

export interface EvaluationReport extends Pick<EvaluationOptions, "split" | "seed"> {
  readonly folds: number;
  readonly queries: number;
  readonly methods: readonly MethodReport[];
  /** Parley's answers without one source each, whose weight the others share. */
  readonly ablation: readonly (MethodReport & { readonly without: Source })[];
  /** The weights chosen for each group of users, and those learnt; empty if none were chosen. They add up to 1. */
  readonly chosen_weights: readonly GroupWeights[];
  readonly learnt_weights: readonly GroupWeights[];
}

/** Progress of an evaluation: the fold, if any, the step, and how much of the step is done. */
export interface EvaluationProgress {
  readonly fold: number | null;
  readonly folds: number;
  readonly step: string;
  readonly done: number;
  readonly total: number | null;
}

export interface EvaluateOptions extends Abortable {
  readonly data: Dataset;
  readonly options: EvaluationOptions;
  readonly withParley: WithParley;
  readonly onProgress?: (progress: EvaluationProgress) => void;
  /** Gets a line now and then: the number of queries of a fold, the omitted methods. */
  readonly onNote?: (line: string) => void;
}

/** The name of Parley's answers by weights that were chosen on other users' queries. */
const CHOSEN_WEIGHTS = `${PARLEY}, weights chosen`;
/** The same by weights that were learnt from them, and by the fixed ones. */
const LEARNT_WEIGHTS = `${PARLEY}, weights learnt`;
const FIXED_WEIGHTS = `${PARLEY}, weights fixed`;
/** Methods that every other one is compared with, query by query. */
const REFERENCES = ["popularity", "tf-idf conversation-kNN", PARLEY, FIXED_WEIGHTS];

/**
 * Measures answers on rows that they were not computed from, next to baselines. Holds all rows, ten numbers for each query and
 * method, and to choose weights some 15 KB per query; of a fold the current baseline and then the Parley built from it.
 */
export async function evaluateSplit(
  { data, options, withParley, signal, onProgress = () => {}, onNote = () => {} }: EvaluateOptions,
): Promise<EvaluationReport> {
  const { split, seed, choose_weights } = options;
  const { baselines, notes } = baselinesFor(data);
  for (const note of notes) onNote(note);
  const evaluation = new Evaluation({ campaigns: data.campaigns.length, seed });
  const cases: EvaluatedQuery[] = [];
  let folds = 0;
  const names = new CampaignNames(data.campaigns);
  const named = (text: string) => names.find(text);
  for (const fold of splitRows(data, split, { ...options, named })) {
    folds++;
    onNote(`fold ${folds}: ${fold.queries.length} queries`);
    if (fold.queries.length === 0) continue;
    const at = { fold: folds, folds: foldCount(options) };
    await rankFold(fold, {
      baselines,
      withParley,
      signal,
      onProgress: (step, done, total) => onProgress({ ...at, step, done, total }),
      onRanking: (method, query, ranking) => evaluation.add(method, query, ranking),
      onCandidates: (query, weighable) => choose_weights && cases.push({ query, weighable: pack(weighable) }),
    });
  }
  if (evaluation.size === 0) {
    throw new ParleyError(
      "invalid",
      `there is nothing to find by --split ${split}: try another split or more data`,
    );
  }
  const nested = (step: string) => ({
    groups: options.folds,
    seed,
    signal,
    onProgress: (done: number) => onProgress({ fold: null, folds, step, total: options.folds, done }),
  });
  const chosen = await chooseWeights(cases, nested("choosing weights"));
  const learnt = await learnWeights(cases, nested("learning weights"));
  for (const [i, { query, weighable }] of cases.entries()) {
    evaluation.add(FIXED_WEIGHTS, query, rankBy(weighable, WEIGHTS, DEPTH));
    evaluation.add(CHOSEN_WEIGHTS, query, rankBy(weighable, chosen.weightsOf[i]!, DEPTH));
    evaluation.add(LEARNT_WEIGHTS, query, rankBy(weighable, learnt.weightsOf[i]!, DEPTH));
  }
  const reports = new Map(evaluation.report(REFERENCES).map((report) => [report.method, report]));
  const ablation = SOURCES.map((without) => ({ without, ...reports.get(withoutName(without))! }));
  for (const { method } of ablation) reports.delete(method);
  return {
    split,
    seed,
    folds,
    queries: evaluation.size,
    methods: [...reports.values()],
    ablation,
    chosen_weights: chosen.groups,
    learnt_weights: learnt.groups,
  };
}

function foldCount({ split, folds }: EvaluationOptions): number {
  return split === "rows" || split === "conversations" ? folds : 1;
}
