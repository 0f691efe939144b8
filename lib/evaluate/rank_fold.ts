import { yieldToEventLoop } from "../core/abort.ts";
import { systemClock } from "../core/clock.ts";
import type { Abortable } from "../core/types.ts";
import { type Source, SOURCES } from "../recommend/answer.ts";
import type { Baseline } from "./baselines.ts";
import { DEPTH } from "./metrics.ts";
import { type CandidateSet, candidatesOf, type FoldCatalogue, rankBy, without } from "./rescore.ts";
import type { FoldParley, WithParley } from "./fold_parley.ts";
import type { CampaignStats } from "../stores/analytics/port.ts";
import type { Dataset, Fold, Query } from "./splits.ts";

/** The name of Parley's own answers among the methods. */
export const PARLEY = "parley";
/** The name of the answers without one source. */
export const withoutName = (source: Source) => `${PARLEY} without ${source}`;

/** Progress of a fold: the method that learns or answers, or the task of the nightly dag. */
type FoldProgress = (step: string, done: number, total: number | null) => void;

interface RankFoldOptions extends Abortable {
  readonly baselines: Readonly<Record<string, Baseline>>;
  readonly withParley: WithParley;
  readonly onProgress: FoldProgress;
  readonly onRanking: (method: string, query: Query, ranking: readonly string[]) => void;
  /** Called with the candidates of each of Parley's answers. */
  readonly onCandidates?: (query: Query, weighable: CandidateSet) => void;
}

/** Answers a fold's queries: by each baseline, by a Parley built from the fold's rows, and by that without each source. */
export async function rankFold(fold: Fold, options: RankFoldOptions): Promise<void> {
  const { baselines, withParley, onProgress, onRanking, signal } = options;
  for (const [name, baseline] of Object.entries(baselines)) {
    onProgress(name, 0, fold.queries.length);
    const rank = await baseline(fold.train, { signal });
    for (const [i, query] of fold.queries.entries()) {
      onRanking(name, query, rank(query, DEPTH));
      onProgress(name, i + 1, fold.queries.length);
      await yieldToEventLoop({ signal });
    }
  }
  const building = {
    fold,
    signal,
    onProgress: (task: string, ...rest: [number, number | null]) => onProgress(`build: ${task}`, ...rest),
  };
  await withParley(building, (parley) => rankByParley(parley, fold, options));
}

async function rankByParley(
  { recommender, analytics }: FoldParley,
  { train, queries }: Fold,
  { onProgress, onRanking, onCandidates, signal }: RankFoldOptions,
): Promise<void> {
  let catalogue: FoldCatalogue | null = null;
  for (const [i, query] of queries.entries()) {
    signal?.throwIfAborted();
    const explained = await recommender.explain({ user_id: query.user_id, k: DEPTH });
    for (const error of explained.failures.values()) throw error;
    const { answer, provenance, published } = explained;
    onRanking(PARLEY, query, answer.items.map(({ campaign_id }) => campaign_id));
    const { version } = published!;
    catalogue ??= catalogueOf(
      train,
      await analytics.popular({ version, limit: Math.max(1, train.campaigns.length), signal }),
    );
    const weighable = candidatesOf(provenance!, catalogue, systemClock.now());
    for (const source of SOURCES) {
      onRanking(withoutName(source), query, rankBy(weighable, without(source, provenance!.weights), DEPTH));
    }
    onCandidates?.(query, weighable);
    onProgress(PARLEY, i + 1, queries.length);
  }
}

function catalogueOf({ campaigns }: Dataset, popular: readonly CampaignStats[]): FoldCatalogue {
  return {
    popular,
    campaigns: new Map(campaigns.map((campaign) => [campaign.campaign_id, campaign])),
    stats: new Map(popular.map((stats) => [stats.campaign_id, stats])),
  };
}
