import type { Interval } from "../lib/evaluate/intervals.ts";
import type { EvaluationReport } from "./evaluate.ts";
import { table } from "./table.ts";

/** The report as tables: all methods, what each is worth against the references, and Parley by kind of user. */
export function evaluationTables({ split, folds, queries, methods }: EvaluationReport, own: string): string {
  const head = ["method", "NDCG@10", "95 %", "NDCG@5", "NDCG@25", "P@10", "R@10", "MRR@25", "coverage"];
  const rows = methods.map(({ method, metrics, coverage }) => [
    method,
    figure(metrics.ndcg_10.mean),
    range(metrics.ndcg_10),
    ...(["ndcg_5", "ndcg_25", "precision_10", "recall_10", "mrr_25"] as const)
      .map((name) => figure(metrics[name].mean)),
    figure(coverage),
  ]);
  const ours = methods.find(({ method }) => method === own);
  const against = Object.entries(ours?.against ?? {}).map(([other, { ndcg_10, recall_10 }]) => [
    `${own} − ${other}`,
    `${signed(ndcg_10.mean)} ${range(ndcg_10)}`,
    `${signed(recall_10.mean)} ${range(recall_10)}`,
  ]);
  const kinds = (ours?.by_kind ?? []).map((
    { kind, queries, ndcg_10 },
  ) => [kind, String(queries), figure(ndcg_10)]);
  return [
    `${queries} queries by the split ${split}${folds > 1 ? `, ${folds} folds` : ""}`,
    ...table(head, rows, 1),
    "",
    ...table(["paired difference", "NDCG@10", "R@10"], against, 1),
    "",
    ...table(["known of the user", "queries", "NDCG@10"], kinds, 1),
  ].join("\n");
}

const figure = (value: number) => value.toFixed(4);
const signed = (value: number) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(4)}`;
const range = ({ low, high }: Interval) => `${low.toFixed(4)} … ${high.toFixed(4)}`;
