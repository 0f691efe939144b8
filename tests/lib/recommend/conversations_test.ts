import assert from "node:assert/strict";
import type { EngagementEvent, Message } from "../../../lib/core/types.ts";
import {
  type Conversation,
  conversationsOf,
  MAX_TEXT_CHARACTERS,
  profileTextOf,
  recommends,
} from "../../../lib/recommend/conversations.ts";
import * as rows from "../../fixtures/rows.ts";

const GAP = { gap_ms: 30 * 60_000 };

/** What ada says so many minutes into the year, without a conversation's id. */
function said(at: number, text: string, more: Partial<Message> = {}): Message {
  const rest = { message_id: text, user_id: "ada", conversation_id: null };
  return rows.message({ ...rest, timestamp: rows.minute(at), message: text, ...more });
}

function did(at: number, campaign_id: string, more: Partial<EngagementEvent> = {}): EngagementEvent {
  return rows.event({ user_id: "ada", timestamp: rows.minute(at), campaign_id, ...more });
}

function conversations(messages: Message[], events: EngagementEvent[] = []): Conversation[] {
  return conversationsOf({ user_id: "ada", messages, events }, GAP);
}

const wholes = (found: readonly Conversation[]) => found.map(({ text }) => text);
const campaigns = (found: readonly Conversation[]) =>
  found.map(({ engagement }) => engagement.map(({ campaign_id }) => campaign_id));

Deno.test("conversationsOf() groups by conversation_id, whatever the time between and whatever overlaps", () => {
  const [a, b] = [{ conversation_id: "a" }, { conversation_id: "b" }];
  const messages = [said(0, "a1", a), said(5, "b1", b), said(10, "a2", a), said(5_000, "a3", a)];
  const found = conversations(messages);
  assert.deepEqual(wholes(found), ["a1\na2\na3", "b1"]);
  assert.deepEqual(found.map(({ end }) => end), [rows.minute(5_000), rows.minute(5)]);
});

Deno.test("conversationsOf() splits messages without an id at gaps longer than the setting, and joins at the setting", () => {
  const messages = [said(0, "one"), said(30, "two"), said(60.001, "three"), said(61, "four")];
  assert.deepEqual(wholes(conversations(messages)), ["one\ntwo", "three\nfour"]);
});

Deno.test("conversationsOf() measures gaps among messages without an id alone, replies to the user included", () => {
  const between = said(25, "elsewhere", { conversation_id: "a" });
  const reply = said(25, "reply", { role: "assistant" });
  assert.deepEqual(wholes(conversations([said(0, "one"), between, said(50, "two")])), [
    "one",
    "elsewhere",
    "two",
  ]);
  assert.deepEqual(wholes(conversations([said(0, "one"), reply, said(50, "two")])), ["one\ntwo"]);
});

Deno.test("conversationsOf() puts messages of equal times in the order of their ids, however they come", () => {
  const messages = ["c", "a", "b"].map((text) => said(1, text));
  const found = conversations(messages, [did(1, "k")]);
  assert.deepEqual(wholes(found), ["a\nb\nc"]);
  assert.deepEqual(conversations(messages.toReversed(), [did(1, "k")]), found);
});

Deno.test("conversationsOf() takes the user's words alone, and omits conversations without any", () => {
  const other = said(1, "other", { user_id: "bob", conversation_id: "a" });
  const messages = [said(0, "mine", { conversation_id: "a" }), other];
  messages.push(said(500, "newsletter", { role: "assistant" }));
  const events = [did(2, "k", { user_id: "bob" }), did(501, "l")];
  const found = conversations(messages, events);
  assert.deepEqual([wholes(found), campaigns(found)], [["mine"], [[]]]);
});

Deno.test("conversationsOf() gives an event to the conversation that it names, at whatever time it happened", () => {
  const messages = [said(100, "one", { conversation_id: "a" }), said(200, "two", { conversation_id: "b" })];
  const events = [-9_000, 150, 250, 90_000].map((at, n) => did(at, `k${n}`, { conversation_id: "a" }));
  assert.deepEqual(campaigns(conversations(messages, events)), [["k0", "k1", "k2", "k3"], []]);
});

Deno.test("conversationsOf() gives other events to the last message before them, for a week, or with longer gaps for two of these", () => {
  const messages = [
    said(0, "one", { conversation_id: "a" }),
    said(5, "two", { conversation_id: "b" }),
    said(10, "three", { conversation_id: "a" }),
  ];
  const events = [
    did(-1, "too early"),
    did(0, "at the first"),
    did(7, "after b"),
    did(10, "at a again"),
    did(10 + 7 * 1_440, "last minute"),
    did(11 + 7 * 1_440, "too late"),
    did(8, "other id", { conversation_id: "unknown" }),
  ];
  const found = conversations(messages, events);
  assert.deepEqual(campaigns(found), [["at a again", "at the first", "last minute"], [
    "after b",
    "other id",
  ]]);
  const [one] = conversationsOf({
    user_id: "ada",
    messages: [said(0, "one")],
    events: [did(14 * 1_440, "late")],
  }, {
    gap_ms: 7 * 86_400_000,
  });
  assert.deepEqual(one!.engagement.map(({ campaign_id }) => campaign_id), ["late"]);
});

Deno.test("conversationsOf() leaves events without messages, and messages without events, alone", () => {
  assert.deepEqual(conversations([], [did(1, "k"), did(2, "k", { conversation_id: "a" })]), []);
  const [only] = conversations([said(1, "alone")]);
  assert.deepEqual([only?.opening, only?.text, only?.engagement], ["alone", "alone", []]);
});

Deno.test("conversationsOf() counts each campaign's events by type, campaigns in ascending id", () => {
  const types = ["impression", "impression", "click", "conversion", "dismissal"] as const;
  const events = [...types.map((type, n) => did(1 + n, "b", { type })), did(9, "a", { type: "impression" })];
  assert.deepEqual(conversations([said(0, "one")], events)[0]?.engagement, [
    { campaign_id: "a", impressions: 1, clicks: 0, conversions: 0, dismissals: 0 },
    { campaign_id: "b", impressions: 2, clicks: 1, conversions: 1, dismissals: 1 },
  ]);
});

Deno.test("conversationsOf() ends the opening before the first event", () => {
  const messages = [said(0, "one"), said(5, "two"), said(6, "three")];
  const opening = (events: EngagementEvent[]) => conversations(messages, events)[0]?.opening;
  assert.equal(opening([]), "one\ntwo\nthree");
  assert.equal(opening([did(9, "k"), did(5, "l")]), "one");
  assert.equal(opening([did(0, "k")]), "");
});

Deno.test("conversationsOf() is not misled by clocks that are years off: such a message or event is on its own", () => {
  const years = 60 * 24 * 365 * 70;
  const messages = [said(-20 * 525_600, "past"), said(0, "one"), said(1, "two"), said(years, "future")];
  const events = [did(2, "k"), did(years / 2, "nowhere"), did(-21 * 525_600, "before all")];
  const found = conversations(messages, events);
  assert.deepEqual(wholes(found), ["past", "one\ntwo", "future"]);
  assert.deepEqual(campaigns(found), [[], ["k"], []]);
});

Deno.test("conversationsOf() gives ids that are each one user's, and that stay while rows come after", () => {
  const messages = [said(0, "one"), said(500, "two", { conversation_id: "a" })];
  const ids = conversations(messages).map(({ id }) => id);
  assert.equal(new Set(ids).size, 2);
  const more = conversations([
    ...messages,
    said(1, "later"),
    said(501, "later too", { conversation_id: "a" }),
  ]);
  assert.deepEqual(more.map(({ id }) => id), ids);
  const bobs = messages.map((message) => ({ ...message, user_id: "bob" }));
  const others = conversationsOf({ user_id: "bob", messages: bobs, events: [] }, GAP);
  assert.equal(others.filter(({ id }) => ids.includes(id)).length, 0);
});

Deno.test("conversationsOf() bounds texts, keeps their beginning and cuts no character in two", () => {
  const long = "🥾".repeat(MAX_TEXT_CHARACTERS);
  const [found] = conversations([
    said(0, "first", { message: `${" ".repeat(MAX_TEXT_CHARACTERS)}first\n` }),
    said(1, "second", { message: long }),
    said(2, "third"),
  ]);
  assert.ok(found!.text.startsWith("first\n🥾"));
  assert.ok(found!.text.length >= MAX_TEXT_CHARACTERS - 1 && found!.text.length <= MAX_TEXT_CHARACTERS);
  assert.ok(found!.text.isWellFormed());
});

Deno.test("conversationsOf() takes thousands of messages and events in their stride", () => {
  const count = 20_000;
  const messages = Array.from({ length: count }, (_, n) => said(n * 20 + (n % 10 === 0 ? 15 : 0), `m${n}`));
  const events = messages.map((_, n) => did(n * 20 + 15, `k${n % 50}`));
  const start = performance.now();
  const found = conversations(messages, events);
  assert.ok(performance.now() - start < 3_000);
  const counted = found.flatMap(({ engagement }) => engagement.map(({ clicks }) => clicks));
  assert.equal(counted.reduce((sum, clicks) => sum + clicks, 0), count);
  assert.ok(found.every(({ text }) => text.length <= MAX_TEXT_CHARACTERS));
});

Deno.test("profileTextOf() takes the user's words, the newest first, and nothing of the clock", () => {
  const messages = [
    said(3, "three"),
    said(1, "one"),
    said(2, "two"),
    said(4, "reply", { role: "assistant" }),
  ];
  const text = "three\ntwo\none";
  const expected = { text, start: text, newest: rows.minute(3) };
  assert.deepEqual(profileTextOf({ user_id: "ada", messages }), expected);
  assert.deepEqual(profileTextOf({ user_id: "ada", messages: messages.toReversed() }), expected);
  assert.equal(profileTextOf({ user_id: "bob", messages }), null);
});

Deno.test("profileTextOf() lets go of the oldest words first", () => {
  const fifth = (letter: string, at: number) =>
    said(at, letter, { message: letter.repeat(MAX_TEXT_CHARACTERS / 5 - 1) });
  const messages = ["a", "b", "c", "d", "e", "f", "g"].map(fifth);
  const { text } = profileTextOf({ user_id: "ada", messages })!;
  assert.deepEqual(text.split("\n").map((part) => part[0]), ["g", "f", "e", "d", "c"]);
  const long = said(8, "long", { message: "z".repeat(3 * MAX_TEXT_CHARACTERS) });
  assert.equal(
    profileTextOf({ user_id: "ada", messages: [...messages, long] })?.text,
    "z".repeat(MAX_TEXT_CHARACTERS),
  );
});

Deno.test("recommends() is false for a conversation with only dismissed campaigns", () => {
  const one = (...types: EngagementEvent["type"][]) =>
    conversations([said(0, "one")], types.map((type, n) => did(n, "k", { type })))[0]!;
  assert.equal(recommends(one()), false);
  assert.equal(recommends(one("impression")), true);
  assert.equal(recommends(one("click", "dismissal")), false);
  assert.equal(recommends(one("conversion")), true);
});
