import { paged } from "../core/batches.ts";
import type { Abortable, Message } from "../core/types.ts";
import type { EventStore } from "../stores/analytics/port.ts";
import type { MessageStore } from "../stores/documents/port.ts";
import { inOrder, type UserRows } from "./conversations.ts";

/** Messages read at a time. */
const PAGE = 2_000;
/** Messages and events of one user that count, the newest of each: some users are programs. */
export const MAX_USER_ROWS = 10_000;

interface ReadOptions extends Abortable {
  readonly documents: Pick<MessageStore, "page">;
  readonly analytics: Pick<EventStore, "eventsOf">;
  readonly user_ids: readonly string[];
}

/** The newest rows of each of these users, and how many of the users have more of them than count. */
export async function readUserRows(
  { documents, analytics, user_ids, signal }: ReadOptions,
): Promise<{ readonly users: UserRows[]; readonly cut: number }> {
  const messages = new Map<string, Message[]>(user_ids.map((user_id) => [user_id, []]));
  const page = (after: string | null, limit: number) => documents.page({ after, limit, user_ids, signal });
  for await (const message of paged(PAGE, ({ message_id }) => message_id, page)) {
    const rows = messages.get(message.user_id);
    rows?.push(message);
    if (rows !== undefined && rows.length >= 2 * MAX_USER_ROWS) {
      messages.set(message.user_id, newestOf(rows, MAX_USER_ROWS + 1));
    }
  }
  // One more than count, to detect a user who has more.
  const newest = await analytics.eventsOf({ user_ids, limit: MAX_USER_ROWS + 1, signal });
  const events = Map.groupBy(newest, ({ user_id }) => user_id);
  let cut = 0;
  const users = [...messages].map(([user_id, rows]) => {
    const own = events.get(user_id) ?? [];
    if (Math.max(rows.length, own.length) > MAX_USER_ROWS) cut++;
    return { user_id, messages: newestOf(rows, MAX_USER_ROWS), events: own.slice(-MAX_USER_ROWS) };
  });
  return { users, cut };
}

/** The newest messages; a message that is left out never comes to count by what is read after it. */
function newestOf(messages: Message[], count: number): Message[] {
  return messages.length > count ? inOrder(messages).slice(-count) : messages;
}
