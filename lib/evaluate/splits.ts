import { compareText } from "../core/text.ts";
import type { Campaign, EngagementEvent, Message } from "../core/types.ts";
import { seededRandom, shuffle } from "../core/random.ts";

export interface Dataset {
  readonly campaigns: readonly Campaign[];
  readonly messages: readonly Message[];
  readonly events: readonly EngagementEvent[];
}

/** What is known of a user at one moment, and the campaigns that the user chose after it. */
export interface Query {
  /** The user of the request; a new id if the query is a single conversation. */
  readonly user_id: string;
  /** The actual user. Queries of one user are similar. */
  readonly person: string;
  readonly messages: readonly Message[];
  readonly events: readonly EngagementEvent[];
  /** Campaigns that the answer should contain; the user chose none of them in `events`. */
  readonly relevant: ReadonlySet<string>;
}

/** Training rows, and queries whose relevant campaigns these rows do not reveal. */
export interface Fold {
  readonly train: Dataset;
  readonly queries: readonly Query[];
  /** What users said right before they are answered, to be stored as well: it has led to nothing that could be learnt. */
  readonly query_messages: readonly Message[];
}

export const SPLITS = {
  rows: "k folds over what users chose; all rows but those of the fold's choices are known",
  conversations: "k folds over users; a query is what was said in a conversation before the first campaign",
  time: "the last fifth of what users chose, from what came before it and what they then said first",
  last: "each user's last choice, from what that user said and did before its conversation's first event",
  users: "a tenth of the users; of each the newest tenth of choices, from what came before",
} as const;
export type Split = keyof typeof SPLITS;

interface SplitOptions {
  /** Number of folds, for `rows` and `conversations`. */
  readonly folds: number;
  readonly seed: number;
  /** Campaigns that a text names: they are not relevant for its query. */
  readonly named: (text: string) => Iterable<string>;
}

/** Splits the rows, without their metadata; a split without folds yields one fold. Folds are created one at a time. */
export function* splitRows(rows: Dataset, split: Split, options: SplitOptions): Generator<Fold> {
  const data = withoutMetadata(rows);
  switch (split) {
    case "rows":
      return yield* splitChoices(data, options);
    case "conversations":
      return yield* splitConversations(data, options);
    case "time":
      return yield splitAt(data, momentAt(data, 0.8), options);
    case "last":
      return yield splitPerUser(data, usersOf(data), () => 1);
    case "users": {
      const users = shuffle(usersOf(data), seededRandom(options.seed));
      const tested = users.slice(0, Math.ceil(users.length / 10));
      return yield splitPerUser(data, tested, (choices) => Math.ceil(choices / 10));
    }
  }
}

/** Metadata of a message or an event may reveal what it led to. */
function withoutMetadata({ campaigns, messages, events }: Dataset): Dataset {
  return {
    campaigns,
    messages: messages.map((row) => ({ ...row, metadata: null })),
    events: events.map((row) => ({ ...row, metadata: null })),
  };
}

/** A choice is a conversion; in data without any, a click. */
export function choiceTypeOf({ events }: Dataset): "conversion" | "click" {
  return events.some(({ type }) => type === "conversion") ? "conversion" : "click";
}

function choicesOf(data: Dataset): EngagementEvent[] {
  const choice = choiceTypeOf(data);
  return data.events.filter(({ type }) => type === choice);
}

function usersOf(data: Dataset): string[] {
  return [...new Set(choicesOf(data).map(({ user_id }) => user_id))].sort();
}

const pairOf = ({ user_id, campaign_id }: EngagementEvent) => JSON.stringify([user_id, campaign_id]);

/**
 * Every event of a user with a campaign goes where the user's choice of it goes, so that no impression reveals the choice, and with them
 * goes what was said in the same conversation from the first of them on.
 */
function* splitChoices(data: Dataset, { folds, seed }: SplitOptions): Generator<Fold> {
  const partiesOf = findParties(data);
  const pairs = shuffle([...new Set(choicesOf(data).map(pairOf))].sort(), seededRandom(seed));
  for (let fold = 0; fold < folds; fold++) {
    const hidden = new Set(pairs.filter((_, i) => i % folds === fold));
    const hiddenEvents = data.events.filter((event) =>
      event.conversation_id !== null && hidden.has(pairOf(event))
    );
    const cutTimes = firstTimes(hiddenEvents, conversationKey);
    const events = data.events.filter((event) => !hidden.has(pairOf(event)));
    const messages = data.messages.filter((row) =>
      partiesOf(row).every((user_id) => isBefore(row, cutTimes.get(conversationKey({ ...row, user_id }))))
    );
    const train = { ...data, messages, events };
    const relevant = new Map<string, Set<string>>();
    for (const pair of hidden) {
      const [user_id, campaign_id] = JSON.parse(pair) as [string, string];
      relevant.set(user_id, (relevant.get(user_id) ?? new Set()).add(campaign_id));
    }
    yield { train, queries: queriesOf(train, relevant), query_messages: [] };
  }
}

/** When the first of these events was, by a key. */
function firstTimes(
  events: readonly EngagementEvent[],
  keyOf: (event: EngagementEvent) => string,
): Map<string, string> {
  const first = new Map<string, string>();
  for (const event of events) {
    const key = keyOf(event);
    if (isBefore(event, first.get(key))) first.set(key, event.timestamp);
  }
  return first;
}

function queriesOf(train: Dataset, relevant: ReadonlyMap<string, ReadonlySet<string>>): Query[] {
  const messages = Map.groupBy(train.messages, ({ user_id }) => user_id);
  const events = Map.groupBy(train.events, ({ user_id }) => user_id);
  return [...relevant].map(([user_id, campaigns]) => ({
    user_id,
    person: user_id,
    messages: messages.get(user_id) ?? [],
    events: events.get(user_id) ?? [],
    relevant: campaigns,
  }));
}

/** Nothing that a held-out user said or did is learnt from, other conversations included. */
function* splitConversations(data: Dataset, { folds, seed, named }: SplitOptions): Generator<Fold> {
  const users = shuffle(usersOf(data), seededRandom(seed));
  const foldOf = new Map(users.map((user_id, i) => [user_id, i % folds]));
  const messagesByConversation = Map.groupBy(
    data.messages.filter(({ role }) => role === "user"),
    conversationKey,
  );
  const eventsByKey = Map.groupBy(data.events, conversationKey);
  const chosen = new Set(choicesOf(data));
  const partiesOf = findParties(data);
  for (let fold = 0; fold < folds; fold++) {
    const isHeldOut = (user_id: string) => foldOf.get(user_id) === fold;
    const queries: Query[] = [];
    for (const [n, [key, events]] of [...eventsByKey].entries()) {
      const { user_id, conversation_id } = events[0]!;
      if (conversation_id === null || !isHeldOut(user_id)) continue;
      const first = events.reduce((a, b) => a.timestamp <= b.timestamp ? a : b).timestamp;
      const query_user = `query ${n + 1}`;
      const messages = (messagesByConversation.get(key) ?? []).filter((message) => message.timestamp < first)
        .map((message) => ({ ...message, user_id: query_user }));
      if (messages.length === 0) continue;
      const relevant = relevantIn(events, chosen);
      for (const { message } of messages) for (const id of named(message)) relevant.delete(id);
      if (relevant.size > 0) {
        queries.push({ user_id: query_user, person: user_id, messages, events: [], relevant });
      }
    }
    const train = {
      campaigns: data.campaigns,
      messages: data.messages.filter((message) => !partiesOf(message).some(isHeldOut)),
      events: data.events.filter(({ user_id }) => !isHeldOut(user_id)),
    };
    yield { train, queries, query_messages: queries.flatMap(({ messages }) => messages) };
  }
}

/** Which users a message belongs to: the one who says it, and if others say it, all users of the conversation. */
function findParties({ messages, events }: Dataset): (message: Message) => string[] {
  const parties = new Map<string, Set<string>>();
  for (const { conversation_id, user_id } of [...events, ...messages.filter(({ role }) => role === "user")]) {
    if (conversation_id === null) continue;
    parties.set(conversation_id, (parties.get(conversation_id) ?? new Set()).add(user_id));
  }
  return ({ role, user_id, conversation_id }) =>
    role === "user" ? [user_id] : [user_id, ...parties.get(conversation_id ?? "") ?? []];
}

/** A conversation is one user's; two users may give theirs the same id. */
function conversationKey({ user_id, conversation_id }: Pick<Message, "user_id" | "conversation_id">): string {
  return JSON.stringify([user_id, conversation_id]);
}

/** Whether a row is earlier than a time. Without a time, every row is. */
function isBefore({ timestamp }: { timestamp: string }, moment: string | undefined): boolean {
  return moment === undefined || timestamp < moment;
}

/** What was shown and chosen; what was chosen, if nothing was shown. */
function relevantIn(events: readonly EngagementEvent[], chosen: ReadonlySet<EngagementEvent>): Set<string> {
  const shown = new Set(events.filter(({ type }) => type === "impression").map((event) => event.campaign_id));
  const picked = events.filter((event) => chosen.has(event)).map((event) => event.campaign_id);
  return new Set(shown.size === 0 ? picked : picked.filter((id) => shown.has(id)));
}

function momentAt(data: Dataset, share: number): string {
  const times = choicesOf(data).map(({ timestamp }) => timestamp).sort();
  return times[Math.floor(share * times.length)] ?? "";
}

/** A user is answered at the first event after the moment, and so by what the user has said until then. */
function splitAt(data: Dataset, moment: string, { named }: SplitOptions): Fold {
  const before = <Row extends { timestamp: string }>(rows: readonly Row[]) =>
    rows.filter((row) => row.timestamp < moment);
  const train = {
    campaigns: data.campaigns,
    messages: before(data.messages),
    events: before(data.events),
  };
  const testEvents = data.events.filter(({ timestamp }) => timestamp >= moment);
  const first = firstTimes(testEvents, ({ user_id }) => user_id);
  const query_messages = data.messages.filter(({ user_id, role, timestamp }) =>
    role === "user" && timestamp >= moment && timestamp < (first.get(user_id) ?? "")
  );
  const choice = choiceTypeOf(data);
  const relevant = newChoices(train, testEvents.filter(({ type }) => type === choice));
  for (const { user_id, message } of query_messages) {
    for (const id of named(message)) relevant.get(user_id)?.delete(id);
  }
  const nonEmpty = new Map([...relevant].filter(([, campaigns]) => campaigns.size > 0));
  return {
    train,
    queries: queriesOf({ ...train, messages: [...train.messages, ...query_messages] }, nonEmpty),
    query_messages,
  };
}

/**
 * Of each of these users the newest choices are hidden, with all that the user said and did from the first of them on, or from the
 * first event of the conversation that led to one, since the impressions there reveal it; and the messages to the user in the same
 * conversations.
 */
function splitPerUser(data: Dataset, users: readonly string[], count: (choices: number) => number): Fold {
  const byUser = Map.groupBy(choicesOf(data), ({ user_id }) => user_id);
  const eventsByKey = Map.groupBy(data.events, ({ user_id }) => user_id);
  const cutTimes = new Map<string, string>();
  for (const user_id of users) {
    const choices = byUser.get(user_id)!.toSorted((a, b) => compareText(a.timestamp, b.timestamp));
    const hidden = choices.slice(choices.length - count(choices.length));
    cutTimes.set(user_id, firstTime(hidden, eventsByKey.get(user_id)!));
  }
  const partiesOf = findParties(data);
  const train = {
    campaigns: data.campaigns,
    messages: data.messages.filter((row) =>
      partiesOf(row).every((user_id) => isBefore(row, cutTimes.get(user_id)))
    ),
    events: data.events.filter((row) => isBefore(row, cutTimes.get(row.user_id))),
  };
  const testEvents = users.flatMap((user_id) =>
    byUser.get(user_id)!.filter((event) => !isBefore(event, cutTimes.get(user_id)))
  );
  return { train, queries: queriesOf(train, newChoices(train, testEvents)), query_messages: [] };
}

/** When the first of these choices was made, or if that is earlier, when anything was done in the conversation of any of them. */
function firstTime(choices: readonly EngagementEvent[], events: readonly EngagementEvent[]): string {
  const conversations = new Set(choices.flatMap(({ conversation_id }) => conversation_id ?? []));
  return events.filter((event) =>
    choices.includes(event) || event.conversation_id !== null && conversations.has(event.conversation_id)
  ).map(({ timestamp }) => timestamp).reduce((a, b) => a < b ? a : b);
}

/** By user, the campaigns of these events that the user did not choose in the training rows. */
function newChoices(train: Dataset, testEvents: readonly EngagementEvent[]): Map<string, Set<string>> {
  const trainPairs = new Set(choicesOf(train).map(pairOf));
  const relevant = new Map<string, Set<string>>();
  for (const event of testEvents) {
    if (trainPairs.has(pairOf(event))) continue;
    relevant.set(event.user_id, (relevant.get(event.user_id) ?? new Set()).add(event.campaign_id));
  }
  return relevant;
}
