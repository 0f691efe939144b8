import assert from "node:assert/strict";
import { missingFieldsHint } from "../../../lib/schema/field_hints.ts";

Deno.test("missingFieldsHint() maps the fields of exports of chat tools and shops", () => {
  const hints = [
    [
      "messages",
      { type: "message", user: "U1", text: "x", ts: "1790841600.000100" },
      "the row has type, user, text, ts; give user as user_id, text as message, ts as timestamp",
    ],
    [
      "messages",
      {
        id: 1,
        date: "2026-10-01T10:00:00",
        date_unixtime: "1790848800",
        from_id: "user5",
        text: [{ type: "link" }],
      },
      "the row has id, date, date_unixtime, from_id, text (a list of objects); " +
      "give from_id as user_id, date_unixtime as timestamp",
    ],
    [
      "messages",
      { timestamp: "2026-10-01T10:00:00Z", content: "x", author: { id: "17", name: "x" } },
      "the row has timestamp, content, author; give author.id as user_id, content as message",
    ],
    ["messages", { page: 1, messages: [{ user_id: "a" }] }, "the row has page, messages (a list of objects)"],
    ["campaigns", { id: 7, name: "x" }, "the row has id, name; give id as campaign_id, name as title"],
    [
      "events",
      { customer_id: 7, sku: "x", action: "click", created_at: 1 },
      "the row has customer_id, sku, action, created_at; " +
      "give customer_id as user_id, sku as campaign_id, action as type, created_at as timestamp",
    ],
    [
      "messages",
      { User_ID: "ann", Message: "x", createdAt: 1 },
      "the row has User_ID, Message, createdAt; give User_ID as user_id, Message as message, createdAt as timestamp",
    ],
    [
      "messages",
      { createdDateTime: "2026-10-01T10:00:00Z", from: { user: { id: "17" } }, body: { content: "x" } },
      "the row has createdDateTime, from, body; " +
      "give from.user.id as user_id, body.content as message, createdDateTime as timestamp",
    ],
    ["messages", { data: { rows: [{ user_id: "a" }] } }, "the row has data.rows (a list of objects)"],
    ["events", {}, "the row has no field"],
  ] as const;
  for (const [kind, row, hint] of hints) assert.equal(missingFieldsHint(kind, row), hint);
});

Deno.test("missingFieldsHint() says nothing of a row that lacks nothing, and shows no key that may be text", () => {
  assert.equal(missingFieldsHint("messages", { user_id: 1, message: null, timestamp: "", text: "x" }), null);
  assert.equal(missingFieldsHint("messages", { "where is my order": 1, "é": 2 }), "the row has other fields");
  assert.equal(missingFieldsHint("campaigns", { title: "x", "my order": 1 }), "the row has title and 1 more");
  const many = Object.fromEntries(Array.from({ length: 40 }, (_, n) => [`f${n}`, n]));
  assert.match(missingFieldsHint("campaigns", many)!, /^the row has f0, f1, .*, f11 and 28 more$/);
});
