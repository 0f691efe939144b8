import type { Abortable, PageOptions } from "../../../core/types.ts";
import type { Postgres } from "../../engines/postgres/postgres.ts";
import { type Queryable, transposed, unnestOf } from "../../engines/postgres/session.ts";
import {
  type ConversationWords,
  type ProfileWords,
  type SetWordsOptions,
  WORDING_FILE,
  type WordingStore,
} from "../port.ts";
import {
  CONVERSATION_WORDS,
  conversationWords,
  type ConversationWordsRow,
  PROFILE_WORDS,
  profileWords,
  type ProfileWordsRow,
  WORD_TABLES,
} from "../schema.ts";

const PROFILES = { user_id: "text", words: "text", named: "text" } as const;
const CONVERSATIONS = {
  conversation_id: "text",
  user_id: "text",
  words: "text",
  named: "bigint",
  named_shown: "bigint",
} as const;

export class PostgresWording implements WordingStore {
  constructor(private readonly db: Postgres) {}

  setWords({ user_ids, profiles, conversations, signal }: SetWordsOptions): Promise<void> {
    return this.db.write(async (session) => {
      await deleteRows(session, user_ids);
      const ofProfiles = profiles.map((
        row,
      ) => [row.user_id, JSON.stringify(row.words), JSON.stringify(row.named)]);
      await insert(session, "profile_words", PROFILES, ofProfiles);
      const ofConversations = conversations.map((
        row,
      ) => [row.conversation_id, row.user_id, JSON.stringify(row.words), row.named, row.named_shown]);
      await insert(session, "conversation_words", CONVERSATIONS, ofConversations);
    }, { signal });
  }

  async profileWords({ user_id, signal }: { user_id: string } & Abortable): Promise<ProfileWords | null> {
    const row = await this.db.get<ProfileWordsRow>(`${PROFILE_WORDS} WHERE user_id = $1`, [user_id], {
      signal,
    });
    return row === null ? null : profileWords(row);
  }

  async conversationWords({ after, limit, signal }: PageOptions): Promise<ConversationWords[]> {
    const sql = `${CONVERSATION_WORDS} WHERE conversation_id > $1 ORDER BY conversation_id LIMIT $2`;
    const rows = await this.db.all<ConversationWordsRow>(sql, [after ?? "", limit], { signal });
    return rows.map(conversationWords);
  }
}

async function deleteRows(session: Queryable, user_ids: readonly string[]): Promise<void> {
  for (const table of WORD_TABLES) {
    await session.run(`DELETE FROM ${table} WHERE user_id = ANY($1::text[])`, [user_ids]);
  }
}

/** Removes what these users said, and the files that were made from it. */
export async function deleteWords(session: Queryable, user_ids: readonly string[]): Promise<void> {
  await deleteRows(session, user_ids);
  await session.run("DELETE FROM files WHERE name = $1", [WORDING_FILE]);
}

async function insert(
  session: Queryable,
  table: string,
  columns: typeof PROFILES | typeof CONVERSATIONS,
  rows: readonly (readonly (string | number)[])[],
): Promise<void> {
  const names = Object.keys(columns).join(", ");
  await session.run(
    `INSERT INTO ${table} (${names}) SELECT ${names} FROM ${unnestOf(columns)}`,
    transposed(rows, Object.keys(columns).length),
  );
}
