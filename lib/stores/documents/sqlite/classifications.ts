// deno-lint-ignore-file require-await -- the port is asynchronous, this engine is not
import { yieldToEventLoop } from "../../../core/abort.ts";
import { paged } from "../../../core/batches.ts";
import type { Abortable, Message, PageOptions } from "../../../core/types.ts";
import type { KeyedTable } from "../../engines/keyed_table.ts";
import type { DirtyUsers } from "../../engines/dirty_users.ts";
import type { Migration } from "../../engines/migration.ts";
import { get, run, type Steps } from "../../engines/sql.ts";
import type { Sqlite } from "../../engines/sqlite/sqlite.ts";
import type { SqliteDatabase } from "../../engines/sqlite/sqlite_database.ts";
import type {
  Classification,
  ClassificationStore,
  ClassifierCount,
  LabelledMessage,
  StoredClassifier,
} from "../port.ts";

/**
 * `classified` is the intent that `classifier` found, null for out of scope; `classifier` is null before a message is
 * classified. `example_of` is the classifier that was trained on the message's given intent. The one stored classifier
 * is the row 1.
 */
export const CLASSIFICATIONS_SCHEMA: Migration = `
ALTER TABLE messages ADD COLUMN classified TEXT;
ALTER TABLE messages ADD COLUMN score REAL;
ALTER TABLE messages ADD COLUMN classifier TEXT;
ALTER TABLE messages ADD COLUMN example_of TEXT;
CREATE INDEX messages_by_intent ON messages (intent, timestamp) WHERE role = 'user' AND intent IS NOT NULL;
CREATE INDEX messages_by_example ON messages (example_of) WHERE example_of IS NOT NULL;
CREATE TRIGGER messages_said_anew AFTER UPDATE OF message ON messages WHEN new.message <> old.message BEGIN
  UPDATE messages SET classified = NULL, score = NULL, classifier = NULL, example_of = NULL
  WHERE rowid = new.rowid;
END;
CREATE TABLE classifiers (id INTEGER PRIMARY KEY CHECK (id = 1), key TEXT NOT NULL, body TEXT NOT NULL) STRICT;
`;

const COLUMNS = "message_id, classified AS intent, score, classifier";
const WITHOUT_INTENT = "message_id > $1 AND role = 'user' AND intent IS NULL";
/** Rows that are read at once. */
const PAGE = 500;

export class SqliteClassifications implements ClassificationStore {
  private readonly db: Sqlite;

  constructor(
    private readonly database: SqliteDatabase,
    private readonly messages: KeyedTable<Message>,
    private readonly dirtyUsers: DirtyUsers,
  ) {
    this.db = database.sqlite;
  }

  async classify(options: { rows: readonly Classification[] } & Abortable): Promise<number> {
    const { dirtyUsers } = this;
    const beforeCommit = (changed: readonly (readonly string[])[]) =>
      dirtyUsers.mark([...new Set(changed.flat())]);
    const changed = await this.database.writeEach(options.rows, classifyRows, {
      beforeCommit,
      signal: options.signal,
    });
    return changed.flat().length;
  }

  unclassified(options: PageOptions & { classifier: string }): Promise<Message[]> {
    return this.messages.select(
      `WHERE ${WITHOUT_INTENT} AND classifier IS NOT $2 ORDER BY message_id LIMIT $3`,
      [options.after ?? "", options.classifier, options.limit],
      options,
    );
  }

  unlabelled(options: PageOptions): Promise<Message[]> {
    return this.messages.select(
      `WHERE ${WITHOUT_INTENT} AND classified IS NULL ORDER BY message_id LIMIT $2`,
      [options.after ?? "", options.limit],
      options,
    );
  }

  async classifications(options: { message_ids: readonly string[] } & Abortable): Promise<Classification[]> {
    options.signal?.throwIfAborted();
    return this.db.all<Classification>(
      `SELECT ${COLUMNS} FROM messages
       WHERE message_id IN (SELECT value FROM json_each(?)) AND classifier IS NOT NULL ORDER BY message_id`,
      JSON.stringify(options.message_ids),
    );
  }

  /** All classifications in ascending id, read in pages, so that other work gets its turn. */
  rows(options: Abortable): AsyncGenerator<Classification> {
    return paged(PAGE, (row) => row.message_id, async (after, limit) => {
      await yieldToEventLoop(options);
      return this.db.all<Classification>(
        `SELECT ${COLUMNS} FROM messages WHERE message_id > ? AND classifier IS NOT NULL
         ORDER BY message_id LIMIT ?`,
        after ?? "",
        limit,
      );
    });
  }

  async classifierCounts(options: Abortable = {}): Promise<ClassifierCount[]> {
    options.signal?.throwIfAborted();
    return this.db.all<ClassifierCount>(
      `SELECT classifier, count(*) AS messages, count(*) FILTER (WHERE classified IS NULL) AS out_of_scope
       FROM messages WHERE classifier IS NOT NULL GROUP BY classifier ORDER BY classifier`,
    );
  }

  async labelled(options: { intent: string; limit: number } & Abortable): Promise<string[]> {
    options.signal?.throwIfAborted();
    return this.db.all<{ message_id: string }>(
      `SELECT message_id FROM messages WHERE intent = ? AND role = 'user'
       ORDER BY timestamp DESC, message_id LIMIT ?`,
      options.intent,
      options.limit,
    ).map(({ message_id }) => message_id);
  }

  /** The examples are marked first, in short transactions: a stored classifier has all of its own. */
  async saveClassifier(
    options: { classifier: StoredClassifier; examples: readonly string[] } & Abortable,
  ): Promise<void> {
    const { key, body } = options.classifier;
    await this.db.writeEach(options.examples, (message_id) => {
      this.db.run("UPDATE messages SET example_of = ? WHERE message_id = ?", key, message_id);
    }, options);
    await this.db.write(() => {
      this.db.run("INSERT OR REPLACE INTO classifiers (id, key, body) VALUES (1, ?, ?)", key, body);
    }, options);
  }

  async classifier(options: Abortable = {}): Promise<StoredClassifier | null> {
    options.signal?.throwIfAborted();
    return this.db.get<StoredClassifier>("SELECT key, body FROM classifiers");
  }

  async examples(options: { classifier: string } & Abortable): Promise<LabelledMessage[]> {
    options.signal?.throwIfAborted();
    return this.db.all<LabelledMessage>(
      `SELECT message_id, intent FROM messages
       WHERE example_of = ? AND role = 'user' AND intent IS NOT NULL ORDER BY message_id`,
      options.classifier,
    );
  }
}

/** Returns the users of the rows whose intent changed, one for each row. */
function* classifyRows(rows: readonly Classification[]): Steps<string[]> {
  const users: string[] = [];
  for (const { message_id, intent, score, classifier } of rows) {
    const before = yield* get<{ user_id: string; classified: string | null }>(
      "SELECT user_id, classified FROM messages WHERE message_id = $1",
      message_id,
    );
    if (before === null) continue;
    const sql = "UPDATE messages SET classified = $1, score = $2, classifier = $3 WHERE message_id = $4";
    yield* run(sql, intent, score, classifier, message_id);
    if (before.classified !== intent) users.push(before.user_id);
  }
  return users;
}
