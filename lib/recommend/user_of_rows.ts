import { compareText } from "../core/text.ts";
import type { EngagementEvent, Message } from "../core/types.ts";
import type { Engagement, FinalEngagement } from "../stores/analytics/port.ts";
import type { IntentCount } from "../stores/documents/port.ts";
import { engagementOf, profileTextOf, type UserRows } from "./conversations.ts";
import { type KnownUser, MAX_INTENTS, MAX_OWN, NO_WORDS, type UserWords } from "./known_user.ts";
import type { NegationMeans } from "./negations.ts";
import { profileWords } from "./words.ts";

/** What is needed to derive a user from rows. */
export interface UserMeans extends NegationMeans {
  /** The vector of what the user said; null without a model. */
  embed(text: string): Promise<Float32Array | null>;
  /** The intents of messages of the user without a given one, by `message_id`; a message that fits none is left out. */
  classify(messages: readonly Message[]): Promise<ReadonlyMap<string, string>>;
  /** Days after which campaigns may be shown again to a user who converted on them, of those that say so. */
  repurchaseDays(campaign_ids: readonly string[]): Promise<ReadonlyMap<string, number>>;
}

/**
 * What is known of a user by these messages and events, and nothing else: the same as the stores have for a user with these rows once they
 * are derived. The clock is not asked.
 */
export async function userOfRows(rows: UserRows, means: UserMeans): Promise<KnownUser> {
  const own = rows.messages.filter(({ user_id, role }) => user_id === rows.user_id && role === "user");
  const profile = profileTextOf(rows);
  const [vector, classified, final] = await Promise.all([
    profile === null ? null : means.embed(profile.start),
    means.classify(own.filter(({ intent }) => intent === null)),
    finalEngagementOf(rows.events, means),
  ]);
  return {
    ...wordsOf(rows, means),
    vector,
    own: newestEngagement(rows),
    intents: intentCounts(own, classified),
    final,
  };
}

/** As `AnalyticsStore.profileWords()` gives it, by the rows alone. */
export function wordsOf(rows: UserRows, means: NegationMeans): UserWords {
  const profile = profileTextOf(rows);
  if (profile === null) return NO_WORDS;
  const { words, named, negations } = profileWords({ ...rows, profile }, means);
  return { words, named, negations };
}

/** As `GraphStore.engagedBy()` gives it. */
function newestEngagement({ user_id, events }: UserRows): Engagement[] {
  const last = new Map<string, string>();
  for (const { campaign_id, timestamp } of events) {
    if (timestamp > (last.get(campaign_id) ?? "")) last.set(campaign_id, timestamp);
  }
  const isActive = ({ clicks, conversions }: Engagement) => clicks + conversions > 0;
  return engagementOf(events)
    .map((counts): Engagement => ({ user_id, ...counts, last: last.get(counts.campaign_id)! }))
    .sort((a, b) =>
      Number(isActive(b)) - Number(isActive(a)) || compareText(b.last, a.last) ||
      compareText(a.campaign_id, b.campaign_id)
    )
    .slice(0, MAX_OWN)
    .sort((a, b) => compareText(a.campaign_id, b.campaign_id));
}

/** As `GraphStore.intentsOf()` gives it. */
function intentCounts(messages: readonly Message[], classified: ReadonlyMap<string, string>): IntentCount[] {
  const counts = new Map<string, { -readonly [field in keyof IntentCount]: IntentCount[field] }>();
  for (const { user_id, message_id, intent: given, timestamp } of messages) {
    const intent = given ?? classified.get(message_id);
    if (intent === undefined) continue;
    const count = counts.get(intent) ?? { user_id, intent, count: 0, last: timestamp };
    count.count++;
    if (timestamp > count.last) count.last = timestamp;
    counts.set(intent, count);
  }
  return [...counts.values()].sort((a, b) => b.count - a.count || compareText(a.intent, b.intent))
    .slice(0, MAX_INTENTS);
}

/** As `AnalyticsStore.finalEngagement()` gives it. */
async function finalEngagementOf(
  events: readonly EngagementEvent[],
  means: Pick<UserMeans, "repurchaseDays">,
): Promise<FinalEngagement[]> {
  const final = new Map<string, { converted_at: string | null; dismissals: number }>();
  for (const { campaign_id, type, timestamp } of events) {
    if (type !== "conversion" && type !== "dismissal") continue;
    const row = final.get(campaign_id) ?? { converted_at: null, dismissals: 0 };
    if (type === "dismissal") row.dismissals++;
    else if (row.converted_at === null || timestamp > row.converted_at) row.converted_at = timestamp;
    final.set(campaign_id, row);
  }
  const days = final.size === 0 ? new Map<string, number>() : await means.repurchaseDays([...final.keys()]);
  return [...final].sort(([a], [b]) => compareText(a, b)).map(([campaign_id, row]) => ({
    campaign_id,
    ...row,
    repurchase_days: days.get(campaign_id) ?? null,
  }));
}
