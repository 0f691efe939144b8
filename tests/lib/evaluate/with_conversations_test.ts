import assert from "node:assert/strict";
import { withConversations } from "../../../lib/evaluate/with_conversations.ts";
import { event, message, minute } from "../../fixtures/rows.ts";

Deno.test("withConversations() adds a missing conversation id, and leaves given ones unchanged", () => {
  const said = (message_id: string, at: number, conversation_id: string | null) =>
    message({ message_id, user_id: "ada", timestamp: minute(at), conversation_id });
  const did = (event_id: string, at: number, conversation_id: string | null) =>
    event({ event_id, user_id: "ada", timestamp: minute(at), conversation_id });
  const { messages, events } = withConversations({
    campaigns: [],
    messages: [said("a", 0, "c"), said("b", 200, null), said("d", 210, null), said("e", 500, null)],
    events: [
      did("1", 5, null),
      did("2", 215, null),
      did("3", 215, "c"),
      did("4", 216, "x"),
      did("5", 11_000, null),
    ],
  }, { gap_ms: 30 * 60_000 });
  const [a, b, d, e] = messages.map(({ conversation_id }) => conversation_id);
  assert.deepEqual([a, b], ["c", d]);
  assert.equal(new Set([a, b, e]).size, 3);
  assert.ok(b !== null && e !== null);
  assert.deepEqual(events.map(({ conversation_id }) => conversation_id), ["c", b, "c", "x", null]);
});
