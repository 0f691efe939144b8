import { bootstrapMean, type Interval } from "./bootstrap_mean.ts";
import { type Metric, METRICS, scoreRanking } from "./metrics.ts";
import type { Query } from "./splits.ts";

/** What is known of a user. */
type UserKind = "messages and events" | "messages" | "events" | "nothing";

/** Results of one method. `against` has the paired differences to the baselines, by name. */
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

/** Collects rankings by method and query, and summarises them. All methods must have the same queries in the same order. */
export class Evaluation {
  private readonly queries: { readonly person: string; readonly kind: UserKind }[] = [];
  private readonly values = new Map<string, Record<Metric, number[]>>();
  private readonly shown = new Map<string, Set<string>>();

  constructor(private readonly options: { campaigns: number; seed: number }) {}

  add(method: string, query: Query, ranking: readonly string[]): void {
    const values = getOrInsert(this.values, method, () => perMetric(() => [] as number[]));
    const at = values.ndcg_10.length;
    this.queries[at] ??= { person: query.person, kind: kindOf(query) };
    const scores = scoreRanking(ranking, query.relevant);
    for (const metric of METRICS) values[metric].push(scores[metric]);
    const shown = getOrInsert(this.shown, method, () => new Set<string>());
    for (const id of ranking.slice(0, 10)) shown.add(id);
  }

  get size(): number {
    return this.queries.length;
  }

  /** Reports of all methods, in the order in which they first came; paired with each of `references`. */
  report(references: readonly string[]): MethodReport[] {
    const groups = this.queries.map(({ person }) => person);
    const mean = (values: readonly number[]) => bootstrapMean(values, { groups, seed: this.options.seed });
    return [...this.values].map(([method, values]) => {
      const compared = references.filter((other) => other !== method && this.values.has(other));
      const paired = (other: string, metric: Metric) => {
        const reference = this.values.get(other)![metric];
        return mean(values[metric].map((value, i) => value - reference[i]!));
      };
      return {
        method,
        metrics: perMetric((metric) => mean(values[metric])),
        against: Object.fromEntries(
          compared.map((other) => [
            other,
            { ndcg_10: paired(other, "ndcg_10"), recall_10: paired(other, "recall_10") },
          ]),
        ),
        coverage: this.shown.get(method)!.size / Math.max(1, this.options.campaigns),
        by_kind: this.byKind(values.ndcg_10),
      };
    });
  }

  private byKind(values: readonly number[]): MethodReport["by_kind"] {
    const kinds = Map.groupBy(this.queries.keys(), (i) => this.queries[i]!.kind);
    return [...kinds].map(([kind, indexes]) => ({
      kind,
      queries: indexes.length,
      ndcg_10: indexes.reduce((sum, i) => sum + values[i]!, 0) / indexes.length,
    })).sort((a, b) => b.queries - a.queries);
  }
}

function perMetric<T>(value: (metric: Metric) => T): Record<Metric, T> {
  return Object.fromEntries(METRICS.map((metric) => [metric, value(metric)])) as Record<Metric, T>;
}

function getOrInsert<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const existing = map.get(key);
  if (existing !== undefined) return existing;
  const value = make();
  map.set(key, value);
  return value;
}

function kindOf({ messages, events }: Query): UserKind {
  const hasMessages = messages.some(({ role }) => role === "user");
  if (hasMessages && events.length > 0) return "messages and events";
  return hasMessages ? "messages" : events.length > 0 ? "events" : "nothing";
}
