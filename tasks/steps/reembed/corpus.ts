import { paged } from "../../../lib/core/batches.ts";
import type { Message } from "../../../lib/core/types.ts";
import type { StepContext } from "../../step.ts";
import { campaignItem, type Item, messageItem } from "../../../lib/derive/embed_items.ts";

/** How far a walk through the corpus is: what follows `after` in `collection` is to come. */
export type CorpusPosition = { readonly collection: "messages" | "campaigns"; readonly after: string | null };

export const START: CorpusPosition = { collection: "messages", after: null };

/** Texts embedded before a checkpoint: what a kill costs at the most. */
const PAGE = 256;

/** Everything stored that has a vector, messages and then campaigns, in pages, each with the place after it. */
export async function* corpus(
  { services: { documents, analytics }, signal }: StepContext,
  from: CorpusPosition = START,
): AsyncGenerator<{ items: Item[]; place: CorpusPosition }> {
  let { collection, after } = from;
  while (true) {
    const page = { after, limit: PAGE, signal };
    const items = collection === "messages"
      ? (await documents.page(page)).map(messageItem)
      : (await analytics.campaignPage(page)).map(campaignItem);
    if (items.length > 0) {
      after = items.at(-1)!.id;
      yield { items, place: { collection, after } };
    }
    if (items.length === PAGE) continue;
    if (collection === "campaigns") return;
    [collection, after] = ["campaigns", null];
  }
}

/** All users who said something, each once, in the order of their first message's id. */
export async function* speakers({ services, signal }: StepContext): AsyncGenerator<string> {
  const { documents, artifacts } = services;
  const register = await artifacts.register();
  const page = (after: string | null, limit: number) => documents.page({ after, limit, signal });
  try {
    for await (const { user_id, role } of paged<Message>(500, ({ message_id }) => message_id, page)) {
      signal.throwIfAborted();
      if (role === "user" && register.putIfAbsent(user_id, "") === null) yield user_id;
    }
  } finally {
    register.close();
  }
}
