// deno-lint-ignore-file require-await -- the port is asynchronous, this engine is not
import type {
  Abortable,
  Health,
  HealthOptions,
  Message,
  QuarantinedRow,
  Touched,
  WriteCounts,
} from "../../../core/types.ts";
import { SetDigest } from "../../engines/set_digest.ts";
import { KeyedTable, type KeyedTableOptions } from "../../engines/keyed_table.ts";
import { BASE_ROWS_REFILL, type Migration, Sqlite, type SqliteOptions } from "../../engines/sqlite/sqlite.ts";
import { Touches, TOUCHES_SCHEMA } from "../../engines/sqlite/dirty_users.ts";
import type {
  Classification,
  ClassifierCount,
  DocumentCounts,
  DocumentStore,
  IntentCount,
  KeptClassifier,
  LabelledMessage,
  QuarantineFilter,
  ReasonCount,
} from "../port.ts";
import { Classified, CLASSIFIED_SCHEMA } from "./classifications.ts";

/**
 * Messages sit in order of arrival beside a unique index on their id: ids are random, and an index entry is a fifth
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
${TOUCHES_SCHEMA}`,
  CLASSIFIED_SCHEMA,
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

/** {@link DocumentStore} in one SQLite file. Text columns keep U+FFFD in the place of U+0000 and lone surrogates. */
export class SqliteDocuments implements DocumentStore {
  private readonly db: Sqlite;
  private readonly messages: KeyedTable<Message>;
  private readonly touches: Touches;
  private readonly classified: Classified;

  /** Opens the file, or makes it. The folder must exist; `:memory:` is a store that ends with the process. */
  constructor(o: Pick<SqliteOptions, "path" | "busy_ms" | "create">) {
    this.db = new Sqlite({ ...o, migrations: MIGRATIONS, refill: BASE_ROWS_REFILL });
    this.touches = new Touches(this.db);
    this.messages = new KeyedTable(this.db, MESSAGES);
    this.classified = new Classified(this.db, this.messages, this.touches);
  }

  upsert(o: { messages: readonly Message[] } & Abortable): Promise<WriteCounts> {
    const touch = (users: readonly string[]) => this.touches.touch(users);
    return this.messages.upsert({ rows: o.messages, touch, signal: o.signal });
  }

  async touched(o: { after: string | null; limit: number } & Abortable): Promise<Touched[]> {
    o.signal?.throwIfAborted();
    return this.touches.page(o);
  }

  touchAll(o: Abortable = {}): Promise<void> {
    return this.touches.touchAll("messages", o);
  }

  settle(o: { touched: readonly Touched[] } & Abortable): Promise<void> {
    return this.touches.settle(o.touched, o);
  }

  async page(
    o: { after: string | null; limit: number; user_ids?: readonly string[] } & Abortable,
  ): Promise<Message[]> {
    o.signal?.throwIfAborted();
    if (o.user_ids === undefined) return this.messages.page(o);
    // The unary plus keeps the engine from walking all messages in the order of ids to find these users'.
    return this.messages.select(
      `WHERE user_id IN (SELECT value FROM json_each(?)) AND +message_id > ? ORDER BY +message_id LIMIT ?`,
      JSON.stringify(o.user_ids),
      o.after ?? "",
      o.limit,
    );
  }

  async intentCounts(o: { user_ids: readonly string[] } & Abortable): Promise<IntentCount[]> {
    o.signal?.throwIfAborted();
    return this.db.all<Omit<IntentCount, "intent"> & { expressed: string }>(
      `SELECT user_id, coalesce(intent, classified) AS expressed, count(*) AS count, max(timestamp) AS last
       FROM messages
       WHERE user_id IN (SELECT value FROM json_each(?)) AND role = 'user' AND expressed IS NOT NULL
       GROUP BY user_id, expressed ORDER BY user_id, expressed`,
      JSON.stringify(o.user_ids),
    ).map(({ expressed, ...row }) => ({ ...row, intent: expressed }));
  }

  classify(o: { rows: readonly Classification[] } & Abortable): Promise<number> {
    return this.classified.set(o);
  }

  async unclassified(
    o: { classifier: string; after: string | null; limit: number } & Abortable,
  ): Promise<Message[]> {
    o.signal?.throwIfAborted();
    return this.classified.missing(o);
  }

  async unlabelled(o: { after: string | null; limit: number } & Abortable): Promise<Message[]> {
    o.signal?.throwIfAborted();
    return this.classified.without(o);
  }

  async classifications(o: { message_ids: readonly string[] } & Abortable): Promise<Classification[]> {
    o.signal?.throwIfAborted();
    return this.classified.of(o.message_ids);
  }

  async classifierCounts(o: Abortable = {}): Promise<ClassifierCount[]> {
    o.signal?.throwIfAborted();
    return this.classified.counts();
  }

  async labelled(o: { intent: string; limit: number } & Abortable): Promise<string[]> {
    o.signal?.throwIfAborted();
    return this.classified.labelled(o);
  }

  keepClassifier(o: { classifier: KeptClassifier; examples: readonly string[] } & Abortable): Promise<void> {
    return this.classified.keep(o);
  }

  async classifier(o: Abortable = {}): Promise<KeptClassifier | null> {
    o.signal?.throwIfAborted();
    return this.classified.kept();
  }

  async examples(o: { classifier: string } & Abortable): Promise<LabelledMessage[]> {
    o.signal?.throwIfAborted();
    return this.classified.examples(o.classifier);
  }

  async quarantine(o: { rows: readonly QuarantinedRow[] } & Abortable): Promise<void> {
    await this.db.writeEach(o.rows, (row) => {
      this.db.run(
        `INSERT INTO quarantine (run_id, source, position, kind, reason, raw, at) VALUES (?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT DO NOTHING`,
        ...[row.run_id, row.source, row.position, row.kind, row.reason, row.raw, row.at],
      );
    }, o);
  }

  async quarantined(
    o: QuarantineFilter & { limit: number; offset: number } & Abortable,
  ): Promise<QuarantinedRow[]> {
    o.signal?.throwIfAborted();
    return this.db.all<QuarantinedRow>(
      `SELECT run_id, kind, source, position, reason, raw, at FROM quarantine
       JOIN (SELECT run_id, max(at) AS newest FROM quarantine GROUP BY run_id) USING (run_id)
       WHERE run_id = coalesce(?, run_id) AND kind = coalesce(?, kind) AND source = coalesce(?, source)
         AND position = coalesce(?, position) AND reason = coalesce(?, reason)
       ORDER BY newest DESC, run_id DESC, kind, source, position LIMIT ? OFFSET ?`,
      ...[...filterValues(o), o.limit, o.offset],
    );
  }

  async quarantineReasons(o: QuarantineFilter & { limit: number } & Abortable): Promise<ReasonCount[]> {
    o.signal?.throwIfAborted();
    return this.db.all<ReasonCount>(
      `SELECT kind, reason, count(*) AS rows FROM quarantine
       WHERE run_id = coalesce(?, run_id) AND kind = coalesce(?, kind) AND source = coalesce(?, source)
         AND position = coalesce(?, position) AND reason = coalesce(?, reason)
       GROUP BY kind, reason ORDER BY rows DESC, kind, reason LIMIT ?`,
      ...[...filterValues(o), o.limit],
    );
  }

  pruneQuarantine(o: { before: string } & Abortable): Promise<number> {
    return this.db.writeAll({
      sql: "DELETE FROM quarantine WHERE rowid IN (SELECT rowid FROM quarantine WHERE at < ? LIMIT ?)",
      values: [o.before],
      limit: DELETE_LIMIT,
      signal: o.signal,
    });
  }

  async deleteUsers(o: { user_ids: readonly string[] } & Abortable): Promise<number> {
    const gone = await this.db.writeAll({
      sql: `DELETE FROM messages WHERE rowid IN (
              SELECT messages.rowid FROM messages WHERE user_id IN (SELECT value FROM json_each(?)) LIMIT ?)`,
      values: [JSON.stringify(o.user_ids)],
      limit: DELETE_LIMIT,
      signal: o.signal,
    });
    await this.db.write(() => this.touches.forget(o.user_ids), o);
    await this.db.scrub();
    return gone;
  }

  async counts(o: Abortable = {}): Promise<DocumentCounts> {
    o.signal?.throwIfAborted();
    return this.db.get<DocumentCounts>(
      `SELECT (SELECT count(*) FROM messages) AS messages,
              (SELECT count(DISTINCT user_id) FROM messages) AS users,
              (SELECT count(*) FROM quarantine) AS quarantined`,
    )!;
  }

  async digest(o: Abortable = {}): Promise<string> {
    const digest = new SetDigest();
    for await (const message of this.messages.rows(o)) digest.add({ ...message });
    for await (const row of this.classified.rows(o)) digest.add(["classification", { ...row }]);
    return digest.hex();
  }

  async health(o: HealthOptions = {}): Promise<Health> {
    o.signal?.throwIfAborted();
    return this.db.health(o);
  }

  async close(): Promise<void> {
    this.db.close();
  }
}

/** In the order of the conditions of a query. */
function filterValues({ run_id, kind, source, position, reason }: QuarantineFilter) {
  return [run_id ?? null, kind ?? null, source ?? null, position ?? null, reason ?? null];
}
