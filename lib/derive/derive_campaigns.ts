import type { Abortable, Campaign } from "../core/types.ts";
import type { GraphStore } from "../stores/graph/port.ts";
import { campaignItem } from "./embed_items.ts";
import { embedMissing, type TextCounts, type VectorWriter } from "./embed_texts.ts";

/** Makes the vectors and the targets of these campaigns what they say. Repeating it changes nothing. */
export async function deriveCampaigns(
  { graph, signal, ...writer }: VectorWriter & { graph: Pick<GraphStore, "setTargets"> } & Abortable,
  campaigns: readonly Campaign[],
): Promise<TextCounts> {
  const { counts } = await embedMissing(writer, campaigns.map(campaignItem), signal);
  await graph.setTargets({ campaigns, signal });
  return counts;
}
