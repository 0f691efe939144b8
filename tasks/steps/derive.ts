import { latestTime } from "../../lib/core/clock.ts";
import type { Abortable } from "../../lib/core/types.ts";
import { campaignsSincePublished, saveCatalogueEpoch } from "../../lib/recommend/catalogue_epoch.ts";
import { batches } from "../../lib/core/batches.ts";
import { deriveCampaigns } from "../../lib/derive/derive_campaigns.ts";
import { INDEXED, type VectorStore } from "../../lib/stores/vectors/port.ts";
import { FIELDS } from "../datasets.ts";
import type { Services } from "../services.ts";
import type { StepContext } from "../step.ts";
import { carryCampaignSources } from "./campaign_sources.ts";
import { currentDerivation, type Derivation, readDerivation, saveDerivation } from "./derivation.ts";
import { type SavedWeights, saveItemWeights } from "./item_weights.ts";
import { carryRanker } from "./ranker.ts";
import { saveUncertain } from "./uncertain.ts";
import { refuseOtherModel, vectorSet } from "./vector_store.ts";
import { type SavedWording, saveWording } from "./wording.ts";

export type DeriveOutput = {
  /** The data version that was built and is not yet published. */
  readonly version: number;
};

interface DeriveOptions {
  /** Whether the run reads sources, so that it checks rows by the settings that there are now. */
  readonly readsSources: boolean;
  /** The name of the model that it embeds with. Default: the configured one. */
  readonly name?: string;
}

/** Derives, under a new data version, what answers are made from for the whole. */
export async function derive(
  context: StepContext,
  store: VectorStore,
  { readsSources, name }: DeriveOptions,
): Promise<DeriveOutput> {
  const { services, log, signal } = context;
  const now = currentDerivation(services.settings, name);
  const derivation = readsSources
    ? now
    : { ...now, earliest: await publishedEarliest(services, now, signal) };
  await deriveChangedCampaigns(context, store, name);
  const built = await buildVersion(services, store, { derivation, log, signal });
  report(context, store, built);
  return { version: built.version };
}

/** Campaigns whose vectors and targets are derived at a time. */
const CAMPAIGNS = 500;

/** Vectors and targets of campaigns that were written online, by a process that ended before it derived them or has no model. */
async function deriveChangedCampaigns(
  { services, signal }: StepContext,
  store: VectorStore,
  name: string | undefined,
): Promise<void> {
  const { analytics, graph } = services;
  const changed = await campaignsSincePublished(analytics, { signal });
  if (changed.length === 0) return;
  const embedder = await services.embedder(name);
  refuseOtherModel(embedder.model, store.model);
  for await (const campaign_ids of batches(changed, CAMPAIGNS)) {
    await deriveCampaigns({ embedder, store, analytics, graph, signal }, campaign_ids);
  }
}

/** By which the rows were checked that are stored. */
async function publishedEarliest(
  services: Services,
  { earliest }: Derivation,
  signal: AbortSignal,
): Promise<number> {
  const published = await services.analytics.published({ signal });
  const before = published && await readDerivation(services, published, { signal });
  return before?.earliest ?? earliest;
}

/** What was built under a version: how many campaigns have stats, how many vectors can be searched, and what was learnt. */
interface BuiltVersion {
  readonly version: number;
  readonly campaigns: number;
  readonly indexed: number;
  readonly weights: SavedWeights;
  readonly wording: SavedWording;
}

interface BuildOptions extends Abortable {
  /** What the users were derived by; null if that is not known, so that the next run derives all of them again. */
  readonly derivation: Derivation | null;
  readonly log?: (line: string) => void;
}

/** Builds popularity, item–item weights, postings and indexes under the version after the published one, next to what serves. */
export async function buildVersion(
  services: Services,
  store: VectorStore,
  { derivation, log, signal }: BuildOptions,
): Promise<BuiltVersion> {
  const { analytics, clock, settings: { half_life_days } } = services;
  const published = await analytics.published({ signal });
  const version = (published?.version ?? 0) + 1;
  const latest = latestTime(clock.now());
  await saveCatalogueEpoch(analytics, { version, signal });
  const { campaigns } = await analytics.buildStats({ version, half_life_days, latest, signal });
  await saveUncertain(analytics, { version, signal });
  const weights = await saveItemWeights(analytics, { version, signal });
  const wording = await saveWording(analytics, { version, signal });
  const built = await store.build({ version, signal, ...log && { log } });
  await carryCampaignSources(analytics, { version, signal });
  await carryRanker(analytics, { version, signal });
  if (derivation !== null) await saveDerivation(services, { version, derivation, signal });
  const indexed = INDEXED.reduce((sum, name) => sum + built[name], 0);
  return { version, campaigns, indexed, weights, wording };
}

function report(context: StepContext, store: VectorStore, built: BuiltVersion): void {
  const { services } = context;
  const { campaigns, indexed, weights, wording } = built;
  const version = String(built.version);
  context.log(`data version ${version} built, with ${indexed} vectors indexed`);
  context.log(
    `${weights.rows} item–item weights of ${weights.campaigns} campaigns learnt from ${weights.users} users`,
  );
  context.log(`${wording.rows} words of ${wording.conversations} conversations make the postings`);
  context.rows({ in: weights.users, out: campaigns });
  context.reads(services.dataset("analytics", "events"));
  for (const table of INDEXED) context.reads(vectorSet(context, store, table));
  context.writes({ ...vectorSet(context, store, "indexes"), rows: indexed, version });
  const stats = services.dataset("analytics", "campaign_stats");
  context.writes({ ...stats, rows: campaigns, version, fields: FIELDS.stats });
  const { rows, bytes, users } = weights;
  const learnt = services.dataset("analytics", "item_weights");
  context.writes({ ...learnt, rows, bytes, version, fields: FIELDS.item_weights, quality: { users } });
  context.reads(services.dataset("analytics", "words"));
  context.writes({
    ...services.dataset("analytics", "postings"),
    rows: wording.rows,
    bytes: wording.bytes,
    version,
    fields: FIELDS.postings,
    quality: { conversations: wording.conversations },
  });
}
