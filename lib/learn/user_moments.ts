import { DAY_MS } from "../core/clock.ts";
import { compareText } from "../core/text.ts";
import type { EngagementEvent } from "../core/types.ts";
import { threadsOf, type UserRows } from "../recommend/conversations.ts";

/** A time at which a user could have been answered, with what the user then chose. */
export interface Moment {
  /** ISO time. All that is known of the user is from before it. */
  readonly at: string;
  readonly before: UserRows;
  /** By campaign that the user chose from then on and not before: 1 for a conversion, .5 for a click. */
  readonly gains: ReadonlyMap<string, number>;
  /** Of the answer that the user chose from; null if events name none. */
  readonly recommendation_id: string | null;
  /** By campaign, its place from 1 in the list that the user chose from, as events say it; null if they don't. */
  readonly places: ReadonlyMap<string, number> | null;
}

/** Moments of one user that count, the newest: some users are programs. */
const MAX_MOMENTS = 20;
/** Choices outside of conversations and known lists that are one moment, and how long after the one before each is. */
const MAX_CHOICES = 10;
const MAX_GAP_MS = DAY_MS;

const GAINS = { conversion: 1, click: 0.5 } as const;

/**
 * The moments of a user, oldest first: before each answer whose `recommendation_id` the user's events name, before the first event of
 * each other conversation, and before each few of the other choices. Of a conversation in which campaigns were shown, choices of these count:
 * the others are what the user knew. What was dismissed is no choice. A moment before which nothing is known of the user is left out, since
 * no weights change the answer to it.
 */
export function momentsOf(rows: UserRows, options: { gap_ms: number }): Moment[] {
  const events = rows.events.toSorted((a, b) =>
    compareText(a.timestamp, b.timestamp) || compareText(a.event_id, b.event_id)
  );
  const dismissed = new Set(
    events.filter(({ type }) => type === "dismissal").map(({ campaign_id }) => campaign_id),
  );
  const moments = groupsOf(rows, events, options).flatMap((group) =>
    momentOf(rows, group, dismissed, events) ?? []
  );
  return moments.sort((a, b) => compareText(a.at, b.at)).slice(-MAX_MOMENTS);
}

/** Events that belong together, oldest first. */
function groupsOf(
  rows: UserRows,
  events: readonly EngagementEvent[],
  options: { gap_ms: number },
): EngagementEvent[][] {
  const threads = new Map(
    threadsOf(rows, options).flatMap(({ events }, n) => events.map((event) => [event, n] as const)),
  );
  const groups = new Map<string, EngagementEvent[]>();
  const others: EngagementEvent[] = [];
  for (const event of events) {
    const thread = threads.get(event);
    const key = event.recommendation_id !== null
      ? `answer ${event.recommendation_id}`
      : thread === undefined
      ? null
      : `conversation ${thread}`;
    if (key === null) others.push(event);
    else groups.set(key, [...groups.get(key) ?? [], event]);
  }
  return [...groups.values(), ...runsOf(others.filter(isChoice))];
}

function runsOf(choices: readonly EngagementEvent[]): EngagementEvent[][] {
  const runs: EngagementEvent[][] = [];
  for (const event of choices) {
    const run = runs.at(-1);
    const gap = run === undefined ? 0 : Date.parse(event.timestamp) - Date.parse(run.at(-1)!.timestamp);
    if (run === undefined || run.length === MAX_CHOICES || gap > MAX_GAP_MS) runs.push([event]);
    else run.push(event);
  }
  return runs;
}

function isChoice({ type }: EngagementEvent): boolean {
  return type === "click" || type === "conversion";
}

function momentOf(
  { user_id, messages }: UserRows,
  group: readonly EngagementEvent[],
  dismissed: ReadonlySet<string>,
  events: readonly EngagementEvent[],
): Moment | null {
  const at = group[0]!.timestamp;
  const before = {
    user_id,
    messages: messages.filter(({ timestamp }) => timestamp < at),
    events: events.filter(({ timestamp }) => timestamp < at),
  };
  if (before.events.length === 0 && !before.messages.some(({ role }) => role === "user")) return null;
  const chosenBefore = new Set(before.events.filter(isChoice).map(({ campaign_id }) => campaign_id));
  const shown = new Set(
    group.filter(({ type }) => type === "impression").map(({ campaign_id }) => campaign_id),
  );
  const gains = new Map<string, number>();
  for (const { type, campaign_id } of group) {
    if (type !== "click" && type !== "conversion") continue;
    if (dismissed.has(campaign_id) || chosenBefore.has(campaign_id)) continue;
    if (shown.size > 0 && !shown.has(campaign_id)) continue;
    gains.set(campaign_id, Math.max(GAINS[type], gains.get(campaign_id) ?? 0));
  }
  if (gains.size === 0) return null;
  const { recommendation_id } = group[0]!;
  const places = recommendation_id === null ? null : wholeList(placesOf(group), gains);
  return { at, before, gains, recommendation_id, places };
}

function placesOf(group: readonly EngagementEvent[]): Map<string, number> {
  const places = new Map<string, number>();
  for (const { campaign_id, position } of group) {
    if (position !== null && !places.has(campaign_id)) places.set(campaign_id, position);
  }
  return places;
}

/** These places if they are of several campaigns, with all that were chosen; else null. */
export function wholeList(
  places: ReadonlyMap<string, number>,
  gains: Moment["gains"],
): ReadonlyMap<string, number> | null {
  const isWhole = places.size > gains.size && [...gains.keys()].every((id) => places.has(id));
  return isWhole ? places : null;
}
