import { bootstrapMean, type Interval } from "./intervals.ts";
import { type Metric, METRICS, scoreRanking, type Scores } from "./metrics.ts";
import type { Query } from "./splits.ts";

/** The kinds of what is known of a user. */
export type UserKind = "messages and events" | "messages" | "events" | "nothing";

/** What one way of ranking came to. `against` holds the paired differences to the baselines, by name. */
export interface MethodReport {
  readonly method: string;
  readonly metrics: Readonly<Record<Metric, Interval>>;
  readonly against: Readonly<Record<string, Pick<Record<Metric, Interval>, "ndcg_10" | "recall_10">>>;
  /** The share of all campaigns that any answer of ten shows. */
  readonly coverage: number;
  readonly by_kind: readonly {
    readonly kind: UserKind;
    readonly queries: number;
    readonly ndcg_10: number;
  }[];
}

interface Row {
  readonly query: Query;
  readonly scores: Scores;
}

/** Gathers rankings, by method and query, and sums them up. All methods must be given the same queries in the same order. */
export class Evaluation {
  private readonly rows = new Map<string, Row[]>();
  private readonly shown = new Map<string, Set<string>>();

  constructor(private readonly options: { campaigns: number; seed: number }) {}

  add(method: string, query: Query, ranking: readonly string[]): void {
    const rows = this.rows.get(method) ?? [];
    rows.push({ query, scores: scoreRanking(ranking, query.relevant) });
    this.rows.set(method, rows);
    const shown = this.shown.get(method) ?? new Set();
    for (const id of ranking.slice(0, 10)) shown.add(id);
    this.shown.set(method, shown);
  }

  get queries(): number {
    return this.rows.values().next().value?.length ?? 0;
  }

  /** Reports of all methods, in the order in which they first came; paired with each of `baselines`. */
  report(baselines: readonly string[]): MethodReport[] {
    return [...this.rows].map(([method, rows]) => {
      const values = (metric: Metric) => rows.map(({ scores }) => scores[metric]);
      const mean = (some: readonly number[]) => {
        const groups = rows.map(({ query }) => query.person);
        return bootstrapMean(some, { groups, seed: this.options.seed });
      };
      const paired = (other: string, metric: Metric) =>
        mean(values(metric).map((value, i) => value - this.rows.get(other)![i]!.scores[metric]));
      return {
        method,
        metrics: Object.fromEntries(METRICS.map((metric) => [metric, mean(values(metric))])) as Record<
          Metric,
          Interval
        >,
        against: Object.fromEntries(
          baselines.filter((other) => other !== method && this.rows.has(other)).map((other) => [
            other,
            { ndcg_10: paired(other, "ndcg_10"), recall_10: paired(other, "recall_10") },
          ]),
        ),
        coverage: (this.shown.get(method)?.size ?? 0) / Math.max(1, this.options.campaigns),
        by_kind: byKind(rows),
      };
    });
  }
}

function byKind(rows: readonly Row[]): MethodReport["by_kind"] {
  const groups = Map.groupBy(rows, ({ query }) => kindOf(query));
  return [...groups].map(([kind, some]) => ({
    kind,
    queries: some.length,
    ndcg_10: some.reduce((sum, { scores }) => sum + scores.ndcg_10, 0) / some.length,
  })).sort((a, b) => b.queries - a.queries);
}

function kindOf({ messages, events }: Query): UserKind {
  const spoke = messages.some(({ role }) => role === "user");
  if (spoke && events.length > 0) return "messages and events";
  return spoke ? "messages" : events.length > 0 ? "events" : "nothing";
}
