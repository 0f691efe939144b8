import { paged } from "../../lib/core/batches.ts";
import type { Abortable } from "../../lib/core/types.ts";
import { learnPostings } from "../../lib/recommend/wording.ts";
import { encodeWording } from "../../lib/recommend/wording_file.ts";
import {
  type AnalyticsStore,
  type ConversationWords,
  WORDING_FILE,
} from "../../lib/stores/analytics/port.ts";

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
  let [named, shown] = [0, 0];
  const page = (after: string | null, limit: number) => analytics.conversationWords({ after, limit, signal });
  const rows = paged(PAGE, ({ conversation_id }: ConversationWords) => conversation_id, page);
  const postings = await learnPostings(
    counted(rows, (row) => {
      named += row.named;
      shown += row.named_shown;
    }),
    { signal },
  );
  const named_are_known = named >= MIN_NAMED && shown < MIN_SHOWN_SHARE * named;
  const bytes = encodeWording({ ...postings, named_are_known });
  await analytics.saveFile({ version, name: WORDING_FILE, bytes, signal });
  const { conversation_ids, weights } = postings;
  return { conversations: conversation_ids.length, rows: weights.length, bytes: bytes.length };
}

async function* counted<Row>(rows: AsyncIterable<Row>, count: (row: Row) => void): AsyncGenerator<Row> {
  for await (const row of rows) {
    count(row);
    yield row;
  }
}
