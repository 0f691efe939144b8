import { batches, paged } from "../../lib/core/batches.ts";
import { NumberList } from "../../lib/core/number_list.ts";
import type { Abortable } from "../../lib/core/types.ts";
import { isInterest } from "../../lib/recommend/candidates/co_engagement.ts";
import { type Interactions, learnItemWeights } from "../../lib/recommend/item_item.ts";
import { encodeItemWeights, ITEM_WEIGHTS_FILE } from "../../lib/recommend/item_item_file.ts";
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
  const campaign_ids = await campaignIds(analytics, signal);
  const interactions = await readInteractions(analytics, campaign_ids, signal);
  const weights = await learnItemWeights(interactions, { signal });
  const bytes = encodeItemWeights({ campaign_ids, ...weights });
  await analytics.saveFile({ version, name: ITEM_WEIGHTS_FILE, bytes, signal });
  return {
    users: interactions.offsets.length - 1,
    campaigns: new Set(interactions.items).size,
    rows: weights.targets.length,
    bytes: bytes.length,
  };
}

async function campaignIds(analytics: AnalyticsStore, signal: AbortSignal | undefined): Promise<string[]> {
  const ids: string[] = [];
  const page = (after: string | null, limit: number) => analytics.campaignPage({ after, limit, signal });
  for await (const { campaign_id } of paged(CAMPAIGNS, ({ campaign_id }) => campaign_id, page)) {
    ids.push(campaign_id);
  }
  return ids;
}

/** Of each user who engaged with anything, the indexes of the campaigns. */
async function readInteractions(
  analytics: AnalyticsStore,
  campaign_ids: readonly string[],
  signal: AbortSignal | undefined,
): Promise<Interactions> {
  const index = new Map(campaign_ids.map((campaign_id, at) => [campaign_id, at]));
  const [offsets, items] = [new NumberList(Uint32Array), new NumberList(Uint32Array)];
  offsets.push(0);
  const page = (after: string | null, limit: number) => analytics.users({ after, limit, signal });
  for await (const user_ids of batches(paged(USERS, (user_id) => user_id, page), USERS)) {
    let user: string | null = null;
    const optedOut = new Set(await analytics.optedOut({ user_ids, signal }));
    const wanting = user_ids.filter((user_id) => !optedOut.has(user_id));
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
