import { paged } from "../../lib/core/batches.ts";
import type { Abortable } from "../../lib/core/types.ts";
import { learnPostings } from "../../lib/recommend/wording.ts";
import { encodeWording, type WordingContent } from "../../lib/recommend/wording_file.ts";
import {
  type AnalyticsStore,
  type ConversationWords,
  WORDING_FILE,
} from "../../lib/stores/analytics/port.ts";
import { NO_USERS } from "./item_weights.ts";

export interface SavedWording {
  readonly conversations: number;
  readonly rows: number;
  readonly bytes: number;
}

/** Rows read at a time. */
const PAGE = 1_000;
/** Minimum number of named campaigns to estimate the effect of naming. */
const MIN_NAMED = 20;
/** If fewer of them than this share are shown later in the conversation, users name what they know. */
const MIN_SHOWN_SHARE = 0.05;

/** Makes postings of all conversations that led to engagement, and saves them as a file of a version. */
export async function saveWording(
  analytics: AnalyticsStore,
  { version, signal }: { version: number } & Abortable,
): Promise<SavedWording> {
  const content = await learnWording(analytics, { signal });
  const bytes = encodeWording(content);
  await analytics.saveFile({ version, name: WORDING_FILE, bytes, signal });
  const { conversation_ids, weights } = content;
  return { conversations: conversation_ids.length, rows: weights.length, bytes: bytes.length };
}

/** Postings of the conversations of all users but these, and what these users name. */
export async function learnWording(
  analytics: Pick<AnalyticsStore, "conversationWords">,
  { without = NO_USERS, signal }: { without?: ReadonlySet<string> } & Abortable,
): Promise<WordingContent> {
  let [named, shown] = [0, 0];
  const page = (after: string | null, limit: number) => analytics.conversationWords({ after, limit, signal });
  const rows = paged(PAGE, ({ conversation_id }: ConversationWords) => conversation_id, page);
  const postings = await learnPostings(
    others(rows, without, (row) => {
      named += row.named;
      shown += row.named_shown;
    }),
    { signal },
  );
  return { ...postings, named_are_known: named >= MIN_NAMED && shown < MIN_SHOWN_SHARE * named };
}

async function* others(
  rows: AsyncIterable<ConversationWords>,
  without: ReadonlySet<string>,
  count: (row: ConversationWords) => void,
): AsyncGenerator<ConversationWords> {
  for await (const row of rows) {
    if (without.has(row.user_id)) continue;
    count(row);
    yield row;
  }
}
