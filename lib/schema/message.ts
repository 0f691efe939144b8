import { z } from "../../deps.ts";
import type { Message } from "../core/types.ts";
import { derivedId, id } from "./ids.ts";
import { expected } from "./issues.ts";
import { metadata } from "./metadata.ts";
import { text } from "./text.ts";
import { time } from "./time.ts";

const MAX_MESSAGE_CHARACTERS = 1_048_576;

/** A message as it comes in; only `user_id`, `message` and `timestamp` are needed. */
export const messageInput = z.object({
  message_id: id.nullish(),
  user_id: id,
  message: text(MAX_MESSAGE_CHARACTERS),
  timestamp: time,
  conversation_id: id.nullish(),
  role: z.enum(["user", "assistant"], expected("user or assistant")).nullish(),
  intent: id.nullish(),
  campaign_id: id.nullish(),
  metadata,
});

/** The message that an input which matches {@link messageInput} says. */
export function toMessage(input: z.output<typeof messageInput>): Message {
  return {
    message_id: input.message_id ?? messageId(input),
    user_id: input.user_id,
    message: input.message,
    timestamp: input.timestamp,
    conversation_id: input.conversation_id ?? null,
    role: input.role ?? "user",
    intent: input.intent ?? null,
    campaign_id: input.campaign_id ?? null,
    metadata: input.metadata ?? null,
  };
}

export const messageSchema = messageInput.transform(toMessage);

function messageId(input: z.output<typeof messageInput>): string {
  const at = String(Date.parse(input.timestamp));
  return derivedId(["parley.message.v1", input.user_id, input.conversation_id ?? "", at, input.message]);
}
