// deno-lint-ignore-file require-await -- the port is asynchronous, this engine is not
import type {
  Abortable,
  DirtyUser,
  Health,
  HealthOptions,
  Message,
  PageOptions,
  QuarantinedRow,
  WriteCounts,
} from "../../../core/types.ts";
import { SetDigest } from "../../engines/set_digest.ts";
import { KeyedTable, type KeyedTableOptions } from "../../engines/keyed_table.ts";
import type { Migration } from "../../engines/migration.ts";
import { type DirtyUserNames, DirtyUsers, dirtyUsersSchema } from "../../engines/dirty_users.ts";
import { BASE_ROWS_REFILL, type Sqlite, type SqliteOptions } from "../../engines/sqlite/sqlite.ts";
import { SQLITE_SCHEMA } from "../../engines/sqlite/file.ts";
import { SqliteDatabase } from "../../engines/sqlite/sqlite_database.ts";
import type {
  Classification,
  ClassifierCount,
  DocumentCounts,
  DocumentStore,
  IntentCount,
  LabelledMessage,
  QuarantineFilter,
  ReasonCount,
  StoredClassifier,
} from "../port.ts";
import { CLASSIFICATIONS_SCHEMA, SqliteClassifications } from "./classifications.ts";

const DIRTY_USERS: DirtyUserNames = { marks: "touched", counter: "writes" };

/**
 * Messages are stored in order of arrival, with a unique index on their id: ids are random, and an index entry is a fifth
 * of a row. The index on users holds rowids only; rows of one user arrive together and are few.
 */
const MIGRATIONS: readonly Migration[] = [
  `
CREATE TABLE messages (
  message_id TEXT NOT NULL UNIQUE,
  user_id TEXT NOT NULL,
  message TEXT NOT NULL,
  timestamp TEXT NOT NULL,
  conversation_id TEXT,
  role TEXT NOT NULL,
  intent TEXT,
  campaign_id TEXT,
  metadata TEXT
) STRICT;
CREATE INDEX messages_by_user ON messages (user_id);
CREATE TABLE quarantine (
  run_id TEXT NOT NULL,
  source TEXT NOT NULL,
  position INTEGER NOT NULL,
  kind TEXT NOT NULL,
  reason TEXT NOT NULL,
  raw TEXT NOT NULL,
  at TEXT NOT NULL,
  PRIMARY KEY (run_id, kind, source, position)
) STRICT;
${dirtyUsersSchema(DIRTY_USERS)(SQLITE_SCHEMA)}`,
  CLASSIFICATIONS_SCHEMA,
];

const MESSAGES: KeyedTableOptions<Message> = {
  table: "messages",
  key: "message_id",
  owner: "user_id",
  columns: {
    message_id: "plain",
    user_id: "plain",
    message: "plain",
    timestamp: "plain",
    conversation_id: "plain",
    role: "plain",
    intent: "plain",
    campaign_id: "plain",
    metadata: "json",
  },
};

/** Rows that one transaction deletes at most. */
const DELETE_LIMIT = 500;

/** {@link DocumentStore} in one SQLite file. Text has U+FFFD instead of U+0000 and lone surrogates. */
export class SqliteDocuments implements DocumentStore {
  private readonly database: SqliteDatabase;
  private readonly db: Sqlite;
  private readonly messages: KeyedTable<Message>;
  private readonly dirtyUsers: DirtyUsers;
  private readonly classificationStore: SqliteClassifications;

  /** Opens or creates the file. The folder must exist; `:memory:` is a store that ends with the process. */
  constructor(options: Pick<SqliteOptions, "path" | "busy_ms" | "create">) {
    this.database = new SqliteDatabase({ ...options, migrations: MIGRATIONS, refill: BASE_ROWS_REFILL });
    this.db = this.database.sqlite;
    this.dirtyUsers = new DirtyUsers(this.database, DIRTY_USERS);
    this.messages = new KeyedTable(this.database, MESSAGES);
    this.classificationStore = new SqliteClassifications(this.database, this.messages, this.dirtyUsers);
  }

  upsert(options: { messages: readonly Message[] } & Abortable): Promise<WriteCounts> {
    const markDirty = (users: readonly string[]) => this.dirtyUsers.mark(users);
    return this.messages.upsert({ rows: options.messages, markDirty, signal: options.signal });
  }

  listDirtyUsers(options: PageOptions): Promise<DirtyUser[]> {
    return this.dirtyUsers.page(options);
  }

  markAllDirty(options: Abortable = {}): Promise<void> {
    return this.dirtyUsers.markAll("messages", options);
  }

  clearDirty(options: { users: readonly DirtyUser[] } & Abortable): Promise<void> {
    return this.dirtyUsers.clear(options.users, options);
  }

  page(options: PageOptions & { user_ids?: readonly string[] }): Promise<Message[]> {
    if (options.user_ids === undefined) return this.messages.page(options);
    // The unary plus keeps the engine from walking all messages in the order of ids to find these users'.
    return this.messages.select(
      `WHERE user_id IN (SELECT value FROM json_each($1)) AND +message_id > $2 ORDER BY +message_id LIMIT $3`,
      [JSON.stringify(options.user_ids), options.after ?? "", options.limit],
      options,
    );
  }

  async intentCounts(options: { user_ids: readonly string[] } & Abortable): Promise<IntentCount[]> {
    options.signal?.throwIfAborted();
    return this.db.all<Omit<IntentCount, "intent"> & { expressed: string }>(
      `SELECT user_id, coalesce(intent, classified) AS expressed, count(*) AS count, max(timestamp) AS last
       FROM messages
       WHERE user_id IN (SELECT value FROM json_each(?)) AND role = 'user' AND expressed IS NOT NULL
       GROUP BY user_id, expressed ORDER BY user_id, expressed`,
      JSON.stringify(options.user_ids),
    ).map(({ expressed, ...row }) => ({ ...row, intent: expressed }));
  }

  classify(options: { rows: readonly Classification[] } & Abortable): Promise<number> {
    return this.classificationStore.classify(options);
  }

  unclassified(options: PageOptions & { classifier: string }): Promise<Message[]> {
    return this.classificationStore.unclassified(options);
  }

  unlabelled(options: PageOptions): Promise<Message[]> {
    return this.classificationStore.unlabelled(options);
  }

  classifications(options: { message_ids: readonly string[] } & Abortable): Promise<Classification[]> {
    return this.classificationStore.classifications(options);
  }

  classifierCounts(options?: Abortable): Promise<ClassifierCount[]> {
    return this.classificationStore.classifierCounts(options);
  }

  labelled(options: { intent: string; limit: number } & Abortable): Promise<string[]> {
    return this.classificationStore.labelled(options);
  }

  saveClassifier(
    options: { classifier: StoredClassifier; examples: readonly string[] } & Abortable,
  ): Promise<void> {
    return this.classificationStore.saveClassifier(options);
  }

  classifier(options?: Abortable): Promise<StoredClassifier | null> {
    return this.classificationStore.classifier(options);
  }

  examples(options: { classifier: string } & Abortable): Promise<LabelledMessage[]> {
    return this.classificationStore.examples(options);
  }

  async quarantine(options: { rows: readonly QuarantinedRow[] } & Abortable): Promise<void> {
    await this.db.writeEach(options.rows, (row) => {
      this.db.run(
        `INSERT INTO quarantine (run_id, source, position, kind, reason, raw, at) VALUES (?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT DO NOTHING`,
        ...[row.run_id, row.source, row.position, row.kind, row.reason, row.raw, row.at],
      );
    }, options);
  }

  async quarantined(
    options: QuarantineFilter & { limit: number; offset: number } & Abortable,
  ): Promise<QuarantinedRow[]> {
    options.signal?.throwIfAborted();
    return this.db.all<QuarantinedRow>(
      `SELECT run_id, kind, source, position, reason, raw, at FROM quarantine
       JOIN (SELECT run_id, max(at) AS newest FROM quarantine GROUP BY run_id) USING (run_id)
       WHERE run_id = coalesce(?, run_id) AND kind = coalesce(?, kind) AND source = coalesce(?, source)
         AND position = coalesce(?, position) AND reason = coalesce(?, reason)
       ORDER BY newest DESC, run_id DESC, kind, source, position LIMIT ? OFFSET ?`,
      ...[...filterValues(options), options.limit, options.offset],
    );
  }

  async quarantineReasons(options: QuarantineFilter & { limit: number } & Abortable): Promise<ReasonCount[]> {
    options.signal?.throwIfAborted();
    return this.db.all<ReasonCount>(
      `SELECT kind, reason, count(*) AS rows FROM quarantine
       WHERE run_id = coalesce(?, run_id) AND kind = coalesce(?, kind) AND source = coalesce(?, source)
         AND position = coalesce(?, position) AND reason = coalesce(?, reason)
       GROUP BY kind, reason ORDER BY rows DESC, kind, reason LIMIT ?`,
      ...[...filterValues(options), options.limit],
    );
  }

  pruneQuarantine(options: { before: string } & Abortable): Promise<number> {
    return this.db.writeAll({
      sql: "DELETE FROM quarantine WHERE rowid IN (SELECT rowid FROM quarantine WHERE at < ? LIMIT ?)",
      values: [options.before],
      limit: DELETE_LIMIT,
      signal: options.signal,
    });
  }

  async deleteUsers(options: { user_ids: readonly string[] } & Abortable): Promise<number> {
    const deleted = await this.db.writeAll({
      sql: `DELETE FROM messages WHERE rowid IN (
              SELECT messages.rowid FROM messages WHERE user_id IN (SELECT value FROM json_each(?)) LIMIT ?)`,
      values: [JSON.stringify(options.user_ids)],
      limit: DELETE_LIMIT,
      signal: options.signal,
    });
    await this.database.write(() => this.dirtyUsers.forget(options.user_ids), options);
    await this.db.scrub();
    return deleted;
  }

  async counts(options: Abortable = {}): Promise<DocumentCounts> {
    options.signal?.throwIfAborted();
    return this.db.get<DocumentCounts>(
      `SELECT (SELECT count(*) FROM messages) AS messages,
              (SELECT count(DISTINCT user_id) FROM messages) AS users,
              (SELECT count(*) FROM quarantine) AS quarantined`,
    )!;
  }

  async digest(options: Abortable = {}): Promise<string> {
    const digest = new SetDigest();
    for await (const message of this.messages.rows(options)) digest.add({ ...message });
    for await (const row of this.classificationStore.rows(options)) {
      digest.add(["classification", { ...row }]);
    }
    return digest.hex();
  }

  async health(options: HealthOptions = {}): Promise<Health> {
    options.signal?.throwIfAborted();
    return this.db.health(options);
  }

  close(): Promise<void> {
    return this.database.close();
  }
}

/** In the order of the conditions of a query. */
function filterValues({ run_id, kind, source, position, reason }: QuarantineFilter) {
  return [run_id ?? null, kind ?? null, source ?? null, position ?? null, reason ?? null];
}
