import { yieldToEventLoop } from "../core/abort.ts";
import { round } from "../core/round.ts";
import type { Abortable } from "../core/types.ts";
import { type Source, SOURCES, type Sources } from "../recommend/answer.ts";
import { WEIGHTS } from "../recommend/score.ts";
import { fitWeights, listOf } from "./fit_weights.ts";
import { scoreRanking } from "./metrics.ts";
import { seededRandom, shuffle } from "../core/random.ts";
import { type CandidateSet, rankBy } from "./rescore.ts";
import type { Query } from "./splits.ts";

/** A query with the candidates of its answer. */
export interface EvaluatedQuery {
  readonly query: Query;
  readonly weighable: CandidateSet;
}

/** Values that the coordinate search tries for each weight: these multiples of it, 0, and the default. */
const MULTIPLES = [0.25, 0.5, 2, 4];
/** The most passes over all sources. */
const MAX_ROUNDS = 2;

/** The weights for the queries of one group of users, chosen on the queries of all other users. */
export interface GroupWeights {
  readonly queries: number;
  readonly weights: Sources;
}

interface ChosenWeights {
  readonly groups: readonly GroupWeights[];
  /** By case, the weights of its group. */
  readonly weightsOf: readonly Sources[];
}

interface ChooseOptions extends Abortable {
  /** Of users. */
  readonly groups: number;
  readonly seed: number;
  readonly onProgress?: (done: number) => void;
}

/**
 * Nested cross-validation of the weights: users are divided into `groups`, and for the queries of each the weights are those by which
 * NDCG@10 is best on the queries of the others, by coordinate search from {@link WEIGHTS}.
 */
export async function chooseWeights(
  cases: readonly EvaluatedQuery[],
  options: ChooseOptions,
): Promise<ChosenWeights> {
  const scores = new Map<string, Promise<Float32Array>>();
  const scoresBy = (weights: Sources) => {
    const key = JSON.stringify(weights);
    const cached = scores.get(key) ?? ndcgOf(cases, weights, options);
    scores.set(key, cached);
    return cached;
  };
  return await forEachGroup(cases, options, (others) =>
    search(async (weights) => {
      const ndcg = await scoresBy(weights);
      return others.reduce((sum, i) => sum + ndcg[i]!, 0);
    }));
}

/** The same with weights that the nightly run would learn from the queries of the others: see {@link fitWeights}. */
export async function learnWeights(
  cases: readonly EvaluatedQuery[],
  options: ChooseOptions,
): Promise<ChosenWeights> {
  const lists = cases.map(({ query, weighable }) =>
    listOf(weighable, (campaign_id) => query.relevant.has(campaign_id) ? 1 / query.relevant.size : 0)
  );
  return await forEachGroup(cases, options, (others) => fitWeights(others.map((i) => lists[i]!), options));
}

async function forEachGroup(
  cases: readonly EvaluatedQuery[],
  { groups, seed, onProgress = () => {} }: ChooseOptions,
  choose: (others: readonly number[]) => Promise<Sources>,
): Promise<ChosenWeights> {
  const people = shuffle([...new Set(cases.map(({ query }) => query.person))].sort(), seededRandom(seed));
  const count = Math.min(groups, people.length);
  const groupOf = new Map(people.map((person, i) => [person, i % count]));
  const chosen: GroupWeights[] = [];
  for (let group = 0; group < count; group++) {
    const others = [...cases.keys()].filter((i) => groupOf.get(cases[i]!.query.person) !== group);
    chosen.push({ queries: cases.length - others.length, weights: normalize(await choose(others)) });
    onProgress(group + 1);
  }
  return { groups: chosen, weightsOf: cases.map(({ query }) => chosen[groupOf.get(query.person)!]!.weights) };
}

async function ndcgOf(
  cases: readonly EvaluatedQuery[],
  weights: Sources,
  options: Abortable,
): Promise<Float32Array> {
  const values = new Float32Array(cases.length);
  for (const [i, { weighable, query }] of cases.entries()) {
    values[i] = scoreRanking(rankBy(weighable, weights, 10), query.relevant).ndcg_10;
    if (i % 100 === 99) await yieldToEventLoop(options);
  }
  return values;
}

async function search(value: (weights: Sources) => Promise<number>): Promise<Sources> {
  let weights: Sources = WEIGHTS;
  let best = await value(weights);
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const before = best;
    for (const source of SOURCES) {
      for (const candidates of candidateWeights(source, weights[source])) {
        const other = { ...weights, [source]: candidates };
        const result = await value(other);
        if (result > best) [best, weights] = [result, other];
      }
    }
    if (best === before) break;
  }
  return weights;
}

/** Popularity always has a weight: for unknown users it is the only source. */
function candidateWeights(source: Source, weight: number): number[] {
  const candidates = new Set([...MULTIPLES.map((multiple) => multiple * weight), WEIGHTS[source]]);
  if (source !== "popularity") candidates.add(0);
  return [...candidates].filter((value) => value !== weight);
}

/** Scales weights so that they add up to 1, with four decimals. */
function normalize(weights: Sources): Sources {
  const total = SOURCES.reduce((sum, source) => sum + weights[source], 0);
  const share = (source: Source) => round(weights[source] / total);
  return Object.fromEntries(SOURCES.map((source) => [source, share(source)])) as unknown as Sources;
}
