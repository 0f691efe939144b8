import { batches, paged } from "../../lib/core/batches.ts";
import { NumberList } from "../../lib/core/number_list.ts";
import type { Abortable } from "../../lib/core/types.ts";
import { isInterest } from "../../lib/recommend/candidates/co_engagement.ts";
import { type Interactions, learnItemWeights } from "../../lib/recommend/item_item.ts";
import {
  type CampaignWeights,
  encodeItemWeights,
  ITEM_WEIGHTS_FILE,
} from "../../lib/recommend/item_item_file.ts";
import type { AnalyticsStore } from "../../lib/stores/analytics/port.ts";

export interface SavedWeights {
  /** Users who engaged with anything, and campaigns that have weights. */
  readonly users: number;
  readonly campaigns: number;
  readonly rows: number;
  readonly bytes: number;
}

/** Users whose engagement is read at a time. */
const USERS = 500;
const CAMPAIGNS = 1_000;

/** Learns item–item weights from what users clicked or converted on, and saves them as a file of a version. */
export async function saveItemWeights(
  analytics: AnalyticsStore,
  { version, signal }: { version: number } & Abortable,
): Promise<SavedWeights> {
  const { interactions, weights } = await learnWithout(analytics, NO_USERS, { signal });
  const bytes = encodeItemWeights(weights);
  await analytics.saveFile({ version, name: ITEM_WEIGHTS_FILE, bytes, signal });
  return {
    users: interactions.offsets.length - 1,
    campaigns: new Set(interactions.items).size,
    rows: weights.targets.length,
    bytes: bytes.length,
  };
}

export const NO_USERS: ReadonlySet<string> = new Set();

/** The item–item weights of all users but these, and what they were learnt from. */
export async function learnWithout(
  analytics: Pick<AnalyticsStore, "campaignPage" | "users" | "optedOut" | "engagement">,
  user_ids: ReadonlySet<string>,
  { signal }: Abortable,
): Promise<{ interactions: Interactions; weights: CampaignWeights }> {
  const campaign_ids = await campaignIds(analytics, signal);
  const interactions = await readInteractions(analytics, { campaign_ids, without: user_ids, signal });
  return { interactions, weights: { campaign_ids, ...await learnItemWeights(interactions, { signal }) } };
}

async function campaignIds(
  analytics: Pick<AnalyticsStore, "campaignPage">,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  const ids: string[] = [];
  const page = (after: string | null, limit: number) => analytics.campaignPage({ after, limit, signal });
  for await (const { campaign_id } of paged(CAMPAIGNS, ({ campaign_id }) => campaign_id, page)) {
    ids.push(campaign_id);
  }
  return ids;
}

/** Of each user who engaged with anything, the indexes of the campaigns. */
async function readInteractions(
  analytics: Pick<AnalyticsStore, "users" | "optedOut" | "engagement">,
  { campaign_ids, without, signal }:
    & { campaign_ids: readonly string[]; without: ReadonlySet<string> }
    & Abortable,
): Promise<Interactions> {
  const index = new Map(campaign_ids.map((campaign_id, at) => [campaign_id, at]));
  const [offsets, items] = [new NumberList(Uint32Array), new NumberList(Uint32Array)];
  offsets.push(0);
  const page = (after: string | null, limit: number) => analytics.users({ after, limit, signal });
  for await (const user_ids of batches(paged(USERS, (user_id) => user_id, page), USERS)) {
    let user: string | null = null;
    const optedOut = new Set(await analytics.optedOut({ user_ids, signal }));
    const wanting = user_ids.filter((user_id) => !optedOut.has(user_id) && !without.has(user_id));
    for (const row of await analytics.engagement({ user_ids: wanting, signal })) {
      const item = isInterest(row) ? index.get(row.campaign_id) : undefined;
      if (item === undefined) continue;
      if (user !== null && user !== row.user_id) offsets.push(items.length);
      user = row.user_id;
      items.push(item);
    }
    if (user !== null) offsets.push(items.length);
  }
  return { offsets: offsets.array(), items: items.array(), count: campaign_ids.length };
}
