import type { Collection, Db } from "../../../../deps.ts";
import { canonicalJson } from "../../../core/json.ts";
import type { JsonObject, Message } from "../../../core/types.ts";

/**
 * A message as MongoDB stores it. `metadata` is canonical JSON text, because some keys that it may have mean something to
 * the driver (`_bsontype`, `$ref`), and no query looks into it.
 */
export interface StoredMessage extends Omit<Message, "message_id" | "timestamp" | "metadata"> {
  readonly _id: string;
  readonly timestamp: Date;
  readonly metadata: string | null;
}

/** What is stored with a message: the result of a classifier, and which one was trained on the given intent. */
export interface MessageFields {
  readonly classified?: {
    readonly intent: string | null;
    readonly score: number;
    readonly classifier: string;
  };
  readonly example_of?: string;
}

/** Reads the message alone. */
export const MESSAGE_ONLY = { classified: 0, example_of: 0 } as const;

export function messagesOf(db: Db): Collection<StoredMessage & MessageFields> {
  return db.collection("messages");
}

export function toStored(message: Message): StoredMessage {
  return {
    _id: message.message_id.toWellFormed(),
    user_id: message.user_id.toWellFormed(),
    message: message.message.toWellFormed(),
    timestamp: new Date(message.timestamp),
    conversation_id: message.conversation_id?.toWellFormed() ?? null,
    role: message.role,
    intent: message.intent?.toWellFormed() ?? null,
    campaign_id: message.campaign_id?.toWellFormed() ?? null,
    metadata: message.metadata === null ? null : canonicalJson(message.metadata),
  };
}

export function fromStored({ _id, ...row }: StoredMessage): Message {
  return {
    ...row,
    message_id: _id,
    timestamp: row.timestamp.toISOString(),
    metadata: row.metadata === null ? null : JSON.parse(row.metadata) as JsonObject,
  };
}

export function isSame(a: StoredMessage, b: StoredMessage | undefined): boolean {
  if (b === undefined) return false;
  const names = Object.keys(a) as (keyof StoredMessage)[];
  return names.every((name) => a[name]?.valueOf() === b[name]?.valueOf());
}
