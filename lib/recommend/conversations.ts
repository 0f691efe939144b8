import { DAY_MS } from "../core/clock.ts";
import { compareText } from "../core/text.ts";
import type { EngagementEvent, EventType, Message } from "../core/types.ts";
import { derivedId } from "../schema/ids.ts";
import type { CampaignEngagement, EngagementCounts } from "../stores/analytics/port.ts";

/** What one user said in one conversation, and what they engaged with. */
export interface Conversation {
  /** Derived from the user and the conversation's id, or if it has none from its first message: one id may be several users'. */
  readonly id: string;
  readonly user_id: string;
  /** When the user last said something in it. */
  readonly end: string;
  /** What the user said before the first event of the conversation; empty if nothing. At most {@link MAX_TEXT_CHARACTERS} characters. */
  readonly opening: string;
  /** All that the user said in it, the first {@link MAX_TEXT_CHARACTERS} characters. */
  readonly text: string;
  /** What both sides said in it, as far as it carries the user's id: the first {@link MAX_WORDING_CHARACTERS} characters. */
  readonly dialogue: string;
  /** In ascending campaign. */
  readonly engagement: readonly CampaignEngagement[];
}

/** One user's rows, in any order. Rows of others are left out. */
export interface UserRows {
  readonly user_id: string;
  readonly messages: readonly Message[];
  readonly events: readonly EngagementEvent[];
}

/** Characters of a text that is embedded: about 450 word pieces, of which models read 128 to 512. */
export const MAX_TEXT_CHARACTERS = 2_000;
/**
 * Characters of a profile that are embedded, about 225 word pieces. On dialogues about films more of them find nothing better: with 1,000
 * and 2,000 NDCG@10 is .057 and .058 on rows, .066 and .068 on last choices, .115 and .113 in time, each ± .01, and a
 * model takes half as long for them.
 */
const MAX_PROFILE_CHARACTERS = 1_000;
/** Characters of a text that is stored as words. */
const MAX_WORDING_CHARACTERS = 8_000;
/**
 * An event belongs to the last message before it, if that is at most so many milliseconds earlier, as advertising attributes a
 * purchase to a click of the week before; or at most so many gaps between conversations, if that is longer.
 */
const WINDOW_MS = 7 * DAY_MS;
const WINDOW_GAPS = 2;

/** The rows of one conversation: messages of either role in the order said, and the events that belong to it. */
interface Thread {
  /** Distinguishes it from the user's others. */
  readonly key: readonly string[];
  readonly messages: Message[];
  readonly events: EngagementEvent[];
}

/**
 * One user's conversations, in the order of their first message. Messages of equal `conversation_id` are one conversation;
 * of those without, neighbours in time that are at most `gap_ms` apart. An event belongs to the conversation that it names,
 * or if it names none of the user's, to the one of the last message before it, unless that is more than a week ago, or twice `gap_ms`. A
 * conversation in which the user says nothing is left out with its events. Depends on the rows alone, not on their order or the clock.
 */
export function conversationsOf(rows: UserRows, options: { gap_ms: number }): Conversation[] {
  return threadsOf(rows, options).flatMap((thread) => conversationOf(rows.user_id, thread) ?? []);
}

/** The rows of each conversation, including those in which the user says nothing. */
export function threadsOf(rows: UserRows, { gap_ms }: { gap_ms: number }): Thread[] {
  const messages = inOrder(rows.messages.filter(({ user_id }) => user_id === rows.user_id));
  const threads = threadsOfMessages(messages, gap_ms);
  const byId = new Map<string, Thread>();
  const byMessage = new Map<Message, Thread>();
  for (const thread of threads) {
    for (const message of thread.messages) {
      byMessage.set(message, thread);
      if (message.conversation_id !== null) byId.set(message.conversation_id, thread);
    }
  }
  for (const event of rows.events) {
    if (event.user_id !== rows.user_id) continue;
    const named = event.conversation_id === null ? undefined : byId.get(event.conversation_id);
    const before = named === undefined
      ? lastMessageBefore(messages, event, Math.max(WINDOW_MS, WINDOW_GAPS * gap_ms))
      : undefined;
    (named ?? (before && byMessage.get(before)))?.events.push(event);
  }
  return threads;
}

/** The id that a conversation is stored by. */
export function conversationId(user_id: string, { key }: Thread): string {
  return derivedId(["parley.conversation.v1", user_id, ...key]);
}

/** The text of a user's profile, and when they last said something (ISO). */
export interface ProfileText {
  /** What counts as words: {@link MAX_TEXT_CHARACTERS} at most. */
  readonly text: string;
  /** What is embedded: the first {@link MAX_PROFILE_CHARACTERS} of it. */
  readonly start: string;
  readonly newest: string;
}

/**
 * A user's profile: what they said, the newest first, {@link MAX_TEXT_CHARACTERS} characters of it at most; null if they said nothing. Models read
 * 128 to 512 word pieces and cut the rest off, which must not be the newest. On dialogues about films, whose openings are short, the
 * order makes no difference (NDCG@10 .125 and .126).
 */
export function profileTextOf({ user_id, messages }: Omit<UserRows, "events">): ProfileText | null {
  const own = inOrder(messages.filter((message) => isOwn(message, user_id)));
  const newest = own.at(-1);
  if (newest === undefined) return null;
  const text = joinTexts(own.toReversed());
  return { text, start: cut(text, MAX_PROFILE_CHARACTERS), newest: newest.timestamp };
}

/**
 * Whether a conversation shows what to recommend to others who say something similar: a campaign in it was shown or chosen, and
 * not dismissed.
 */
export function recommends({ engagement }: Conversation): boolean {
  return engagement.some(({ impressions, clicks, conversions, dismissals }) =>
    dismissals === 0 && impressions + clicks + conversions > 0
  );
}

/** In the order said, messages of one time by id. */
export function inOrder(messages: readonly Message[]): Message[] {
  return messages.toSorted((a, b) =>
    compareText(a.timestamp, b.timestamp) || compareText(a.message_id, b.message_id)
  );
}

function threadsOfMessages(messages: readonly Message[], gap_ms: number): Thread[] {
  const threads: Thread[] = [];
  const named = new Map<string, Thread>();
  let open: Thread | undefined;
  const startThread = (key: readonly string[]) => {
    const thread = { key, messages: [], events: [] };
    threads.push(thread);
    return thread;
  };
  for (const message of messages) {
    const { conversation_id } = message;
    if (conversation_id !== null) {
      const thread = named.get(conversation_id) ?? startThread(["id", conversation_id]);
      named.set(conversation_id, thread);
      thread.messages.push(message);
      continue;
    }
    const last = open?.messages.at(-1);
    if (last === undefined || Date.parse(message.timestamp) - Date.parse(last.timestamp) > gap_ms) {
      open = startThread(["first", message.message_id]);
    }
    open!.messages.push(message);
  }
  return threads;
}

/** The last message said at the time of an event or before, if that is at most `window` milliseconds ago. */
function lastMessageBefore(
  messages: readonly Message[],
  event: EngagementEvent,
  window: number,
): Message | undefined {
  let [low, high] = [0, messages.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (messages[middle]!.timestamp <= event.timestamp) low = middle + 1;
    else high = middle;
  }
  const message = messages[low - 1];
  if (message === undefined) return undefined;
  return Date.parse(event.timestamp) - Date.parse(message.timestamp) <= window ? message : undefined;
}

function conversationOf(user_id: string, thread: Thread): Conversation | null {
  const { messages, events } = thread;
  const own = messages.filter((message) => isOwn(message, user_id));
  const last = own.at(-1);
  if (last === undefined) return null;
  const first = events.reduce<string | null>(
    (first, { timestamp }) => first === null || timestamp < first ? timestamp : first,
    null,
  );
  const opening = first === null ? own : own.filter(({ timestamp }) => timestamp < first);
  return {
    id: conversationId(user_id, thread),
    user_id,
    end: last.timestamp,
    opening: joinTexts(opening),
    text: joinTexts(own),
    dialogue: joinTexts(messages, MAX_WORDING_CHARACTERS),
    engagement: engagementOf(events),
  };
}

function isOwn({ user_id, role }: Message, owner_id: string): boolean {
  return user_id === owner_id && role === "user";
}

/** Messages in order, joined by line breaks, up to `max` characters. */
function joinTexts(messages: readonly Message[], max = MAX_TEXT_CHARACTERS): string {
  const texts: string[] = [];
  for (const { message } of messages) {
    if (max <= 0) break;
    const text = message.trim();
    texts.push(cut(text, max));
    max -= text.length + 1;
  }
  return texts.join("\n");
}

/** The beginning of a text, without half a character at its end. */
function cut(text: string, length: number): string {
  if (text.length <= length) return text;
  const start = text.slice(0, length);
  return start.isWellFormed() ? start : start.slice(0, -1);
}

type Counter = keyof EngagementCounts;
const COUNTERS: Readonly<Record<EventType, Counter>> = {
  impression: "impressions",
  click: "clicks",
  conversion: "conversions",
  dismissal: "dismissals",
};

/** How often each campaign was engaged with, in ascending id. */
export function engagementOf(events: readonly EngagementEvent[]): CampaignEngagement[] {
  const counts = new Map<string, Record<Counter, number>>();
  for (const { campaign_id, type } of events) {
    const count = counts.get(campaign_id) ?? { impressions: 0, clicks: 0, conversions: 0, dismissals: 0 };
    count[COUNTERS[type]]++;
    counts.set(campaign_id, count);
  }
  return [...counts].sort(([a], [b]) => compareText(a, b))
    .map(([campaign_id, count]) => ({ campaign_id, ...count }));
}
