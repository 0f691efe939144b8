import { paged } from "../core/batches.ts";
import { countWords } from "../core/text.ts";
import type { Abortable } from "../core/types.ts";
import type { Conversation, ProfileText, UserRows } from "./conversations.ts";
import { CampaignNames } from "./mentions.ts";
import { type NegationMeans, negationsOf } from "./negations.ts";
import type { CampaignStore, ConversationWords, ProfileWords } from "../stores/analytics/port.ts";

/** Campaigns read at a time. */
const PAGE = 1_000;

export async function readCampaignNames(
  analytics: Pick<CampaignStore, "campaignPage">,
  { signal }: Abortable = {},
): Promise<CampaignNames> {
  const names = new CampaignNames([]);
  const page = (after: string | null, limit: number) => analytics.campaignPage({ after, limit, signal });
  for await (const campaign of paged(PAGE, ({ campaign_id }) => campaign_id, page)) names.add(campaign);
  return names;
}

/** A profile's text as words, with the campaigns that it names, and what the user negated in the messages that it is made of. */
export function profileWords(
  { profile: { text }, ...rows }: Omit<UserRows, "events"> & { profile: ProfileText },
  means: NegationMeans,
): ProfileWords {
  return {
    user_id: rows.user_id,
    words: countWords(text),
    named: [...means.names.find(text)],
    negations: negationsOf(rows, means),
  };
}

/** A conversation as words. What was named counts only in conversations in which something was shown later. */
export function conversationWords(
  { id, user_id, dialogue, opening, engagement }: Conversation,
  names: CampaignNames,
): ConversationWords {
  const shown = new Set(
    engagement.filter(({ impressions }) => impressions > 0).map(({ campaign_id }) => campaign_id),
  );
  const named = shown.size === 0 ? [] : [...names.find(opening)];
  return {
    conversation_id: id,
    user_id,
    words: countWords(dialogue),
    named: named.length,
    named_shown: named.filter((campaign_id) => shown.has(campaign_id)).length,
  };
}
