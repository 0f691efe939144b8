import type { Abortable, PageOptions } from "../../core/types.ts";
import { all, type Dialect, get, run, runRows, type SqlDatabase, storableJson } from "../engines/sql.ts";
import {
  type ConversationWords,
  type ProfileWords,
  type SetWordsOptions,
  type WordingStore,
} from "./port.ts";

/** The tables of words, with their keys. */
const TABLES = [["profile_words", "user_id"], ["conversation_words", "conversation_id"]] as const;
const USER = { user_id: "text" } as const;
const PROFILE = { user_id: "text", words: "text", named: "text", negations: "text" } as const;
const CONVERSATION = {
  conversation_id: "text",
  user_id: "text",
  words: "text",
  named: "bigint",
  named_shown: "bigint",
} as const;
const PROFILES = Object.keys(PROFILE).join(", ");
const CONVERSATIONS = Object.keys(CONVERSATION).join(", ");

/** Rows with JSON as text. */
type ProfileRow = { readonly [key in keyof ProfileWords]: string };
type ConversationRow = Omit<ConversationWords, "words"> & { readonly words: string };

function statements(dialect: Dialect) {
  return {
    clear: TABLES.map(([table]) => dialect.deleteRows(table, ["user_id"])),
    insertProfiles: dialect.insertRows("profile_words", Object.keys(PROFILE)),
    insertConversations: dialect.insertRows("conversation_words", Object.keys(CONVERSATION)),
    deleteUsers: TABLES.map(([table, key]) =>
      `DELETE FROM ${table} WHERE ${key} IN (
        SELECT ${key} FROM ${table} WHERE ${dialect.isIn("user_id", "$1")} LIMIT $2)`
    ),
  };
}

export class SqlWording implements WordingStore {
  private readonly sql: ReturnType<typeof statements>;

  constructor(private readonly db: SqlDatabase) {
    this.sql = statements(db.dialect);
  }

  async setWords(options: SetWordsOptions): Promise<void> {
    const { sql } = this;
    const profiles = Map.groupBy(options.profiles, ({ user_id }) => user_id);
    const conversations = Map.groupBy(options.conversations, ({ user_id }) => user_id);
    await this.db.writeEach(options.user_ids, function* (group) {
      const users = group.map((user_id) => ({ user_id }));
      for (const clear of sql.clear) yield* runRows(clear, [], USER, users);
      const own = group.flatMap((user_id) => profiles.get(user_id) ?? []).map((row) => (
        {
          ...row,
          words: JSON.stringify(row.words),
          named: JSON.stringify(row.named),
          negations: JSON.stringify(row.negations),
        }
      ));
      if (own.length > 0) yield* runRows(sql.insertProfiles, [], PROFILE, own);
      const led = group.flatMap((user_id) => conversations.get(user_id) ?? []).map((row) => (
        { ...row, words: JSON.stringify(row.words) }
      ));
      if (led.length > 0) yield* runRows(sql.insertConversations, [], CONVERSATION, led);
    }, { size: (user_id) => 2 + (conversations.get(user_id)?.length ?? 0), signal: options.signal });
  }

  async profileWords(options: { user_id: string } & Abortable): Promise<ProfileWords | null> {
    const sql = `SELECT ${PROFILES} FROM profile_words WHERE user_id = $1`;
    const row = await this.db.query(() => get<ProfileRow>(sql, options.user_id), options);
    if (row === null) return null;
    const { words, named, negations } = row;
    return { ...row, words: JSON.parse(words), named: JSON.parse(named), negations: JSON.parse(negations) };
  }

  async conversationWords(
    { after, limit, user_id, signal }: PageOptions & { user_id?: string },
  ): Promise<ConversationWords[]> {
    const [own, values] = user_id === undefined ? ["", []] : ["AND user_id = $3", [user_id]];
    const sql = `SELECT ${CONVERSATIONS} FROM conversation_words WHERE conversation_id > $1 ${own}
      ORDER BY conversation_id LIMIT $2`;
    const read = () => all<ConversationRow>(sql, after ?? "", limit, ...values);
    const rows = await this.db.query(read, { signal });
    return rows.map((row) => ({ ...row, words: JSON.parse(row.words) }));
  }

  /** Removes what these users said. Files that were made from it stay until a version is built without it. */
  async deleteUsers({ user_ids, signal }: { user_ids: readonly string[] } & Abortable): Promise<void> {
    const users = storableJson(user_ids);
    const { sql } = this;
    await this.db.writeAll(function* (limit) {
      let deleted = 0;
      for (const each of sql.deleteUsers) deleted += yield* run(each, users, limit - deleted);
      return deleted;
    }, { signal });
  }
}
