import assert from "node:assert/strict";
import { createHash } from "../../../deps.ts";
import { parseJson } from "../../../lib/core/json.ts";
import { type JsonObject, type Kind, KINDS } from "../../../lib/core/types.ts";
import { parseRow } from "../../../lib/schema/row.ts";
import { timeWindow } from "../../../lib/schema/time.ts";

const WINDOW = timeWindow({ now: Date.UTC(2026, 0, 2) });
const MESSAGE = { user_id: "u1", message: "hello", timestamp: "2026-01-01T00:00:00Z" };
const CAMPAIGN = { campaign_id: "k1", title: "Boots" };
const EVENT = { user_id: "u1", campaign_id: "k1", type: "click", timestamp: 1_767_225_600 };
const REQUIRED: Record<Kind, JsonObject> = { messages: MESSAGE, campaigns: CAMPAIGN, events: EVENT };

function row<K extends Kind>(kind: K, value: unknown) {
  const parsed = parseRow({ kind, value, window: WINDOW });
  assert.ok(parsed.ok, parsed.ok ? "" : parsed.reason);
  return parsed.row;
}

function reason(kind: Kind, value: unknown): string {
  const parsed = parseRow({ kind, value, window: WINDOW });
  assert.ok(!parsed.ok, "the row should be refused");
  return parsed.reason;
}

/** As DESIGN fixes it, written a second time. */
function tupleHash(...parts: string[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(`${new TextEncoder().encode(part).length}:${part},`);
  return hash.digest("hex");
}

Deno.test("parseRow() fills a message that has only the required fields", () => {
  assert.deepEqual(row("messages", MESSAGE), {
    message_id: tupleHash("parley.message.v1", "u1", "", "1767225600000", "hello"),
    user_id: "u1",
    message: "hello",
    timestamp: "2026-01-01T00:00:00.000Z",
    conversation_id: null,
    role: "user",
    intent: null,
    campaign_id: null,
    metadata: null,
  });
});

Deno.test("parseRow() fills a campaign that has only the required fields", () => {
  assert.deepEqual(row("campaigns", CAMPAIGN), {
    campaign_id: "k1",
    title: "Boots",
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
  });
});

Deno.test("parseRow() fills an event that has only the required fields", () => {
  assert.deepEqual(row("events", EVENT), {
    event_id: tupleHash("parley.event.v1", "u1", "k1", "click", "1767225600000", ""),
    user_id: "u1",
    campaign_id: "k1",
    type: "click",
    timestamp: "2026-01-01T00:00:00.000Z",
    conversation_id: null,
    recommendation_id: null,
    position: null,
    metadata: null,
  });
});

Deno.test("parseRow() keeps all that is given", () => {
  const message = {
    ...MESSAGE,
    message_id: "m1",
    timestamp: "2026-01-01T00:00:00.000Z",
    conversation_id: "c1",
    role: "assistant",
    intent: "greet",
    campaign_id: "k1",
    metadata: { a: [1, null, { b: "c" }] },
  };
  assert.deepEqual(row("messages", message), message);
  const event = {
    ...EVENT,
    event_id: "e1",
    timestamp: "2026-01-01T00:00:00.000Z",
    conversation_id: "c1",
    recommendation_id: "an id that Parley did not make",
    position: 3,
    metadata: null,
  };
  assert.deepEqual(row("events", event), event);
});

Deno.test("parseRow() parses its own rows to themselves", () => {
  for (const kind of KINDS) {
    const once = row(kind, { ...REQUIRED[kind], extra: { b: 1, a: 2 } });
    assert.equal(JSON.stringify(row(kind, JSON.parse(JSON.stringify(once)))), JSON.stringify(once));
  }
});

Deno.test("parseRow() derives ids that differ where any part does, and only there", () => {
  const id = (change: JsonObject) => row("messages", { ...MESSAGE, ...change }).message_id;
  const changed = [
    { user_id: "u2" },
    { message: "hello " },
    { timestamp: "2026-01-01T00:00:00.001Z" },
    { conversation_id: "c" },
    { user_id: "u1c" },
    { user_id: "u", conversation_id: "1" },
  ].map(id);
  assert.equal(new Set([id({}), ...changed]).size, changed.length + 1);
  assert.equal(id({ timestamp: "2026-01-01T01:00:00+01:00", role: "assistant", metadata: { x: 1 } }), id({}));
});

Deno.test("parseRow() takes whole numbers as ids and trims strings", () => {
  const { message_id, user_id, conversation_id } = row("messages", {
    ...MESSAGE,
    message_id: 7,
    user_id: " u1\t",
    conversation_id: -3,
  });
  assert.deepEqual([message_id, user_id, conversation_id], ["7", "u1", "-3"]);
});

Deno.test("parseRow() refuses ids that could be mistaken for others", () => {
  for (
    const [user_id, complaint] of [
      ["", "is blank"],
      [" ", "is blank"],
      ["x".repeat(257), "is longer than 256 characters"],
      ["a\u0000b", "holds a control character"],
      ["a\nb", "holds a control character"],
      ["a\ud800", "holds half a character (a lone surrogate)"],
      [1.5, "is not an exact whole number; write it as a string"],
      [2 ** 53, "is not an exact whole number; write it as a string"],
      [true, "must be a string"],
      [null, "must be a string"],
      [undefined, "is missing: the row has message, timestamp"],
    ] as const
  ) assert.equal(reason("messages", { ...MESSAGE, user_id }), `user_id ${complaint}`);
  assert.equal(row("messages", { ...MESSAGE, user_id: "x".repeat(256) }).user_id.length, 256);
});

Deno.test("parseRow() bounds the text of a message and does not change it", () => {
  assert.equal(reason("messages", { ...MESSAGE, message: " \n " }), "message is blank");
  assert.equal(reason("messages", { ...MESSAGE, message: 5 }), "message must be a string");
  const most = "x".repeat(1_048_576);
  assert.equal(row("messages", { ...MESSAGE, message: most }).message, most);
  assert.equal(
    reason("messages", { ...MESSAGE, message: `${most}x` }),
    "message is longer than 1048576 characters",
  );
  assert.equal(row("messages", { ...MESSAGE, message: " a\r\n " }).message, " a\r\n ");
});

Deno.test("parseRow() makes text storable everywhere", () => {
  const { message, metadata } = row("messages", {
    ...MESSAGE,
    message: "cut \ud83d here\0",
    metadata: { "k\0": ["\udc00", { deep: "\ud800" }], whole: "\u{1F600}" },
  });
  assert.equal(message, "cut \ufffd here\ufffd");
  assert.deepEqual(metadata, { "k\ufffd": ["\ufffd", { deep: "\ufffd" }], whole: "\u{1F600}" });
});

Deno.test("parseRow() moves unknown fields into metadata", () => {
  for (const kind of KINDS) {
    const { metadata } = row(kind, {
      ...REQUIRED[kind],
      source: "sample",
      a: { b: [1] },
      metadata: { z: 1 },
    });
    assert.deepEqual(metadata, { a: { b: [1] }, source: "sample", z: 1 });
  }
});

Deno.test("parseRow() refuses a field that is given twice with different values", () => {
  const twice = (value: unknown) => ({ ...MESSAGE, source: { a: 1, b: 2 }, metadata: { source: value } });
  assert.deepEqual(row("messages", twice({ b: 2, a: 1 })).metadata, { source: { a: 1, b: 2 } });
  assert.equal(
    reason("messages", twice("other")),
    "metadata and the row itself give different values for the same field",
  );
});

Deno.test("parseRow() treats names of built-in properties as data", () => {
  const text =
    '{"__proto__":{"polluted":1},"constructor":"c","toString":"t","metadata":{"hasOwnProperty":2}}';
  const { metadata } = row("messages", { ...MESSAGE, ...JSON.parse(text) });
  assert.equal(Object.hasOwn(metadata!, "toString"), true);
  const own = row("messages", JSON.parse(JSON.stringify(MESSAGE).slice(0, -1) + `,${text.slice(1)}`))
    .metadata!;
  assert.deepEqual(Object.keys(own).sort(), ["__proto__", "constructor", "hasOwnProperty", "toString"]);
  assert.equal(({} as Record<string, unknown>)["polluted"], undefined);
});

Deno.test("parseRow() bounds metadata in shape, size and depth", () => {
  const nested = (levels: number) => JSON.parse("[".repeat(levels) + "]".repeat(levels));
  for (
    const [metadata, complaint] of [
      [[], "must be an object"],
      ["x", "must be an object"],
      [{ x: "é".repeat(32_768) }, "is above 64 KB as JSON"],
      [{ x: nested(32) }, "is nested deeper than 32 levels"],
      [{ x: nested(30_000) }, "is nested deeper than 32 levels"],
    ] as const
  ) assert.equal(reason("messages", { ...MESSAGE, metadata }), `metadata ${complaint}`);
  row("messages", { ...MESSAGE, metadata: { x: "é".repeat(32_764) } });
  row("messages", { ...MESSAGE, metadata: { x: nested(31) } });
});

Deno.test("parseRow() checks a campaign's window, status and lists", () => {
  const { intents, tags, starts_at, ends_at, description } = row("campaigns", {
    ...CAMPAIGN,
    description: "  ",
    intents: ["buy", " buy ", 7],
    tags: [],
    starts_at: 1_767_225_600,
    ends_at: "2026-01-01T01:00:00+01:00",
  });
  assert.deepEqual({ intents, tags, starts_at, ends_at, description }, {
    intents: ["buy", "7"],
    tags: [],
    starts_at: "2026-01-01T00:00:00.000Z",
    ends_at: "2026-01-01T00:00:00.000Z",
    description: null,
  });
  assert.equal(
    reason("campaigns", { ...CAMPAIGN, starts_at: "2026-01-02T00:00:00Z", ends_at: "2026-01-01T00:00:00Z" }),
    "ends_at is before starts_at",
  );
  assert.equal(row("campaigns", { ...CAMPAIGN, repurchase_days: 0 }).repurchase_days, 0);
  for (const repurchase_days of [-1, 36_501, "30"]) {
    assert.match(
      reason("campaigns", { ...CAMPAIGN, repurchase_days }),
      /^repurchase_days (is not|must be) a number of days from 0 to 36500$/,
    );
  }
  assert.equal(
    reason("campaigns", { ...CAMPAIGN, status: "on" }),
    "status must be one of active, paused, ended",
  );
  assert.equal(reason("campaigns", { ...CAMPAIGN, tags: ["a", {}] }), "tags.1 must be a string");
  assert.equal(reason("campaigns", { ...CAMPAIGN, intents: "buy" }), "intents must be a list");
});

Deno.test("parseRow() takes a day as the first instant of a campaign's start and the last of its end", () => {
  const day = { ...CAMPAIGN, starts_at: "2026-05-01", ends_at: " 2026-05-01 " };
  const { starts_at, ends_at } = row("campaigns", day);
  assert.deepEqual([starts_at, ends_at], ["2026-05-01T00:00:00.000Z", "2026-05-02T00:00:00.000Z"]);
  const never = row("campaigns", { ...CAMPAIGN, ends_at: "9999-12-31" });
  assert.equal(never.ends_at, "9999-12-31T23:59:59.999Z");
  assert.equal(reason("campaigns", { ...CAMPAIGN, ends_at: "9999-02-30" }), "ends_at is not a real date");
  assert.equal(row("campaigns", { ...CAMPAIGN, ends_at: "2024-02-28" }).ends_at, "2024-02-29T00:00:00.000Z");
  assert.equal(reason("campaigns", { ...CAMPAIGN, ends_at: "2026-02-29" }), "ends_at is not a real date");
  assert.equal(row("campaigns", { ...CAMPAIGN, starts_at: "2099-01-01" }).starts_at?.slice(0, 4), "2099");
});

Deno.test("parseRow() refuses messages and events from outside the window of times, however they are written", () => {
  for (const kind of ["messages", "events"] as const) {
    for (
      const [timestamp, complaint] of [
        ["1989-12-31T23:59:59.999Z", "is before 1990-01-01"],
        ["1990-01-01T00:00:00+00:01", "is before 1990-01-01"],
        ["2026-01-03T00:00:00.001Z", "is more than a day in the future"],
        [Date.UTC(2026, 0, 3) + 1, "is more than a day in the future"],
        [2 ** 32 - 1, "is more than a day in the future"],
      ] as const
    ) assert.equal(reason(kind, { ...REQUIRED[kind], timestamp }), `timestamp ${complaint}`);
    for (const timestamp of ["1990-01-01T00:00:00Z", "2026-01-03T00:00:00Z", Date.UTC(2026, 0, 3)]) {
      row(kind, { ...REQUIRED[kind], timestamp });
    }
  }
  const window = timeWindow({ now: Date.UTC(2026, 0, 2), earliest: Date.UTC(1980, 0, 1) });
  const value = { ...MESSAGE, timestamp: "1980-01-01T00:00:00Z" };
  assert.equal(parseRow({ kind: "messages", value, window }).ok, true);
});

Deno.test("parseRow() keeps numbers of metadata exactly, in whatever field they come, and never makes null of one", () => {
  const text =
    `{"order": 12345678901234567890, "deep": {"list": [-9007199254740993, 9007199254740991, 1e400, -1E+400, 0.1]},
      "text": ": 12345678901234567890"}`;
  const { metadata } = row("messages", { ...MESSAGE, ...parseJson(text) as JsonObject });
  assert.deepEqual(metadata, {
    deep: { list: ["-9007199254740993", 9007199254740991, "1e400", "-1E+400", 0.1] },
    order: "12345678901234567890",
    text: ": 12345678901234567890",
  });
  assert.deepEqual(row("messages", { ...MESSAGE, size: Infinity }).metadata, { size: "Infinity" });
  const { user_id } = row(
    "messages",
    parseJson(JSON.stringify(MESSAGE).replace('"u1"', "18446744073709551615")),
  );
  assert.equal(user_id, "18446744073709551615");
});

Deno.test("parseRow() knows four types of event and two roles", () => {
  assert.equal(
    reason("events", { ...EVENT, type: "view" }),
    "type must be one of impression, click, conversion, dismissal",
  );
  assert.equal(reason("messages", { ...MESSAGE, role: "bot" }), "role must be user or assistant");
});

Deno.test("parseRow() reports all errors of a row in one line and quotes none of its text", () => {
  const secret = "s3cret words";
  const told = reason("messages", {
    message_id: { [secret]: secret },
    user_id: `\u0001${secret}`,
    message: [secret],
    timestamp: secret,
    role: secret,
    intent: { secret },
    metadata: secret,
  });
  assert.equal(
    told,
    "message_id must be a string; user_id holds a control character; message must be a string; timestamp is not a " +
      "time: write it like 2026-05-01T09:30:00Z, or as epoch seconds or milliseconds; role must be user or assistant; " +
      "and 2 more",
  );
  for (const value of [null, [], "text", 5, true]) {
    assert.equal(reason("events", value), "the row is not a JSON object");
  }
});
