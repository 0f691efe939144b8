import { z } from "../../deps.ts";
import { type EngagementEvent, EVENT_TYPES } from "../core/types.ts";
import { derivedId, id } from "./ids.ts";
import { expected } from "./issues.ts";
import { metadata } from "./metadata.ts";
import { time } from "./time.ts";

/** An engagement event as it comes in. */
export const eventInput = z.object({
  event_id: id.nullish(),
  user_id: id,
  campaign_id: id,
  type: z.enum(EVENT_TYPES, expected(`one of ${EVENT_TYPES.join(", ")}`)),
  timestamp: time,
  conversation_id: id.nullish(),
  metadata,
});

export const eventSchema = eventInput.transform((input): EngagementEvent => ({
  event_id: input.event_id ?? eventId(input),
  user_id: input.user_id,
  campaign_id: input.campaign_id,
  type: input.type,
  timestamp: input.timestamp,
  conversation_id: input.conversation_id ?? null,
  metadata: input.metadata ?? null,
}));

function eventId(input: z.output<typeof eventInput>): string {
  const at = String(Date.parse(input.timestamp));
  const { user_id, campaign_id, type, conversation_id } = input;
  return derivedId(["parley.event.v1", user_id, campaign_id, type, at, conversation_id ?? ""]);
}
