import { yieldToEventLoop } from "../../core/abort.ts";
import { paged } from "../../core/batches.ts";
import type {
  Abortable,
  DirtyUser,
  Message,
  PageOptions,
  QuarantinedRow,
  WriteCounts,
} from "../../core/types.ts";
import { DirtyUsers } from "../engines/dirty_users.ts";
import { KeyedTable } from "../engines/keyed_table.ts";
import { SetDigest } from "../engines/set_digest.ts";
import {
  all,
  get,
  run,
  runRows,
  type SqlDatabase,
  type SqlValue,
  type Steps,
  storableJson,
} from "../engines/sql.ts";
import { SqlStore } from "../engines/sql_store.ts";
import { SqlTables } from "../engines/sql_tables.ts";
import { SqlTombstones } from "../engines/tombstones.ts";
import type {
  Classification,
  ClassifierCount,
  DocumentCounts,
  DocumentStore,
  IntentCount,
  LabelledMessage,
  QuarantineFilter,
  QuarantinePosition,
  ReasonCount,
  StoredClassifier,
} from "./port.ts";
import { DIRTY_USERS, DOCUMENT_TABLES, MESSAGES, TOMBSTONES } from "./schema.ts";
import { CLASSIFIED, type DocumentSql, documentSql, EXAMPLE, POSITION, QUARANTINED } from "./statements.ts";

/** Rows that are read at once. */
const PAGE = 500;
/** For statements that may read all messages. */
const SCAN = { timeout_ms: 60_000 };

/** {@link DocumentStore} in SQL. Text has U+FFFD instead of U+0000 and lone surrogates. */
export class SqlDocuments extends SqlStore implements DocumentStore {
  readonly tombstones: SqlTombstones;
  private readonly messages: KeyedTable<Message>;
  private readonly dirtyUsers: DirtyUsers;
  private readonly tables: SqlTables;
  private readonly sql: DocumentSql;

  protected constructor(db: SqlDatabase) {
    super(db);
    this.tombstones = new SqlTombstones(db, TOMBSTONES);
    this.messages = new KeyedTable(db, MESSAGES);
    this.dirtyUsers = new DirtyUsers(db, DIRTY_USERS);
    this.tables = new SqlTables(db, DOCUMENT_TABLES);
    this.sql = documentSql(db.dialect);
  }

  upsert({ messages: rows, ...options }: Parameters<DocumentStore["upsert"]>[0]): Promise<WriteCounts> {
    const markDirty = (users: readonly string[]) => this.dirtyUsers.mark(users);
    return this.messages.upsert({ rows, markDirty, ...options });
  }

  findDirtyUsers(options: { user_ids: readonly string[] } & Abortable): Promise<DirtyUser[]> {
    return this.dirtyUsers.among(options.user_ids, options);
  }

  listDirtyUsers(options: PageOptions): Promise<DirtyUser[]> {
    return this.dirtyUsers.page(options);
  }

  markDirty(options: { user_ids: readonly string[] } & Abortable): Promise<void> {
    const user_ids = [...new Set(options.user_ids)].sort();
    return this.db.write(() => this.dirtyUsers.mark(user_ids), options);
  }

  markAllDirty(options: Abortable = {}): Promise<void> {
    return this.dirtyUsers.markAll("messages", options);
  }

  clearDirty(options: { users: readonly DirtyUser[] } & Abortable): Promise<void> {
    return this.dirtyUsers.clear(options.users, options);
  }

  page(options: PageOptions & { user_ids?: readonly string[] }): Promise<Message[]> {
    const { user_ids, after, limit, signal } = options;
    if (user_ids === undefined) return this.messages.page(options);
    return this.messages.select(this.sql.ofUsers, [storableJson(user_ids), after ?? "", limit], { signal });
  }

  intentCounts({ user_ids, signal }: { user_ids: readonly string[] } & Abortable): Promise<IntentCount[]> {
    return this.query(this.sql.intentCounts, [storableJson(user_ids)], { signal });
  }

  async classify({ rows, signal }: { rows: readonly Classification[] } & Abortable): Promise<number> {
    const { dirtyUsers } = this;
    const beforeCommit = (changed: readonly (readonly string[])[]) =>
      dirtyUsers.mark([...new Set(changed.flat())].sort());
    const changed = await this.db.writeEach(rows, (group) => this.classifySteps(group), {
      beforeCommit,
      signal,
    });
    return changed.flat().length;
  }

  /** Returns the users of the rows whose intent changed, one for each row. */
  private *classifySteps(rows: readonly Classification[]): Steps<string[]> {
    const byId = new Map(rows.map((row) => [row.message_id, row]));
    const before = yield* all<{ message_id: string; user_id: string; classified: string | null }>(
      this.sql.beforeClassify,
      storableJson([...byId.keys()]),
    );
    const results = Array.from(byId.values(), ({ intent, ...row }) => ({ ...row, classified: intent }));
    yield* runRows(this.sql.classify, [], CLASSIFIED, results);
    const changed = before.filter(({ message_id, classified }) =>
      byId.get(message_id)!.intent !== classified
    );
    return changed.map(({ user_id }) => user_id);
  }

  unclassified(
    { after, classifier, limit, signal }: PageOptions & { classifier: string },
  ): Promise<Message[]> {
    return this.messages.select(this.sql.unclassified, [after ?? "", limit, classifier], { ...SCAN, signal });
  }

  unlabelled({ after, limit, signal }: PageOptions): Promise<Message[]> {
    return this.messages.select(this.sql.unlabelled, [after ?? "", limit], { ...SCAN, signal });
  }

  classifications(
    { message_ids, signal }: { message_ids: readonly string[] } & Abortable,
  ): Promise<Classification[]> {
    return this.query(this.sql.classifications, [storableJson(message_ids)], { signal });
  }

  classifierCounts({ signal }: Abortable = {}): Promise<ClassifierCount[]> {
    return this.scan(this.sql.classifierCounts, { signal });
  }

  async labelled(
    { intent, limit, signal }: { intent: string; limit: number } & Abortable,
  ): Promise<string[]> {
    const rows = await this.query<{ message_id: string }>(this.sql.labelled, [intent, limit], { signal });
    return rows.map(({ message_id }) => message_id);
  }

  /** The examples are marked first, in short transactions: a stored classifier has all of its own. */
  async saveClassifier(
    { classifier, examples, signal }:
      & { classifier: StoredClassifier; examples: readonly string[] }
      & Abortable,
  ): Promise<void> {
    const { markExample, saveClassifier } = this.sql;
    const { key, body } = classifier;
    await this.db.writeEach(examples, (group) => {
      const rows = [...new Set(group)].sort().map((message_id) => ({ message_id, example_of: key }));
      return runRows(markExample, [], EXAMPLE, rows);
    }, { signal });
    await this.db.write(() => run(saveClassifier, key, body), { signal });
  }

  classifier(options: Abortable = {}): Promise<StoredClassifier | null> {
    return this.db.query(() => get("SELECT key, body FROM classifiers"), options);
  }

  examples({ classifier, signal }: { classifier: string } & Abortable): Promise<LabelledMessage[]> {
    return this.query(this.sql.examples, [classifier], { signal });
  }

  async quarantine({ rows, signal }: { rows: readonly QuarantinedRow[] } & Abortable): Promise<void> {
    await this.db.writeEach(rows, (group) => runRows(this.sql.quarantine, [], QUARANTINED, group), {
      signal,
    });
  }

  quarantined(
    { limit, offset, signal, ...filter }: QuarantineFilter & { limit: number; offset: number } & Abortable,
  ): Promise<QuarantinedRow[]> {
    return this.query(this.sql.quarantined, [...filterValues(filter), limit, offset], { signal });
  }

  async *quarantinePages(options: { after: string | null } & Abortable) {
    for await (const { rows, after } of this.tables.read({ table: "quarantine", ...options })) {
      yield { rows: rows as unknown as readonly QuarantinedRow[], after };
    }
  }

  quarantineReasons(
    { limit, signal, ...filter }: QuarantineFilter & { limit: number } & Abortable,
  ): Promise<ReasonCount[]> {
    return this.query(this.sql.quarantineReasons, [...filterValues(filter), limit], { signal });
  }

  async deleteQuarantined(
    { rows, signal }: { rows: readonly QuarantinePosition[] } & Abortable,
  ): Promise<number> {
    const { deleteQuarantined } = this.sql;
    const deleted = await this.db.writeEach(
      rows,
      (group) => runRows(deleteQuarantined, [], POSITION, group),
      { signal },
    );
    await this.db.scrub();
    return deleted.reduce((sum, count) => sum + count, 0);
  }

  pruneQuarantine({ before, signal }: { before: string } & Abortable): Promise<number> {
    return this.db.writeAll((limit) => run(this.sql.pruneQuarantine, before, limit), { signal });
  }

  async deleteUsers({ user_ids, signal }: { user_ids: readonly string[] } & Abortable): Promise<number> {
    const users = storableJson(user_ids);
    const deleted = await this.db.writeAll((limit) => run(this.sql.deleteMessages, users, limit), { signal });
    await this.db.write(() => this.dirtyUsers.forget(user_ids), { signal });
    await this.db.scrub();
    return deleted;
  }

  async counts({ signal }: Abortable = {}): Promise<DocumentCounts> {
    const [counts] = await this.scan<DocumentCounts>(this.sql.counts, { signal });
    return counts!;
  }

  async digest(options: Abortable = {}): Promise<string> {
    const digest = new SetDigest();
    for await (const message of this.messages.rows(options)) digest.add({ ...message });
    for await (const row of this.classificationRows(options)) digest.add(["classification", { ...row }]);
    return digest.hex();
  }

  /** All classifications in ascending id, read in pages, so that other work gets its turn. */
  private classificationRows(options: Abortable): AsyncGenerator<Classification> {
    return paged(PAGE, (row) => row.message_id, async (after, limit) => {
      await yieldToEventLoop(options);
      return await this.query<Classification>(this.sql.classificationPage, [after ?? "", limit], options);
    });
  }

  private query<Row>(sql: string, values: readonly SqlValue[], options: Abortable): Promise<Row[]> {
    return this.db.query(() => all<Row>(sql, ...values), options);
  }

  /** For a statement that reads all messages. */
  private scan<Row>(sql: string, options: Abortable): Promise<Row[]> {
    return this.db.read(() => all<Row>(sql), { ...SCAN, ...options });
  }
}

/** In the order of the conditions of a query. */
function filterValues({ run_id, kind, source, position, reason }: QuarantineFilter): SqlValue[] {
  return [run_id ?? null, kind ?? null, source ?? null, position ?? null, reason ?? null];
}
