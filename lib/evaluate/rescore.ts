import type { Campaign } from "../core/types.ts";
import { type Source, SOURCES, type Sources } from "../recommend/answer.ts";
import { diversify } from "../recommend/diversify.ts";
import { Candidates, type Features } from "../recommend/features.ts";
import type { Provenance } from "../recommend/recommend.ts";
import { byScore, normalizeWeights, presentSources, rank, scoreOf, WEIGHTS } from "../recommend/score.ts";
import { newCampaign } from "../recommend/showable.ts";
import type { CampaignStats } from "../stores/analytics/port.ts";

/** The best candidates that are diversified, as an answer of {@link DEPTH} reads them. */
const MAX_ROWS = 100;
/** Values are rounded to four decimals, so that 16 bits hold one as it is. */
const SCALE = 10_000;

export interface FoldCatalogue {
  readonly campaigns: Pick<ReadonlyMap<string, Campaign>, "get">;
  /** All campaigns with stats, the most popular first. */
  readonly popular: readonly CampaignStats[];
  readonly stats: Pick<ReadonlyMap<string, CampaignStats>, "get">;
}

/** A campaign with its value of each source, and its negative evidence. */
interface Candidate {
  readonly campaign: Campaign;
  readonly sources: Sources;
  readonly features: Pick<Features, "fatigue">;
}

/** The candidates of an answer, to be scored again with other weights. */
export interface CandidateSet {
  /** The sources that contribute for this user. */
  readonly present: ReadonlySet<Source>;
  readonly candidates: Iterable<Candidate>;
}

/** The candidates of an answer, computed by the recommender's own functions from the answer's provenance. */
export function candidatesOf(provenance: Provenance, catalogue: FoldCatalogue, now: number): CandidateSet {
  const { campaigns, popular, stats } = catalogue;
  const candidates = new Candidates(provenance, now);
  const present = presentSources(candidates.all());
  const suppressed = new Set(provenance.suppressed.map(({ campaign_id }) => campaign_id));
  candidates.add(popular.slice(0, MAX_ROWS + suppressed.size).map(({ campaign_id }) => campaign_id));
  const rows = Array.from(candidates.all(), ({ campaign_id: id }) => id).flatMap((id) => {
    const campaign = suppressed.has(id) ? undefined : campaigns.get(id);
    return campaign === undefined ? [] : [{ campaign, stats: stats.get(id) ?? newCampaign(id) }];
  });
  const featuresOf = (id: string) => candidates.get(id)!;
  return { present, candidates: rank(rows, { weights: normalizeWeights(WEIGHTS, present), featuresOf }) };
}

/** The `k` best by these weights, as an answer shows them. */
export function rankBy(weighable: CandidateSet, weights: Sources, k: number): string[] {
  return diversify(bestCandidates(weighable, weights), k).map(({ campaign }) => campaign.campaign_id);
}

function bestCandidates({ present, candidates }: CandidateSet, weights: Sources) {
  const normalized = normalizeWeights(weights, present);
  const scored = Array.from(candidates, (candidate) => {
    return { ...candidate, score: scoreOf(candidate.sources, normalized, candidate.features) };
  });
  return scored.sort(byScore).slice(0, MAX_ROWS);
}

export function without(source: Source, weights: Sources): Sources {
  return { ...weights, [source]: 0 };
}

/** The candidates that are among the best by the default weights, or without any one source: a few hundred in 4 KB. */
export function pack(weighable: CandidateSet): CandidateSet {
  const candidates = new Map<string, Candidate>();
  for (const weights of [WEIGHTS, ...SOURCES.map((source) => without(source, WEIGHTS))]) {
    for (const candidate of bestCandidates(weighable, weights)) {
      candidates.set(candidate.campaign.campaign_id, candidate);
    }
  }
  return packAll({ present: weighable.present, candidates: candidates.values() });
}

/** All candidates, 16 bytes each. */
export function packAll({ present, candidates }: CandidateSet): CandidateSet {
  return { present, candidates: new PackedCandidates([...candidates]) };
}

class PackedCandidates implements Iterable<Candidate> {
  private readonly campaigns: readonly Campaign[];
  private readonly values: Uint16Array;

  constructor(candidates: readonly Candidate[]) {
    this.campaigns = candidates.map(({ campaign }) => campaign);
    this.values = Uint16Array.from(
      candidates.flatMap(({ sources, features }) =>
        [...SOURCES.map((source) => sources[source]), features.fatigue].map((value) =>
          Math.round(value * SCALE)
        )
      ),
    );
  }

  *[Symbol.iterator](): Generator<Candidate> {
    for (const [i, campaign] of this.campaigns.entries()) {
      const at = i * (SOURCES.length + 1);
      const value = (n: number) => this.values[at + n]! / SCALE;
      const sources = Object.fromEntries(SOURCES.map((source, n) => [source, value(n)]));
      const features = { fatigue: value(SOURCES.length) };
      yield { campaign, sources: sources as unknown as Sources, features };
    }
  }
}
