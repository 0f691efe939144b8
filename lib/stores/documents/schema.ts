import type { Message } from "../../core/types.ts";
import { type DirtyUserNames, dirtyUsersSchema } from "../engines/dirty_users.ts";
import type { KeyedTableOptions } from "../engines/keyed_table.ts";
import type { Migration, SchemaDialect } from "../engines/migration.ts";
import type { TableSpec } from "../engines/sql_tables.ts";
import { tombstonesSchema } from "../engines/tombstones.ts";

/** A PostgreSQL schema may also have analytics, with dirty users of their own. */
export const DIRTY_USERS: DirtyUserNames = { marks: "document_dirty_users", counter: "document_writes" };
export const TOMBSTONES = "document_tombstones";
const FORMER_DIRTY_USERS: DirtyUserNames = { marks: "touched", counter: "writes" };

/**
 * Messages are stored in order of arrival, with a unique index on their id: ids are random, and an index entry is a fifth
 * of a row. On SQLite, the index on users holds rowids only; rows of one user arrive together and are few.
 *
 * `classified` is the intent that `classifier` found, null for out of scope; `classifier` is null before a message is
 * classified. `example_of` is the classifier that was trained on the message's given intent. The one stored classifier
 * is the row 1.
 */
export const DOCUMENT_MIGRATIONS: readonly Migration[] = [
  (sql) => `
CREATE TABLE messages (
  message_id ${sql.text} NOT NULL UNIQUE,
  user_id ${sql.text} NOT NULL,
  message ${sql.text} NOT NULL,
  timestamp ${sql.text} NOT NULL,
  conversation_id ${sql.text},
  role ${sql.text} NOT NULL,
  intent ${sql.text},
  campaign_id ${sql.text},
  metadata ${sql.text}
) ${sql.strict};
CREATE INDEX messages_by_user ON messages (user_id);
CREATE TABLE quarantine (
  run_id ${sql.text} NOT NULL,
  source ${sql.text} NOT NULL,
  position ${sql.integer} NOT NULL,
  kind ${sql.text} NOT NULL,
  reason ${sql.text} NOT NULL,
  raw ${sql.text} NOT NULL,
  at ${sql.text} NOT NULL${sql.engine === "sqlite" ? ", PRIMARY KEY (run_id, kind, source, position)" : ""}
) ${sql.strict};
${
    // A source may be longer than an entry of an index on PostgreSQL.
    sql.engine === "postgres"
      ? "CREATE UNIQUE INDEX quarantine_by_position ON quarantine (run_id, kind, hashtextextended(source, 0), position);"
      : ""}
${dirtyUsersSchema(sql.engine === "sqlite" ? FORMER_DIRTY_USERS : DIRTY_USERS)(sql)}`,
  (sql) => `
ALTER TABLE messages ADD COLUMN classified ${sql.text};
ALTER TABLE messages ADD COLUMN score ${sql.real};
ALTER TABLE messages ADD COLUMN classifier ${sql.text};
ALTER TABLE messages ADD COLUMN example_of ${sql.text};
CREATE INDEX messages_by_intent ON messages (intent, timestamp) WHERE role = 'user' AND intent IS NOT NULL;
CREATE INDEX messages_by_example ON messages (example_of) WHERE example_of IS NOT NULL;
${forgetClassification(sql)}
CREATE TABLE classifiers (
  id ${sql.integer} PRIMARY KEY CHECK (id = 1), key ${sql.text} NOT NULL, body ${sql.text} NOT NULL
) ${sql.strict};
`,
  (sql) =>
    sql.engine === "sqlite"
      ? `ALTER TABLE ${FORMER_DIRTY_USERS.marks} RENAME TO ${DIRTY_USERS.marks};
         ALTER TABLE ${FORMER_DIRTY_USERS.counter} RENAME TO ${DIRTY_USERS.counter}`
      : "",
  tombstonesSchema(TOMBSTONES),
];

/** A message whose text changes is no longer classified, nor an example. */
function forgetClassification({ engine }: SchemaDialect): string {
  const changed = "UPDATE OF message ON messages";
  return engine === "sqlite"
    ? `CREATE TRIGGER messages_said_anew AFTER ${changed} WHEN new.message <> old.message BEGIN
         UPDATE messages SET classified = NULL, score = NULL, classifier = NULL, example_of = NULL
         WHERE rowid = new.rowid;
       END;`
    : `CREATE FUNCTION forget_classification() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
         new.classified := NULL; new.score := NULL; new.classifier := NULL; new.example_of := NULL;
         RETURN new;
       END $$;
       CREATE TRIGGER messages_said_anew BEFORE ${changed} FOR EACH ROW WHEN (new.message <> old.message)
         EXECUTE FUNCTION forget_classification();`;
}

export const MESSAGES: KeyedTableOptions<Message> = {
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

/** What is read page by page as it is. A row may have a text as long as a message. */
export const DOCUMENT_TABLES = {
  quarantine: { key: ["run_id", "kind", "source", "position"], page: 500 },
} satisfies Readonly<Record<string, TableSpec>>;
