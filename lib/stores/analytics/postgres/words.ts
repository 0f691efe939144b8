import type { Abortable } from "../../../core/types.ts";
import type { Postgres } from "../../engines/postgres/postgres.ts";
import { type Queryable, transposed, unnestOf } from "../../engines/postgres/session.ts";
import { type AnalyticsStore, type ConversationWords, type ProfileWords, WORDING_FILE } from "../port.ts";
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

/** What users said, as words, in the analytics' schema. */
export class PostgresWords {
  constructor(private readonly db: Postgres) {}

  set(options: Parameters<AnalyticsStore["setWords"]>[0]): Promise<void> {
    const { user_ids, profiles, conversations, signal } = options;
    return this.db.write(async (session) => {
      for (const table of WORD_TABLES) {
        await session.run(`DELETE FROM ${table} WHERE user_id = ANY($1::text[])`, [user_ids]);
      }
      const said = profiles.map(({ user_id, words, named }) => [
        user_id,
        JSON.stringify(words),
        JSON.stringify(named),
      ]);
      await insert(session, "profile_words", PROFILES, said);
      const held = conversations.map(({ conversation_id, user_id, words, named, named_shown }) => [
        conversation_id,
        user_id,
        JSON.stringify(words),
        named,
        named_shown,
      ]);
      await insert(session, "conversation_words", CONVERSATIONS, held);
    }, { signal });
  }

  async ofProfile({ user_id, signal }: { user_id: string } & Abortable): Promise<ProfileWords | null> {
    const row = await this.db.get<ProfileWordsRow>(`${PROFILE_WORDS} WHERE user_id = $1`, [user_id], {
      signal,
    });
    return row === null ? null : profileWords(row);
  }

  async conversations(
    { after, limit, signal }: { after: string | null; limit: number } & Abortable,
  ): Promise<ConversationWords[]> {
    const sql = `${CONVERSATION_WORDS} WHERE conversation_id > $1 ORDER BY conversation_id LIMIT $2`;
    const rows = await this.db.all<ConversationWordsRow>(sql, [after ?? "", limit], { signal });
    return rows.map(conversationWords);
  }
}

/** Removes what these users said, and the files that were made from it. */
export async function deleteWords(session: Queryable, user_ids: readonly string[]): Promise<void> {
  for (const table of WORD_TABLES) {
    await session.run(`DELETE FROM ${table} WHERE user_id = ANY($1::text[])`, [user_ids]);
  }
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
