import assert from "node:assert/strict";
import type { Campaign, EngagementEvent, Message } from "../../../lib/core/types.ts";
import { withConversations } from "../../../lib/evaluate/with_conversations.ts";
import { PARLEY } from "../../../lib/evaluate/rank_fold.ts";
import { type Dataset, type Fold, type Split, splitRows } from "../../../lib/evaluate/splits.ts";
import { type RankedFold, rankOnce } from "../../fixtures/evaluate.ts";
import { campaign, event, message } from "../../fixtures/rows.ts";

/** Each plants the answer in a place that an evaluation must not read, and the rankings of the same queries must be the same. */

const at = (day: number, hour: number) => new Date(Date.UTC(2026, 0, day, hour)).toISOString();
const TOPICS = ["lantern river boat", "orchard apple cider", "violin evening concert"];
const titleOf = (n: number) => `Marmalade Number ${"abcdefghi"[n]}`;
const CAMPAIGNS: Campaign[] = TOPICS.flatMap((topic, t) =>
  [0, 1, 2].map((n) =>
    campaign({ campaign_id: `c${3 * t + n}`, title: titleOf(3 * t + n), description: topic })
  )
);

/** A conversation of one user on one day: asked at 1, answered at 2, shown at 3, chosen at 4, thanked at 5. */
interface Talk {
  readonly user_id: string;
  readonly conversation_id: string;
  readonly day: number;
  readonly label: string;
}
const TALKS: readonly Talk[] = Array.from({ length: 12 }, (_, u) =>
  [1, 2, 3].map((day) => ({
    user_id: `u${u}`,
    conversation_id: `u${u}-${day}`,
    day,
    label: `c${3 * (u % 3) + (u + day) % 3}`,
  }))).flat();

function said(talk: Talk, hour: number, text: string, more: Partial<Message> = {}): Message {
  const { conversation_id, user_id, day } = talk;
  const message_id = `${conversation_id} ${hour} ${text}`;
  return message({ message_id, user_id, conversation_id, timestamp: at(day, hour), message: text, ...more });
}

function did(talk: Talk, hour: number, type: EngagementEvent["type"], more: Partial<EngagementEvent> = {}) {
  const { conversation_id, user_id, day, label: campaign_id } = talk;
  const event_id = `${conversation_id} ${hour} ${type}`;
  const timestamp = at(day, hour);
  return event({ event_id, user_id, conversation_id, timestamp, campaign_id, type, ...more });
}

const CLEAN: Dataset = {
  campaigns: CAMPAIGNS,
  messages: TALKS.flatMap((talk) => [
    said(talk, 1, `I would like ${TOPICS[Number(talk.user_id.slice(1)) % 3]} number ${talk.day}`),
    said(talk, 2, "what about this one", { role: "assistant", user_id: "shop" }),
    said(talk, 5, "thank you very much"),
  ]),
  events: TALKS.flatMap((talk) => [did(talk, 3, "impression"), did(talk, 4, "conversion")]),
};

type Plant = (talk: Talk) => { messages?: Message[]; events?: EngagementEvent[] };

const titleFor = ({ label }: Talk) => titleOf(Number(label.slice(1)));
/** Words that name the label, `hour` hours into the day of the conversation. */
const naming = (hour: number, more: Partial<Message> = {}): Plant => (talk) => ({
  messages: [
    said(talk, hour, `I want ${titleFor(talk)}`, more),
    said(talk, hour, `Take ${titleFor(talk)}`, { role: "assistant", user_id: "shop", ...more }),
  ],
});
/** Engagement with the label and with one campaign of another topic, at several hours of the day. */
const engaging = (hour: number, more: Partial<EngagementEvent> = {}): Plant => (talk) => ({
  events: [0, 1, 2].flatMap((n) => [
    did(talk, hour + n, "click", more),
    did(talk, hour + n, "impression", more),
    did(talk, hour + n, "click", {
      ...more,
      event_id: `${talk.conversation_id} with ${hour + n}`,
      campaign_id: "c8",
    }),
  ]),
});

function planted(talks: readonly Talk[], plant: Plant): Dataset {
  const rows = talks.map(plant);
  return {
    ...CLEAN,
    messages: [...CLEAN.messages, ...rows.flatMap(({ messages = [] }) => messages)],
    events: [...CLEAN.events, ...rows.flatMap(({ events = [] }) => events)],
  };
}

/** Every row with the label in its metadata. */
const LABELLED: Dataset = {
  ...CLEAN,
  messages: CLEAN.messages.map((row) => {
    const { label } = TALKS.find((talk) => talk.conversation_id === row.conversation_id)!;
    return { ...row, metadata: { label, mentions: [label, titleOf(Number(label.slice(1)))] } };
  }),
  events: CLEAN.events.map((row) => ({ ...row, metadata: { label: row.campaign_id } })),
};

const firstFold = (data: Dataset, split: Split): Fold =>
  [...splitRows(data, split, { folds: 3, seed: 1, named: () => [] })][0]!;

const clean = new Map<Split, Promise<RankedFold>>();
function cleanRankings(split: Split): Promise<RankedFold> {
  const known = clean.get(split) ?? rankOnce(firstFold(CLEAN, split));
  clean.set(split, known);
  return known;
}

/** By all methods, the rankings for the queries of the clean rows. */
async function rankings(data: Dataset, split: Split): Promise<Record<string, readonly string[] | undefined>> {
  const { rankings } = await rankOnce(firstFold(data, split));
  const keys = [...(await cleanRankings(split)).rankings.keys()];
  return Object.fromEntries(keys.map((key) => [key, rankings.get(key)]));
}

async function movesNothing(data: Dataset, split: Split): Promise<void> {
  const before = Object.fromEntries((await cleanRankings(split)).rankings);
  assert.ok(Object.keys(before).length > 20);
  assert.deepEqual(await rankings(data, split), before);
}

/** That such a plant would be found out: where it may be known, Parley's answers change. */
async function moves(data: Dataset, split: Split): Promise<void> {
  const before = (await cleanRankings(split)).rankings;
  const changed = Object.entries(await rankings(data, split)).filter(([key, after]) =>
    key.startsWith(`${PARLEY} to`) && String(after) !== String(before.get(key))
  );
  assert.ok(changed.length > 0);
}

const personsOf = (split: Split) => new Set(firstFold(CLEAN, split).queries.map(({ person }) => person));
const talksOf = (persons: ReadonlySet<string>, isOf = true) =>
  TALKS.filter(({ user_id }) => persons.has(user_id) === isOf);

const IN_CONVERSATIONS: Record<string, Plant> = {
  "words after the first campaign in its own conversation": naming(5),
  "events in its own conversation": engaging(6),
  "the assistant's words before the first campaign": (talk) => ({
    messages: [said(talk, 2, `Take ${titleFor(talk)}`, { role: "assistant", user_id: "shop" })],
  }),
  "words in another conversation of its user": naming(12, { conversation_id: "another" }),
  "words of its user in no conversation": naming(12, { conversation_id: null }),
  "events of its user in no conversation, for item–item weights and popularity": engaging(12, {
    conversation_id: null,
  }),
};

for (const [where, plant] of Object.entries(IN_CONVERSATIONS)) {
  Deno.test(`a label planted in ${where} moves no answer to a conversation`, async () => {
    const persons = personsOf("conversations");
    const own: Plant = (talk) => {
      const { messages = [], events = [] } = plant(talk);
      const apart = (row: { conversation_id: string | null }) =>
        row.conversation_id === "another" ? { ...row, conversation_id: `another of ${talk.user_id}` } : row;
      return { messages: messages.map(apart) as Message[], events };
    };
    await movesNothing(planted(talksOf(persons), own), "conversations");
  });
}

Deno.test("the same words before the first campaign, or the same events of other users, move answers to conversations", async () => {
  const persons = personsOf("conversations");
  await moves(planted(talksOf(persons), naming(1)), "conversations");
  await moves(planted(talksOf(persons, false), engaging(12)), "conversations");
});

Deno.test("a label planted in metadata moves no answer, whatever is split", async () => {
  for (const split of ["conversations", "rows", "time"] as const) await movesNothing(LABELLED, split);
});

Deno.test("other events with a hidden campaign and later words move no answer to rows, and events with others do", async () => {
  const fold = firstFold(CLEAN, "rows");
  const isHidden = ({ user_id, label }: Talk) =>
    fold.queries.some((query) => query.user_id === user_id && query.relevant.has(label));
  const events: Plant = (talk) => ({
    events: [
      did(talk, 6, "click"),
      did(talk, 7, "impression"),
      did(talk, 8, "dismissal", { conversation_id: null }),
    ],
  });
  await movesNothing(
    planted(TALKS.filter(isHidden), (talk) => ({ ...naming(5)(talk), ...events(talk) })),
    "rows",
  );
  await moves(planted(TALKS.filter((talk) => !isHidden(talk)), engaging(6)), "rows");
});

Deno.test("messages after a hidden choice change no answer to rows, even if no row names a conversation", () => {
  const unnamed = (data: Dataset): Dataset => {
    const without = <Row extends Message | EngagementEvent>(row: Row) => ({ ...row, conversation_id: null });
    const rows = { ...data, messages: data.messages.map(without), events: data.events.map(without) };
    return withConversations(rows, { gap_ms: 5 * 3_600_000 });
  };
  const fold = firstFold(unnamed(CLEAN), "rows");
  const isHidden = ({ user_id, label }: Talk) =>
    fold.queries.some((query) => query.user_id === user_id && query.relevant.has(label));
  const naming = (hour: number): Plant => (talk) => ({
    messages: (["user", "assistant"] as const).map((role) =>
      said(talk, hour, `${role} of ${titleFor(talk)}`, { role })
    ),
  });
  const after = planted(TALKS.filter(isHidden), naming(6));
  assert.deepEqual(firstFold(unnamed(after), "rows").train, fold.train);
  const before = planted(TALKS.filter(isHidden), naming(2));
  assert.notDeepEqual(firstFold(unnamed(before), "rows").train, fold.train);
});

Deno.test("words and events after the moment that time is split at move no answer, and those before it do", async () => {
  const after: Plant = (talk) => ({
    ...naming(20)({ ...talk, day: 3 }),
    ...engaging(20)({ ...talk, day: 3 }),
  });
  await movesNothing(planted(TALKS, after), "time");
  await moves(planted(TALKS.filter(({ day }) => day === 1), engaging(6)), "time");
});

for (const split of ["last", "users"] as const) {
  Deno.test(`a user's messages and events from the hidden choice on change no answer by ${split}, and earlier ones do`, async () => {
    const last = talksOf(personsOf(split)).filter(({ day }) => day === 3);
    const after: Plant = (talk) => ({ ...naming(4)(talk), ...engaging(4)(talk) });
    await movesNothing(planted(last, after), split);
    await moves(planted(TALKS.filter(({ day }) => day === 1), engaging(6)), split);
  });
}
