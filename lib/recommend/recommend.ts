import type { Clock } from "../core/clock.ts";
import { iso } from "../core/clock.ts";
import type { Abortable, Campaign, Published } from "../core/types.ts";
import type { AnalyticsStore, CampaignStats } from "../stores/analytics/port.ts";
import type { GraphStore } from "../stores/graph/port.ts";
import type { VectorStores } from "../stores/vectors/port.ts";
import type { Answer, Question, Sources } from "./answer.ts";
import {
  type Connections,
  findConnections,
  findNeighbours,
  loadShowable,
  type Neighbours,
  NO_CONNECTIONS,
  NO_NEIGHBOURS,
  type Row,
} from "./candidates.ts";
import { diversify } from "./diversify.ts";
import { collect, type Evidence, evidenceFor } from "./evidence.ts";
import { explain } from "./explain.ts";
import type { PopularReader } from "./popular.ts";
import { type Measure, measure, rank, shortlist } from "./rank.ts";
import type { Trace } from "./trace.ts";

/** The stores that an answer is made from. */
export interface AnswerStores {
  readonly vectors: Pick<VectorStores, "of">;
  readonly graph: Pick<GraphStore, "engagedBy" | "intentsOf" | "targeting">;
  readonly analytics: Pick<AnalyticsStore, "campaigns" | "settledCampaigns" | "stats">;
}

export interface RecommendOptions extends Question {
  readonly stores: AnswerStores;
  readonly popular: PopularReader;
  readonly clock: Clock;
  /** The published data version, and the model that its vectors are of. */
  readonly published: Pick<Published, "version" | "model">;
  readonly trace: Trace;
}

/** What an answer was made from. */
export interface Basis extends Neighbours, Connections {
  /** Campaigns that the user dismissed or converted on, which are left out. */
  readonly settled: readonly string[];
  /** How many campaigns something spoke for, the popular ones among them. */
  readonly considered: number;
  /** How much each source counted, adding up to 1. */
  readonly weights: Sources;
}

/** An answer, with when the first of its campaigns ends (ISO 8601), after which it no longer holds. */
export interface Made {
  readonly answer: Answer;
  readonly holds_until: string | null;
  /** Null where nothing was asked. */
  readonly basis: Basis | null;
}

/** Campaigns read at a time, as a multiple of `k` and at least. */
const PAGE = Object.freeze({ times: 4, least: 40 });
/** How many showable campaigns there must be to choose from, as a multiple of `k`. */
const CHOICE = 2;
/** How much further each time to reach into the popular list while too few of it may be shown. */
const GROWTH = 8;

/**
 * Similar users (vectors) → what they did and what the user wants (graph) → what may be shown (analytics) → rank, diversify,
 * explain. A store that fails or exceeds its time is left out and named in `degraded`; without analytics nothing can
 * be shown. Never throws for a store's sake.
 */
export async function recommend(o: RecommendOptions): Promise<Made> {
  const { trace } = o;
  const { found, ...spoken } = await gather(o);
  const measured = measure(found.values());
  const { rows, settled } = await trace.timed(
    "analytics",
    () => trace.guarded("analytics", NO_ROWS, (signal) => readRows({ ...o, signal }, found, measured)),
  );
  return await trace.timed("rank", () => {
    const chosen = diversify(rank(rows, { measure: measured, found }), o.k);
    const items = chosen.map((one) => explain(one, measured.weights));
    const ends = chosen.flatMap((one) => one.campaign.ends_at ?? []).sort();
    const strategy = measured.weights.popularity === 1 ? "popular" : "personal";
    const basis = { ...spoken, settled, considered: found.size, weights: measured.weights };
    return { answer: { ...heading(o), strategy, items }, holds_until: ends[0] ?? null, basis };
  });
}

/** What is the same in every answer to this request. */
function heading(o: RecommendOptions): Pick<Answer, "user_id" | "version" | "generated_at" | "degraded"> {
  const { user_id, published: { version }, clock, trace } = o;
  return { user_id, version, generated_at: iso(clock.now()), degraded: trace.missing() };
}

/** The evidence of vectors and graph, as far as they answer. */
async function gather(
  o: RecommendOptions,
): Promise<Neighbours & Connections & { found: Map<string, Evidence> }> {
  const { trace, user_id, intent, published } = o;
  const { vectors, graph } = o.stores;
  const neighbours = await trace.timed(
    "vectors",
    () =>
      trace.guarded(
        "vectors",
        NO_NEIGHBOURS,
        (signal) => findNeighbours({ vectors, user_id, published, signal }),
      ),
  );
  const { users } = neighbours;
  const connections = await trace.timed(
    "graph",
    () =>
      trace.guarded(
        "graph",
        NO_CONNECTIONS,
        (signal) => findConnections({ graph, user_id, users, intent, signal }),
      ),
  );
  const spoken = { ...neighbours, ...connections };
  const found = await trace.timed("rank", () => {
    const found = collect({ ...spoken, now: o.clock.now() });
    for (const campaign_id of connections.asked) evidenceFor(found, campaign_id);
    return found;
  });
  return { ...spoken, found };
}

/** What may be shown, and what may not because the user is done with it. */
interface Choice {
  readonly rows: readonly Row[];
  readonly settled: readonly string[];
}
const NO_ROWS: Choice = Object.freeze({ rows: [], settled: [] });

/**
 * The best candidates that may be shown: those found, and the popular ones, which enter `found` with blank evidence. Where
 * too few of the popular may be shown, it reaches further down their list.
 */
async function readRows(
  o: RecommendOptions & Abortable,
  found: Map<string, Evidence>,
  measured: Measure,
): Promise<Choice> {
  const { user_id, signal, stores: { analytics }, published: { version } } = o;
  const settled = new Set(await analytics.settledCampaigns({ user_id, signal }));
  for (let limit = PAGE.times * o.k + settled.size;; limit *= GROWTH) {
    const popular = await o.popular.top({ version, limit, signal });
    const rows = await readBest(o, candidateIds({ found, popular, settled, measured }));
    // What targets an intent was found by that: the popular list, down to its end, would add little.
    if (rows.length >= o.k || popular.length < limit || o.intent !== undefined) {
      return { rows, settled: [...settled] };
    }
  }
}

function candidateIds(
  o: {
    found: Map<string, Evidence>;
    popular: readonly CampaignStats[];
    settled: ReadonlySet<string>;
    measured: Measure;
  },
): string[] {
  for (const { campaign_id } of o.popular) evidenceFor(o.found, campaign_id);
  const popularity = new Map(o.popular.map((one) => [one.campaign_id, one.popularity]));
  return shortlist(o.found.values(), { measure: o.measured, popularity }).filter((id) => !o.settled.has(id));
}

async function readBest(o: RecommendOptions & Abortable, ids: readonly string[]): Promise<Row[]> {
  const { signal, stores: { analytics }, published: { version } } = o;
  const now = iso(o.clock.now());
  const page = Math.max(PAGE.least, PAGE.times * o.k);
  const rows: Row[] = [];
  for (let at = 0; at < ids.length && rows.length < CHOICE * o.k; at += page) {
    const campaign_ids = ids.slice(at, at + page);
    const showable = await loadShowable({ analytics, version, campaign_ids, now, signal });
    rows.push(...showable.filter(({ campaign }) => isAsked(campaign, o)));
  }
  return rows;
}

/** Whether the question is not about one intent, or the campaign targets it. */
export function isAsked(campaign: Campaign, { intent }: { intent?: string | undefined }): boolean {
  return intent === undefined || campaign.intents.includes(intent);
}
