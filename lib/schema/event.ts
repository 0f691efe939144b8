import { z } from "../../deps.ts";
import { type EngagementEvent, EVENT_TYPES } from "../core/types.ts";
import { derivedId, id } from "./ids.ts";
import { expected } from "./issues.ts";
import { metadata } from "./metadata.ts";
import { text } from "./text.ts";
import { time } from "./time.ts";

/** An answer's id names all that its page was made from, so it is longer than other ids. */
const MAX_RECOMMENDATION_ID_CHARACTERS = 8_192;
const MAX_POSITION = 100_000;

const POSITION = `a whole number from 1 to ${MAX_POSITION}`;

/** An engagement event as it comes in. */
export const eventInput = z.object({
  event_id: id.nullish(),
  user_id: id,
  campaign_id: id,
  type: z.enum(EVENT_TYPES, expected(`one of ${EVENT_TYPES.join(", ")}`)),
  timestamp: time,
  conversation_id: id.nullish(),
  recommendation_id: text(MAX_RECOMMENDATION_ID_CHARACTERS).nullish(),
  position: z.int(expected(POSITION)).min(1, expected(POSITION)).max(MAX_POSITION, expected(POSITION))
    .nullish(),
  metadata,
});

/** The event that an input which matches {@link eventInput} says. */
export function toEvent(input: z.output<typeof eventInput>): EngagementEvent {
  return {
    event_id: input.event_id ?? eventId(input),
    user_id: input.user_id,
    campaign_id: input.campaign_id,
    type: input.type,
    timestamp: input.timestamp,
    conversation_id: input.conversation_id ?? null,
    recommendation_id: input.recommendation_id ?? null,
    position: input.position ?? null,
    metadata: input.metadata ?? null,
  };
}

export const eventSchema = eventInput.transform(toEvent);

function eventId(input: z.output<typeof eventInput>): string {
  const at = String(Date.parse(input.timestamp));
  const { user_id, campaign_id, type, conversation_id } = input;
  return derivedId(["parley.event.v1", user_id, campaign_id, type, at, conversation_id ?? ""]);
}
