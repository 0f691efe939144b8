import type { EngagementEvent, Message } from "../core/types.ts";
import { conversationId, threadsOf } from "../recommend/conversations.ts";
import type { Dataset } from "./splits.ts";

/**
 * The same rows; those without a conversation get the id of the one that the pipeline assigns them to, so that splits hide
 * whole conversations. Events long after the user's last message stay without one.
 */
export function withConversations(data: Dataset, options: { gap_ms: number }): Dataset {
  const events = Map.groupBy(data.events, ({ user_id }) => user_id);
  const ids = new Map<Message | EngagementEvent, string>();
  for (const [user_id, messages] of Map.groupBy(data.messages, ({ user_id }) => user_id)) {
    for (const thread of threadsOf({ user_id, messages, events: events.get(user_id) ?? [] }, options)) {
      const id = thread.messages[0]?.conversation_id ?? conversationId(user_id, thread);
      for (const row of [...thread.messages, ...thread.events]) ids.set(row, id);
    }
  }
  const withId = <Row extends Message | EngagementEvent>(row: Row): Row => ({
    ...row,
    conversation_id: row.conversation_id ?? ids.get(row) ?? null,
  });
  return { ...data, messages: data.messages.map(withId), events: data.events.map(withId) };
}
