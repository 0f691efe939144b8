import { createHash } from "../../deps.ts";
import type { Campaign, Message } from "../../lib/core/types.ts";
import type { Purpose } from "../../lib/embed/port.ts";
import type { Collection, VectorRow, VectorStore } from "../../lib/stores/vectors/port.ts";

/** A vector row that is still a text. */
export interface Item extends Omit<VectorRow, "vector"> {
  readonly collection: Collection;
  readonly text: string;
}

export function messageItem({ message_id: id, user_id, role, timestamp, message: text }: Message): Item {
  return { collection: "messages", id, user_id, role, timestamp, content_hash: hashOf(text), text };
}

export function campaignItem({ campaign_id: id, title, description }: Campaign): Item {
  const text = description === null ? title : `${title}. ${description}`;
  const rest = { user_id: null, role: "user" as const, timestamp: null };
  return { collection: "campaigns", id, ...rest, content_hash: hashOf(text), text };
}

function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
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
  store: VectorStore,
  items: readonly Item[],
  signal: AbortSignal,
): Promise<Map<string, Float32Array>> {
  const live = new Map<string, Float32Array>();
  for (const [collection, group] of Map.groupBy(items, (item) => item.collection)) {
    const hashes = group.map(({ content_hash }) => content_hash);
    const found = await store.byHash({ collection, hashes, signal });
    for (const [content_hash, vector] of found) live.set(keyOf({ collection, content_hash }), vector);
  }
  return live;
}
