import { paged } from "../../../lib/core/batches.ts";
import { iso } from "../../../lib/core/clock.ts";
import { type Abortable, type Campaign, modelKey } from "../../../lib/core/types.ts";
import { SOURCES, type Sources } from "../../../lib/recommend/answer.ts";
import {
  chooseRanker,
  type ChosenRanker,
  type LearningQuery,
  MIN_HELD_OUT,
  tooFew,
} from "../../../lib/learn/choose_ranker.ts";
import type { Anomaly } from "../../../lib/monitoring/anomaly.ts";
import { CampaignNames } from "../../../lib/recommend/mentions.ts";
import {
  type Comparison,
  encodeRanker,
  type HeldBack,
  type Ranker,
  RANKER_FILE,
} from "../../../lib/recommend/ranker_file.ts";
import { WEIGHTS } from "../../../lib/recommend/score.ts";
import type { AnalyticsStore } from "../../../lib/stores/analytics/port.ts";
import type { VectorStore } from "../../../lib/stores/vectors/port.ts";
import { FIELDS } from "../../datasets.ts";
import type { StepContext } from "../../step.ts";
import { publishedRanker } from "../ranker.ts";
import { refuseOtherModel } from "../vector_store.ts";
import { readMoments, readQueries, type SampledPart } from "./read_queries.ts";
import { sampleUsers } from "./sample_users.ts";

export interface LearnOutput extends Omit<ChosenRanker, "outcome" | "propensities"> {
  /** `off` if PARLEY_WEIGHTS says so; `kept` if there is hardly more to learn from than the last time. */
  readonly outcome: ChosenRanker["outcome"] | "off" | "kept";
  /** By place, how often it is looked at compared with the first. */
  readonly propensities: readonly number[];
  /** For the check of the version. */
  readonly findings: readonly Anomaly[];
}

/** After so many moments no more users are read: each part of them takes a build. */
const MAX_QUERIES = 1_500;
/** Texts that one run embeds to learn: half a minute of a core with the bundled model. */
const MAX_TEXTS = 2_000;
/** Weights are compared again once the number of events has changed by this share: a comparison costs the same whatever is new. */
const CHANGED_SHARE = 0.05;
/** Campaigns read at a time. */
const PAGE = 1_000;

/**
 * Learns the weights of sources for a version that is not published yet from what users chose, and saves those that count as its file:
 * the learnt ones, or if these are not proved to be as good on other users, those of the published version. With about as many events as
 * when these were compared, nothing is. Repeating it gives the same.
 */
export async function learn(context: StepContext, store: VectorStore, version: number): Promise<LearnOutput> {
  const { services, signal } = context;
  const { analytics } = services;
  if (services.settings.weights === "fixed") {
    context.log("PARLEY_WEIGHTS is fixed: the fixed weights count");
    await saveRanker(context, version, { weights: WEIGHTS, learnt_for: null, comparison: null });
    return { ...NOTHING_LEARNT, outcome: "off" };
  }
  const published = await publishedRanker(analytics, { signal });
  const model = modelKey(store.model);
  const { events } = await analytics.counts({ signal });
  if (published !== null && isRecent(published.comparison, { model, events })) {
    context.log(
      `${
        events.toLocaleString("en")
      } events are stored, about as many as when weights were compared: they stay`,
    );
    await saveRanker(context, version, published);
    const findings = findingsOf(context, published.comparison);
    return { ...NOTHING_LEARNT, outcome: "kept", weights: published.weights, findings };
  }
  const before = published?.weights ?? WEIGHTS;
  const { parts, counts } = await sampleMoments(context);
  const chosen = counts.held_out < MIN_HELD_OUT
    ? tooFew(counts)
    : await chooseRanker(await collectQueries(context, { store, version, parts }), { before, signal });
  const learnt_for = { adopted: version, held_back: published?.learnt_for ?? null, too_few: null };
  const comparison = chosen.difference === null ? null : {
    model,
    events,
    held_back: chosen.outcome !== "held_back" ? null : {
      difference: chosen.difference,
      queries: chosen.queries.held_out,
      since: iso(services.clock.now()),
    },
  };
  const { weights, outcome } = chosen;
  await saveRanker(context, version, { weights, learnt_for: learnt_for[outcome], comparison });
  report(context, chosen);
  return { ...chosen, findings: findingsOf(context, comparison) };
}

function isRecent(
  comparison: Comparison | null,
  { model, events }: Pick<Comparison, "model" | "events">,
): comparison is Comparison {
  return comparison !== null && comparison.model === model &&
    Math.abs(events - comparison.events) < CHANGED_SHARE * comparison.events;
}

const NOTHING_LEARNT = Object.freeze({
  weights: WEIGHTS,
  learnt: null,
  difference: null,
  queries: { training: 0, held_out: 0 },
  propensities: [],
  findings: [],
});

async function saveRanker(
  { services, signal, writes }: StepContext,
  version: number,
  ranker: Ranker,
): Promise<void> {
  await services.analytics.saveFile({ version, name: RANKER_FILE, bytes: encodeRanker(ranker), signal });
  const { weights } = ranker;
  writes({
    ...services.dataset("analytics", "ranker"),
    rows: SOURCES.length,
    version: String(version),
    fields: FIELDS.ranker,
    quality: { ...weights },
  });
}

/** As many parts of the sampled users as give enough moments, and how many these are: more than queries, if some texts are not embedded. */
async function sampleMoments({ services, signal }: StepContext) {
  const parts: SampledPart[] = [];
  const counts = { training: 0, held_out: 0 };
  for (const users of await sampleUsers(services.analytics, { signal })) {
    const limit = MAX_QUERIES - counts.training - counts.held_out;
    if (limit <= 0) break;
    const part = await readMoments(services, users, { limit, signal });
    parts.push(part);
    for (const { is_held_out } of part.moments) counts[is_held_out ? "held_out" : "training"]++;
  }
  return { parts, counts };
}

async function collectQueries(
  context: StepContext,
  { store, version, parts }: { store: VectorStore; version: number; parts: readonly SampledPart[] },
): Promise<LearningQuery[]> {
  const { services, signal } = context;
  const embedder = await services.embedder();
  refuseOtherModel(embedder.model, store.model);
  const { names, campaigns } = await readCatalogue(services.analytics, { signal });
  const budget = { texts: MAX_TEXTS };
  const total = parts.reduce((sum, { moments }) => sum + moments.length, 0);
  const queries: LearningQuery[] = [];
  for (const part of parts) {
    const options = { services, store, embedder, version, names, campaigns, budget, signal };
    queries.push(...await readQueries(options, part));
    context.progress({ done: queries.length, total });
  }
  return queries;
}

/** All campaigns by id, without what no answer is scored by, and their names. One that has ended was active once: its dates say when. */
async function readCatalogue(analytics: Pick<AnalyticsStore, "campaignPage">, { signal }: Abortable) {
  const names = new CampaignNames([]);
  const campaigns = new Map<string, Campaign>();
  const page = (after: string | null, limit: number) => analytics.campaignPage({ after, limit, signal });
  for await (const campaign of paged(PAGE, ({ campaign_id }) => campaign_id, page)) {
    names.add(campaign);
    const { campaign_id } = campaign;
    campaigns.set(campaign_id, {
      ...campaign,
      description: null,
      aliases: [],
      tags: [],
      metadata: null,
      status: "active",
    });
  }
  return { names, campaigns };
}

function report(context: StepContext, chosen: ChosenRanker): void {
  const { services } = context;
  const { outcome, queries, learnt } = chosen;
  const { training, held_out } = queries;
  context.rows({ in: training + held_out, out: outcome === "adopted" ? 1 : 0 });
  if (learnt === null) {
    context.log(
      `${queriesText(held_out)} to compare weights on, ${MIN_HELD_OUT} are needed: the fixed weights count`,
    );
  } else {
    context.log(`learnt from ${queriesText(training)}: ${weightsText(learnt)}`);
    context.log(
      `${differenceText({ difference: chosen.difference!, queries: held_out })}: ${
        outcome === "adopted" ? "they are taken" : "the ones before stay"
      }`,
    );
  }
  context.reads(services.dataset("analytics", "events"));
  context.reads(services.dataset("documents", "messages"));
}

function queriesText(count: number): string {
  return `${count.toLocaleString("en")} ${count === 1 ? "query" : "queries"}`;
}

function weightsText(weights: Sources): string {
  const total = SOURCES.reduce((sum, source) => sum + weights[source], 0);
  return SOURCES.map((source) => `${source} ${(weights[source] / total).toFixed(3)}`).join(", ");
}

function differenceText({ difference, queries }: Omit<HeldBack, "since">): string {
  const signed = (value: number) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(4)}`;
  const { mean, low, high } = difference;
  return `on ${queriesText(queries)} of other users NDCG@10 changes by ${signed(mean)} (${signed(low)} to ${
    signed(high)
  })`;
}

/** Empty if the learnt weights were taken. A warning if they are worse; a difference that may be chance needs no action. */
function findingsOf({ run }: StepContext, comparison: Comparison | null): Anomaly[] {
  if (comparison === null || comparison.held_back === null) return [];
  const { difference, since } = comparison.held_back;
  return [{
    code: "weights_held_back",
    severity: difference.high < 0 ? "warning" : "info",
    // It is so until a run has compared again.
    subject: { kind: "store", store: "analytics" },
    figure: difference.low,
    expected: 0,
    unit: "share",
    since,
    run_id: run.run_id,
    text: `the weights learnt last are held back: ${
      differenceText(comparison.held_back)
    }; the version keeps the weights from before`,
  }];
}
