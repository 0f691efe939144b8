// deno-lint-ignore-file require-await -- the port is asynchronous, this engine is not
import type { Abortable, PageOptions } from "../../../core/types.ts";
import type { Sqlite } from "../../engines/sqlite/sqlite.ts";
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

/** Rows, or parts of files, that one transaction deletes at most. */
const DELETE_LIMIT = { rows: 500, parts: 8 };

export class SqliteWording implements WordingStore {
  constructor(private readonly db: Sqlite) {}

  async setWords(options: SetWordsOptions): Promise<void> {
    const profiles = Map.groupBy(options.profiles, ({ user_id }) => user_id);
    const conversations = Map.groupBy(options.conversations, ({ user_id }) => user_id);
    await this.db.writeEach(options.user_ids, (user_id) => {
      for (const table of WORD_TABLES) this.db.run(`DELETE FROM ${table} WHERE user_id = ?`, user_id);
      profiles.get(user_id)?.forEach((row) => this.insertProfile(row));
      conversations.get(user_id)?.forEach((row) => this.insertConversation(row));
    }, options);
  }

  private insertProfile({ user_id, words, named }: ProfileWords): void {
    this.db.run(
      "INSERT INTO profile_words (user_id, words, named) VALUES (?, ?, ?)",
      ...[user_id, JSON.stringify(words), JSON.stringify(named)],
    );
  }

  private insertConversation(
    { conversation_id, user_id, words, named, named_shown }: ConversationWords,
  ): void {
    this.db.run(
      `INSERT INTO conversation_words (conversation_id, user_id, words, named, named_shown)
       VALUES (?, ?, ?, ?, ?)`,
      ...[conversation_id, user_id, JSON.stringify(words), named, named_shown],
    );
  }

  async profileWords({ user_id, signal }: { user_id: string } & Abortable): Promise<ProfileWords | null> {
    signal?.throwIfAborted();
    const row = this.db.get<ProfileWordsRow>(`${PROFILE_WORDS} WHERE user_id = ?`, user_id);
    return row === null ? null : profileWords(row);
  }

  async conversationWords({ after, limit, signal }: PageOptions): Promise<ConversationWords[]> {
    signal?.throwIfAborted();
    const sql = `${CONVERSATION_WORDS} WHERE conversation_id > ? ORDER BY conversation_id LIMIT ?`;
    return this.db.all<ConversationWordsRow>(sql, after ?? "", limit).map(conversationWords);
  }

  /** Removes what these users said, and the files that were made from it. */
  async deleteUsers({ user_ids, signal }: { user_ids: readonly string[] } & Abortable): Promise<void> {
    const users = JSON.stringify(user_ids);
    for (const [table, key] of [["profile_words", "user_id"], ["conversation_words", "conversation_id"]]) {
      await this.db.writeAll({
        sql: `DELETE FROM ${table} WHERE ${key} IN (
                SELECT ${key} FROM ${table} WHERE user_id IN (SELECT value FROM json_each(?)) LIMIT ?)`,
        values: [users],
        limit: DELETE_LIMIT.rows,
        signal,
      });
    }
    await this.db.writeAll({
      sql: "DELETE FROM files WHERE rowid IN (SELECT rowid FROM files WHERE name = ? ORDER BY part LIMIT ?)",
      values: [WORDING_FILE],
      limit: DELETE_LIMIT.parts,
      signal,
    });
  }
}
