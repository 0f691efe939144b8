import assert from "node:assert/strict";
import type { EngagementEvent, Message } from "../../../lib/core/types.ts";
import { momentsOf } from "../../../lib/learn/user_moments.ts";
import { event, message, minute } from "../../fixtures/rows.ts";

const owned = { user_id: "ann", conversation_id: null };
const says = (at: number, overrides: Partial<Message> = {}) =>
  message({ ...owned, timestamp: minute(at), message_id: `m${at}`, ...overrides });
const does = (type: EngagementEvent["type"], campaign_id: string, at: number, overrides = {}) =>
  event({
    ...owned,
    type,
    campaign_id,
    timestamp: minute(at),
    event_id: `e${at} ${campaign_id}`,
    ...overrides,
  });

const moments = (messages: readonly Message[], events: readonly EngagementEvent[]) =>
  momentsOf({ user_id: "ann", messages, events }, { gap_ms: 30 * 60_000 });
const gainsOf = (...rows: Parameters<typeof moments>) =>
  moments(...rows).map(({ at, gains }) => [at, Object.fromEntries(gains)]);

const DAY = 1_440;

Deno.test("momentsOf() has a moment before the first event of each conversation, with what was shown and chosen in it", () => {
  const messages = [says(0), says(3), says(10 * DAY)];
  const events = [
    does("impression", "a", 1),
    does("impression", "b", 2),
    does("click", "a", 4),
    does("conversion", "b", 5),
    // It was not shown: the user knew it.
    does("conversion", "c", 6),
    does("click", "d", 10 * DAY + 1),
  ];
  const found = moments(messages, events);
  assert.deepEqual(gainsOf(messages, events), [
    [minute(1), { a: 0.5, b: 1 }],
    [minute(10 * DAY + 1), { d: 0.5 }],
  ]);
  assert.deepEqual(found[0]!.before, { user_id: "ann", messages: [messages[0]], events: [] });
  assert.deepEqual(found[1]!.before, { user_id: "ann", messages, events: events.slice(0, 5) });
});

Deno.test("momentsOf() takes a list for known if the events of one answer say the places of what was chosen and of more", () => {
  const ofAnswer = (type: "impression" | "click", campaign_id: string, at: number, position: number | null) =>
    does(type, campaign_id, at, { recommendation_id: "r1", position });
  const messages = [says(0)];
  const list = [ofAnswer("impression", "a", 1, 1), ofAnswer("impression", "b", 1, 2)];
  const [known] = moments(messages, [...list, ofAnswer("click", "b", 2, 2)]);
  assert.deepEqual([known!.at, [...known!.places!]], [minute(1), [["a", 1], ["b", 2]]]);
  const unknown = [
    [ofAnswer("click", "b", 2, 2)],
    [
      ofAnswer("impression", "a", 1, null),
      ofAnswer("impression", "b", 1, null),
      ofAnswer("click", "b", 2, null),
    ],
    [does("impression", "a", 1), does("impression", "b", 1), does("click", "b", 2)],
  ];
  for (const events of unknown) {
    assert.deepEqual(moments(messages, events).map(({ places }) => places), [null]);
  }
});

Deno.test("momentsOf() divides choices outside of conversations by ten and by days without any", () => {
  const events = Array.from({ length: 24 }, (_, n) => does("conversion", `k${n}`, n < 22 ? n : 3 * DAY + n));
  const found = moments([], events);
  assert.deepEqual(found.map(({ at, gains }) => [at, gains.size]), [
    [minute(10), 10],
    [minute(20), 2],
    [minute(3 * DAY + 22), 2],
  ]);
});

Deno.test("momentsOf() counts no choice that the user dismissed or made before, and no moment before which nothing is known", () => {
  const first = does("click", "a", 0);
  assert.deepEqual(gainsOf([], [first]), []);
  assert.deepEqual(gainsOf([says(0, { role: "assistant" })], [does("click", "a", 1)]), []);
  assert.deepEqual(
    gainsOf([], [first, does("conversion", "a", 2 * DAY), does("dismissal", "a", 3 * DAY)]),
    [],
  );
  const again = [first, does("conversion", "a", 2 * DAY), does("click", "b", 2 * DAY)];
  assert.deepEqual(gainsOf([], again), [[minute(2 * DAY), { b: 0.5 }]]);
  const dismissed = [first, does("click", "b", 2 * DAY), does("dismissal", "b", 3 * DAY)];
  assert.deepEqual(gainsOf([], dismissed), []);
});

Deno.test("momentsOf() keeps the newest 20 of a user, and does not depend on the order of rows", () => {
  const events = Array.from({ length: 30 }, (_, n) => does("click", `k${n}`, 2 * n * DAY));
  const found = moments([], events);
  assert.deepEqual(found.map(({ at }) => at), events.slice(10).map(({ timestamp }) => timestamp));
  assert.deepEqual(moments([], events.toReversed()), found);
});
