import { canonicalJson } from "../core/json.ts";
import type { Abortable, Campaign, Json } from "../core/types.ts";
import type { AnalyticsStore } from "../stores/analytics/port.ts";
import type { GraphStore } from "../stores/graph/port.ts";
import { campaignItem } from "./embed_items.ts";
import { embedMissing, type VectorWriter } from "./embed_texts.ts";

interface DeriveCampaignsOptions extends VectorWriter, Abortable {
  readonly analytics: Pick<AnalyticsStore, "campaigns">;
  readonly graph: Pick<GraphStore, "setTargets" | "deleteCampaigns">;
}

/** How often campaigns are derived again because they were written meanwhile. */
const MAX_ATTEMPTS = 5;

/**
 * Makes the vectors and the targets of these campaigns what they say, and removes those of deleted ones. Repeating it changes
 * nothing. A campaign that is written or deleted meanwhile is derived again, so that what was read before never stays.
 */
export async function deriveCampaigns(
  { analytics, graph, signal, ...writer }: DeriveCampaignsOptions,
  campaign_ids: readonly string[],
): Promise<void> {
  const read = async (ids: readonly string[]) => {
    const rows = await analytics.campaigns({ campaign_ids: ids, signal });
    return new Map(rows.map((row) => [row.campaign_id, row]));
  };
  let left = campaign_ids;
  let before = await read(left);
  for (let attempt = 0; left.length > 0 && attempt < MAX_ATTEMPTS; attempt++) {
    const campaigns = [...before.values()];
    const deleted = left.filter((id) => !before.has(id));
    await embedMissing(writer, campaigns.map(campaignItem), signal);
    await graph.setTargets({ campaigns, signal });
    if (deleted.length > 0) {
      await writer.store.deleteCampaigns({ campaign_ids: deleted, signal });
      await graph.deleteCampaigns({ campaign_ids: deleted, signal });
    }
    const after = await read(left);
    left = left.filter((id) => textOf(before.get(id)) !== textOf(after.get(id)));
    before = new Map([...after].filter(([id]) => left.includes(id)));
  }
}

function textOf(campaign: Campaign | undefined): string {
  return canonicalJson((campaign ?? null) as Json);
}
