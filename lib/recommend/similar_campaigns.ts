import { iso } from "../core/clock.ts";
import type { Clock } from "../core/clock.ts";
import { type Abortable, parseModelKey, type Published } from "../core/types.ts";
import type { AnalyticsStore, Engagement } from "../stores/analytics/port.ts";
import type { VectorStores } from "../stores/vectors/port.ts";
import type { CatalogueReader, NewCampaigns } from "./catalogue_reader.ts";
import { readVersion } from "./read_version.ts";
import { NO_CO_ENGAGEMENT } from "./candidates/co_engagement.ts";
import { findCampaigns } from "./candidates/similarity.ts";
import { Candidates, NO_SOURCE_RESULTS } from "./features.ts";
import type { RequestTrace } from "./request_trace.ts";
import { rank, type Ranked, shortlist, weightsFor } from "./score.ts";
import { loadShowable } from "./showable.ts";
import type { VersionData } from "./version_data.ts";

/** Campaigns that are read at a time. */
const PAGE = 100;

interface SimilarOptions {
  readonly campaign_id: string;
  /** At most so many. */
  readonly k: number;
  readonly stores: {
    readonly vectors: Pick<VectorStores, "forModel">;
    readonly analytics: Pick<AnalyticsStore, "campaigns" | "stats">;
  };
  readonly version_data: VersionData;
  readonly catalogue: CatalogueReader;
  readonly clock: Clock;
  readonly published: Pick<Published, "version" | "model">;
  readonly trace: RequestTrace;
}

/**
 * The campaigns that may be shown now and are most like one of the catalogue, best first: in meaning, by its vector, and by
 * co-engagement, as if a user had converted on it. One of which neither source knows anything is not among them, so there may be fewer
 * than `k`. Without vectors it is co-engagement alone; `trace` has the failure, as it has that of analytics. Never throws because a store is down.
 */
export async function similarCampaigns(options: SimilarOptions): Promise<Ranked[]> {
  const { campaign_id, k, clock, trace, published: { version }, stores: { analytics } } = options;
  const { learnt, newCampaigns } = await readVersion(options);
  const hits = await trace.callStore(
    "vectors",
    [],
    (signal) => nearest({ ...options, newCampaigns, signal }),
  );
  const related = learnt.items?.relatedTo([conversionOn(campaign_id)]) ?? NO_CO_ENGAGEMENT;
  const candidates = new Candidates({ ...NO_SOURCE_RESULTS, campaigns: hits, related }, clock.now());
  const alike = [...candidates.all()].filter(({ co_engagement, similarity, ...each }) =>
    each.campaign_id !== campaign_id && (co_engagement > 0 || (similarity?.value ?? 0) > 0)
  );
  const weights = weightsFor(alike, learnt.weights);
  const ids = shortlist(alike, { weights, popularity: new Map(), default_popularity: 0 });
  const now = iso(clock.now());
  const rows = [];
  for (let at = 0; at < ids.length && rows.length < k; at += PAGE) {
    const campaign_ids = ids.slice(at, at + PAGE);
    const load = (signal: AbortSignal) => loadShowable({ analytics, version, campaign_ids, now, signal });
    rows.push(...await trace.callStore("analytics", [], load));
  }
  return rank(rows, { weights, featuresOf: (id) => candidates.get(id)! }).slice(0, k);
}

/** None if the campaign has no vector. */
async function nearest(
  { campaign_id, stores, newCampaigns, published: { model, version }, signal }:
    & SimilarOptions
    & { newCampaigns: NewCampaigns }
    & Abortable,
) {
  const store = await stores.vectors.forModel({ model: parseModelKey(model), signal });
  const own = (await store.get({ collection: "campaigns", ids: [campaign_id], signal })).get(campaign_id);
  if (own === undefined) return [];
  const hits = await findCampaigns({ store, version, vector: own, newCampaigns, signal });
  return hits.filter(({ id }) => id !== campaign_id);
}

/** Engagement of no user in particular. */
function conversionOn(campaign_id: string): Engagement {
  return { user_id: "", campaign_id, impressions: 0, clicks: 0, conversions: 1, dismissals: 0, last: "" };
}
