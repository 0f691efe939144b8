import { sha256 } from "../core/hash.ts";
import type { Campaign, Message } from "../core/types.ts";
import { derivedId } from "../schema/ids.ts";
import type { Conversation, ProfileText } from "../recommend/conversations.ts";
import type { Purpose } from "../embed/port.ts";
import type { Collection, VectorRow, VectorStore } from "../stores/vectors/port.ts";

/** A vector row that is still a text. */
export interface Item extends Omit<VectorRow, "vector"> {
  readonly collection: Collection;
  readonly text: string;
}

export function messageItem({ message_id: id, user_id, role, timestamp, message: text }: Message): Item {
  return { collection: "messages", id, user_id, role, timestamp, content_hash: sha256(text), text };
}

export function campaignItem({ campaign_id: id, title, description }: Campaign): Item {
  const text = description === null ? title : `${title}. ${description}`;
  const rest = { user_id: null, role: "user" as const, timestamp: null };
  return { collection: "campaigns", id, ...rest, content_hash: sha256(text), text };
}

/** A vector row that is still one or several texts. */
export interface TextRow extends Omit<VectorRow, "vector"> {
  readonly collection: "profiles" | "conversations";
  readonly texts: readonly string[];
}

/** What stands for a user is the vector of their newest words. None if they said nothing. */
export function profileTexts(user_id: string, profile: ProfileText | null): TextRow[] {
  if (profile === null) return [];
  const { start, newest: timestamp } = profile;
  const rest = { id: user_id, user_id, role: "user", timestamp } as const;
  return [{ collection: "profiles", ...rest, content_hash: sha256(start), texts: [start] }];
}

/** A conversation is as much how it opened, which is what a query will be like, as all that was said in it. */
export function conversationTexts({ id, user_id, end, opening, text }: Conversation): TextRow {
  const texts = opening === "" || opening === text ? [text] : [opening, text];
  const content_hash = texts.length === 1 ? sha256(text) : derivedId(["parley.texts.v1", ...texts]);
  const rest = { id, user_id, role: "user", timestamp: end } as const;
  return { collection: "conversations", ...rest, content_hash, texts };
}

/** Equal for items that have the same vector. */
export function keyOf({ collection, content_hash }: Pick<Item, "collection" | "content_hash">): string {
  return `${collection}:${content_hash}`;
}

/** What users say asks for what campaigns offer; models with prompts tell the two apart. */
export function purposeOf(collection: Collection): Purpose {
  return collection === "campaigns" ? "document" : "query";
}

/** By key, the vectors that live rows of the store have for these items' texts. */
export async function liveVectors(
  store: Pick<VectorStore, "byHash">,
  items: readonly Pick<Item, "collection" | "content_hash">[],
  signal: AbortSignal | undefined,
): Promise<Map<string, Float32Array>> {
  const live = new Map<string, Float32Array>();
  for (const [collection, group] of Map.groupBy(items, (item) => item.collection)) {
    const hashes = group.map(({ content_hash }) => content_hash);
    const found = await store.byHash({ collection, hashes, signal });
    for (const [content_hash, vector] of found) live.set(keyOf({ collection, content_hash }), vector);
  }
  return live;
}
