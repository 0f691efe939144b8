import type { Campaign, EngagementEvent } from "../../../lib/core/types.ts";
import { type Evidence, evidenceFor } from "../../../lib/recommend/evidence.ts";
import type { Ranked } from "../../../lib/recommend/rank.ts";

/** A campaign that may be shown, with what the test wants otherwise. */
export function campaign(campaign_id: string, o: Partial<Campaign> = {}): Campaign {
  return {
    campaign_id,
    title: `Title of ${campaign_id}`,
    description: null,
    intents: [],
    category: null,
    tags: [],
    starts_at: null,
    ends_at: null,
    status: "active",
    metadata: null,
    ...o,
  };
}

export function evidence(campaign_id: string, o: Partial<Evidence> = {}): Evidence {
  return { ...evidenceFor(new Map(), campaign_id), ...o };
}

export function ranked(campaign_id: string, o: Partial<Ranked> = {}): Ranked {
  return {
    campaign: campaign(campaign_id),
    stats: { campaign_id, impressions: 0, clicks: 0, conversions: 0, dismissals: 0, popularity: 0 },
    evidence: evidence(campaign_id),
    sources: { similar_users: 0, intent: 0, similarity: 0, popularity: 0 },
    score: 0,
    ...o,
  };
}

export function event(
  user_id: string,
  type: EngagementEvent["type"],
  campaign_id: string,
): EngagementEvent {
  return {
    event_id: `${user_id} ${type} ${campaign_id}`,
    user_id,
    campaign_id,
    type,
    timestamp: "2025-03-01T12:00:00.000Z",
    conversation_id: null,
    metadata: null,
  };
}
