import { type Item, SOURCES, type Sources, type UserAnswer } from "../../../lib/recommend/answer.ts";

export function item(campaign_id: string, overrides: Partial<Item> = {}): Item {
  return {
    campaign_id,
    title: `Campaign ${campaign_id}`,
    category: "shoes",
    score: 0.5,
    sources: Object.fromEntries(SOURCES.map((source) => [source, 0])) as unknown as Sources,
    fatigue: 0,
    reasons: [{ code: "mention", facts: {}, text: "You named it." }],
    ...overrides,
  };
}

export function answer(user_id: string, items: readonly Item[]): UserAnswer {
  return {
    user_id,
    recommendation_id: null,
    strategy: "personal",
    arm: "default",
    led_by: "mention",
    version: 1,
    generated_at: "2026-01-01T00:00:00.000Z",
    vetoes: [],
    degraded: [],
    items,
  };
}
