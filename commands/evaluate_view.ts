import type { GroupWeights } from "../lib/evaluate/choose_weights.ts";
import type { EvaluationReport } from "../lib/evaluate/evaluate.ts";
import type { Interval } from "../lib/evaluate/bootstrap_mean.ts";
import { PARLEY } from "../lib/evaluate/rank_fold.ts";
import type { MethodReport } from "../lib/evaluate/report.ts";
import { SOURCES } from "../lib/recommend/answer.ts";
import { table } from "./table.ts";

/** The report as tables: all methods, what Parley is worth against others, by kind of user, without each source, and its weights. */
export function evaluationTables(report: EvaluationReport): string {
  const { split, folds, queries, methods, ablation, chosen_weights, learnt_weights } = report;
  const parley = methods.find(({ method }) => method === PARLEY)!;
  return [
    `${queries} queries by the split ${split}${folds > 1 ? `, ${folds} folds` : ""}`,
    ...table(HEAD, methods.map(rowOf), 1),
    "",
    ...table(
      ["paired difference", "NDCG@10", "R@10"],
      methods.filter(({ method }) => method.startsWith(PARLEY)).flatMap((one) =>
        Object.keys(one.against).map((other) => [`${one.method} − ${other}`, ...difference(one, other)])
      ),
      1,
    ),
    "",
    ...table(
      ["known of the user", "queries", "NDCG@10"],
      parley.by_kind.map(({ kind, queries, ndcg_10 }) => [kind, String(queries), formatScore(ndcg_10)]),
      1,
    ),
    "",
    ...table(
      ["without", "NDCG@10", "R@10", "− whole, NDCG@10", "− whole, R@10"],
      ablation.map((row) => [
        row.without,
        formatScore(row.metrics.ndcg_10.mean),
        formatScore(row.metrics.recall_10.mean),
        ...difference(row, PARLEY),
      ]),
      1,
    ),
    ...weightsTable("weights chosen for", chosen_weights),
    ...weightsTable("weights learnt for", learnt_weights),
  ].join("\n");
}

/** The weights of each group of users; nothing without groups. */
function weightsTable(title: string, groups: readonly GroupWeights[]): string[] {
  if (groups.length === 0) return [];
  const rows = groups.map(({ queries, weights }, i) => [
    String(i + 1),
    String(queries),
    ...SOURCES.map((source) => formatScore(weights[source])),
  ]);
  return ["", ...table([title, "queries", ...SOURCES], rows, 1)];
}

const HEAD = ["method", "NDCG@10", "95 %", "NDCG@5", "NDCG@25", "P@10", "R@10", "MRR@25", "coverage"];

function rowOf({ method, metrics, coverage }: MethodReport): string[] {
  const means = (["ndcg_5", "ndcg_25", "precision_10", "recall_10", "mrr_25"] as const)
    .map((name) => formatScore(metrics[name].mean));
  return [method, formatScore(metrics.ndcg_10.mean), range(metrics.ndcg_10), ...means, formatScore(coverage)];
}

function difference({ against }: MethodReport, other: string): string[] {
  const { ndcg_10, recall_10 } = against[other]!;
  return [ndcg_10, recall_10].map(({ mean, low, high }) =>
    `${signed(mean)}  ${signed(low)} … ${signed(high)}`
  );
}

const formatScore = (value: number) => value.toFixed(4);
const signed = (value: number) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(4)}`;
const range = ({ low, high }: Interval) => `${low.toFixed(4)} … ${high.toFixed(4)}`;
