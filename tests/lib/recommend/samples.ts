import type { Campaign, EngagementEvent } from "../../../lib/core/types.ts";
import { Candidates, type Features, NO_SOURCE_RESULTS } from "../../../lib/recommend/features.ts";
import type { Sources } from "../../../lib/recommend/answer.ts";
import type { Ranked } from "../../../lib/recommend/score.ts";
import type { Engagement } from "../../../lib/stores/analytics/port.ts";

/** A campaign that may be shown, with the test's own values. */
export function campaign(campaign_id: string, options: Partial<Campaign> = {}): Campaign {
  return {
    campaign_id,
    title: `Title of ${campaign_id}`,
    description: null,
    aliases: [],
    intents: [],
    category: null,
    tags: [],
    starts_at: null,
    ends_at: null,
    status: "active",
    repurchase_days: null,
    metadata: null,
    ...options,
  };
}

export const NO_SOURCES: Sources = {
  mention: 0,
  similar_conversations: 0,
  wording: 0,
  co_engagement: 0,
  intent: 0,
  similarity: 0,
  popularity: 0,
};

/** What no source knows, with the test's own values. */
export function features(campaign_id: string, options: Partial<Features> = {}): Features {
  const candidates = new Candidates(NO_SOURCE_RESULTS, 0);
  candidates.add([campaign_id]);
  return { ...candidates.get(campaign_id)!, ...options };
}

/** One user's engagement with one campaign, only what the test needs. */
export function engagement(user_id: string, campaign_id: string, options: Partial<Engagement>): Engagement {
  const none = { impressions: 0, clicks: 0, conversions: 0, dismissals: 0 };
  return { user_id, campaign_id, ...none, last: "2025-03-01T12:00:00.000Z", ...options };
}

export function ranked(campaign_id: string, options: Partial<Ranked> = {}): Ranked {
  return {
    campaign: campaign(campaign_id),
    stats: { campaign_id, impressions: 0, clicks: 0, conversions: 0, dismissals: 0, popularity: 0 },
    features: features(campaign_id),
    sources: NO_SOURCES,
    score: 0,
    ...options,
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
    recommendation_id: null,
    position: null,
    metadata: null,
  };
}
