import type { AnyBulkWriteOperation, Db, MongoBulkWriteError } from "../../../../deps.ts";
import { batches, paged } from "../../../core/batches.ts";
import { ParleyError } from "../../../core/errors.ts";
import type {
  Abortable,
  DirtyUser,
  Health,
  Message,
  PageOptions,
  QuarantinedRow,
  WriteCounts,
} from "../../../core/types.ts";
import { SetDigest } from "../../engines/set_digest.ts";
import { indexClassifications, MongoClassifications } from "./classifications.ts";
import { MongoConnection, SCAN_MS } from "./connection.ts";
import {
  fromStored,
  isSame,
  MESSAGE_ONLY,
  type MessageFields,
  messagesOf,
  type StoredMessage,
  toStored,
} from "./messages.ts";
import { indexQuarantine, MongoQuarantine } from "./quarantine.ts";
import { MongoDirtyUsers } from "./dirty_users.ts";
import { MongoTombstones } from "./tombstones.ts";
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
} from "../port.ts";
import { ServerStore } from "../../engines/server_store.ts";

/** Rows that are written, read or deleted by one call. */
const BATCH = 500;
/** How often rows are compared and written if another writer changes them in between. */
const MAX_ATTEMPTS = 8;
const DUPLICATE_KEY = 11_000;

/** The index by user: without it as a hint, the server may walk all ids to find a few users' rows. */
const BY_USER = { user_id: 1, timestamp: 1 } as const;

async function prepare(db: Db): Promise<void> {
  await messagesOf(db).createIndexes([{ key: BY_USER }, { key: { conversation_id: 1 } }]);
  await indexClassifications(db);
  await indexQuarantine(db);
}

type Operation = AnyBulkWriteOperation<StoredMessage & MessageFields>;
type Outcomes = Map<string, { readonly outcome: keyof WriteCounts; readonly owner_before: string | null }>;

/**
 * {@link DocumentStore} in a MongoDB of version 4.4 or newer, standalone or not: it needs no transactions. The
 * database is the URL's path, by default `parley`. Lone surrogates in text become U+FFFD.
 */
export class MongoDocuments extends ServerStore implements DocumentStore {
  readonly tombstones: MongoTombstones;
  private readonly connection: MongoConnection;
  private readonly dirtyUsers: MongoDirtyUsers;
  private readonly quarantineStore: MongoQuarantine;
  private readonly classificationStore: MongoClassifications;

  /** `url` is `mongodb://user:password@host:port/database?authSource=admin`, or `mongodb+srv://`. */
  constructor(options: { url: URL; call_ms?: number }) {
    super();
    this.connection = new MongoConnection({ ...options, prepare });
    this.tombstones = new MongoTombstones(this.connection);
    this.dirtyUsers = new MongoDirtyUsers(this.connection);
    this.quarantineStore = new MongoQuarantine(this.connection);
    this.classificationStore = new MongoClassifications(this.connection, this.dirtyUsers);
  }

  async upsert(options: Parameters<DocumentStore["upsert"]>[0]): Promise<WriteCounts> {
    options.signal?.throwIfAborted();
    const counts = { inserted: 0, changed: 0, same: 0 };
    for await (const batch of batches(options.messages, BATCH)) {
      for (const [id, { outcome, owner_before }] of await this.put(batch.map(toStored), options)) {
        counts[outcome]++;
        options.onOutcome?.(id, outcome, owner_before);
      }
    }
    return counts;
  }

  findDirtyUsers(options: { user_ids: readonly string[] } & Abortable): Promise<DirtyUser[]> {
    return this.dirtyUsers.among(options.user_ids, options);
  }

  listDirtyUsers(options: PageOptions): Promise<DirtyUser[]> {
    return this.dirtyUsers.page(options);
  }

  async markDirty(options: { user_ids: readonly string[] } & Abortable): Promise<void> {
    const user_ids = new Set(options.user_ids);
    await this.dirtyUsers.commit(user_ids, await this.dirtyUsers.begin(user_ids, options), options);
  }

  markAllDirty({ signal }: Abortable = {}): Promise<void> {
    return this.connection.run(async (db, reading) => {
      const users = messagesOf(db).aggregate<{ _id: string }>([{ $group: { _id: "$user_id" } }], reading);
      for await (const batch of batches(users, BATCH)) {
        await this.markDirty({ user_ids: batch.map(({ _id }) => _id), signal });
      }
    }, { ms: SCAN_MS, signal });
  }

  clearDirty(options: { users: readonly DirtyUser[] } & Abortable): Promise<void> {
    return this.dirtyUsers.clear(options.users, options);
  }

  async page(options: PageOptions & { user_ids?: readonly string[] }): Promise<Message[]> {
    const { after, limit, user_ids } = options;
    const filter = {
      ...(after !== null && { _id: { $gt: after } }),
      ...(user_ids !== undefined && { user_id: { $in: user_ids } }),
    };
    const how = { hint: user_ids === undefined ? { _id: 1 } : BY_USER, projection: MESSAGE_ONLY };
    const rows = await this.connection.run(
      (db, reading) =>
        messagesOf(db).find(filter, { ...how, ...reading }).sort({ _id: 1 }).limit(limit).toArray(),
      options,
    );
    return rows.map(fromStored);
  }

  async intentCounts(options: { user_ids: readonly string[] } & Abortable): Promise<IntentCount[]> {
    const rows = await this.connection.run(
      (db, reading) =>
        messagesOf(db).aggregate<{ _id: { user_id: string; intent: string }; count: number; last: Date }>([
          { $match: { user_id: { $in: options.user_ids }, role: "user" } },
          { $addFields: { intent: { $ifNull: ["$intent", "$classified.intent"] } } },
          { $match: { intent: { $type: "string" } } },
          {
            $group: {
              _id: { user_id: "$user_id", intent: "$intent" },
              count: { $sum: 1 },
              last: { $max: "$timestamp" },
            },
          },
          { $sort: { "_id.user_id": 1, "_id.intent": 1 } },
        ], reading).toArray(),
      options,
    );
    return rows.map(({ _id, count, last }) => ({ ..._id, count, last: last.toISOString() }));
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

  quarantine(options: { rows: readonly QuarantinedRow[] } & Abortable): Promise<void> {
    return this.quarantineStore.quarantine(options);
  }

  quarantined(
    options: QuarantineFilter & { limit: number; offset: number } & Abortable,
  ): Promise<QuarantinedRow[]> {
    return this.quarantineStore.quarantined(options);
  }

  quarantinePages(options: { after: string | null } & Abortable) {
    return this.quarantineStore.quarantinePages(options);
  }

  quarantineReasons(options: QuarantineFilter & { limit: number } & Abortable): Promise<ReasonCount[]> {
    return this.quarantineStore.quarantineReasons(options);
  }

  deleteQuarantined(options: { rows: readonly QuarantinePosition[] } & Abortable): Promise<number> {
    return this.quarantineStore.deleteQuarantined(options);
  }

  pruneQuarantine(options: { before: string } & Abortable): Promise<number> {
    return this.quarantineStore.pruneQuarantine(options);
  }

  async deleteUsers(options: { user_ids: readonly string[] } & Abortable): Promise<number> {
    const filter = { user_id: { $in: options.user_ids } };
    const limits = { ms: SCAN_MS, signal: options.signal };
    const { deletedCount } = await this.connection.run((db) => messagesOf(db).deleteMany(filter), limits);
    await this.dirtyUsers.forget(options.user_ids, options);
    return deletedCount;
  }

  async counts({ signal }: Abortable = {}): Promise<DocumentCounts> {
    const byUser = [{ $group: { _id: "$user_id" } }, { $count: "users" }];
    const [messages, users] = await this.connection.run((db, reading) =>
      Promise.all([
        messagesOf(db).countDocuments({}, { hint: { _id: 1 }, ...reading }),
        messagesOf(db).aggregate<{ users: number }>(byUser, reading).toArray(),
      ]), { ms: SCAN_MS, signal });
    return {
      messages,
      users: users[0]?.users ?? 0,
      quarantined: await this.quarantineStore.count({ signal }),
    };
  }

  async digest(options: Abortable = {}): Promise<string> {
    const digest = new SetDigest();
    const rows = paged<Message>(
      BATCH,
      (row) => row.message_id,
      (after, limit) => this.page({ after, limit, ...options }),
    );
    for await (const message of rows) digest.add({ ...message });
    for await (const row of this.classificationStore.rows(options)) {
      digest.add(["classification", { ...row }]);
    }
    return digest.hex();
  }

  async health(options: Abortable = {}): Promise<Health> {
    const { version } = await this.connection.run(
      (db, reading) => db.command({ buildInfo: 1 }, reading),
      options,
    );
    const start = performance.now();
    await this.connection.run((db, reading) => db.command({ ping: 1 }, reading), options);
    const latency_ms = performance.now() - start;
    const stats = await this.connection.run((db, reading) => db.command({ dbStats: 1 }, reading), options);
    const bytes = Number(stats.storageSize) + Number(stats.indexSize);
    return { adapter: "mongodb", version: String(version), latency_ms, bytes };
  }

  close(): Promise<void> {
    return this.connection.close();
  }

  /**
   * Writes what is new or differs, and says which. A write applies only if the stored row is still that of the user with
   * whose row it was compared, or still missing, since the users of both were marked as dirty. Otherwise another writer
   * has changed it, and it tries again.
   */
  private async put(rows: readonly StoredMessage[], options: Abortable): Promise<Outcomes> {
    const outcomes: Outcomes = new Map(
      rows.map(({ _id }) => [_id, { outcome: "same", owner_before: null }]),
    );
    let left = rows;
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const before = await this.stored(left, options);
      left = left.filter((row) => !isSame(row, before.get(row._id)));
      if (left.length === 0 || await this.replace({ rows: left, before, outcomes, signal: options.signal })) {
        return outcomes;
      }
    }
    throw new ParleyError("conflict", "other writers keep changing the same messages; try again");
  }

  private async stored(
    rows: readonly StoredMessage[],
    options: Abortable,
  ): Promise<Map<string, StoredMessage>> {
    const filter = { _id: { $in: rows.map(({ _id }) => _id) } };
    const found = await this.connection.run(
      (db, reading) => messagesOf(db).find(filter, { projection: MESSAGE_ONLY, ...reading }).toArray(),
      options,
    );
    return new Map(found.map((row) => [row._id, row]));
  }

  /** Whether every row was written. */
  private async replace(
    { rows, before, outcomes, signal }: {
      rows: readonly StoredMessage[];
      before: ReadonlyMap<string, StoredMessage>;
      outcomes: Outcomes;
    } & Abortable,
  ): Promise<boolean> {
    const users = new Set(rows.flatMap((row) => [row.user_id, before.get(row._id)?.user_id ?? row.user_id]));
    const token = await this.dirtyUsers.begin(users, { signal });
    const { written, taken } = await this.write(
      rows.map((row) => operation(row, before.get(row._id))),
      { signal },
    );
    await this.dirtyUsers.commit(users, token, { signal });
    for (const [n, { _id }] of rows.entries()) {
      if (taken.has(n) || outcomes.get(_id)?.outcome !== "same") continue;
      const owner_before = before.get(_id)?.user_id ?? null;
      outcomes.set(_id, { outcome: owner_before === null ? "inserted" : "changed", owner_before });
    }
    return written === rows.length;
  }

  /** How many operations found their row, and which inserts found their id taken. */
  private async write(
    operations: Operation[],
    options: Abortable,
  ): Promise<{ written: number; taken: ReadonlySet<number> }> {
    const how = { ordered: false, maxTimeMS: this.connection.call_ms };
    const result = await this.connection.run(
      (db) => messagesOf(db).bulkWrite(operations, how).catch(onlyDuplicates),
      options,
    );
    const errors = "writeErrors" in result ? [result.writeErrors].flat() : [];
    return {
      written: result.insertedCount + result.matchedCount,
      taken: new Set(errors.map(({ index }) => index)),
    };
  }
}

function operation(row: StoredMessage, before: StoredMessage | undefined): Operation {
  if (before === undefined) return { insertOne: { document: row } };
  const { _id, ...fields } = row;
  const reset = row.message === before.message ? {} : { $unset: { classified: "", example_of: "" } } as const;
  return { updateOne: { filter: { _id, user_id: before.user_id }, update: { $set: fields, ...reset } } };
}

/** Takes a failed bulk write for a result if nothing failed but inserts of ids that exist by now. */
function onlyDuplicates(error: unknown): MongoBulkWriteError {
  const { name, writeErrors = [] } = error as MongoBulkWriteError;
  const failed = [writeErrors].flat();
  const harmless = failed.length > 0 && failed.every(({ code }) => code === DUPLICATE_KEY);
  if (name !== "MongoBulkWriteError" || !harmless) throw error;
  return error as MongoBulkWriteError;
}

const COLLECTIONS = ["messages", "quarantine", "classifiers", "touched", "tombstones"];

/** Removes all documents of Parley's collections. The collections stay, since other processes rely on their indexes. */
export async function clearMongo({ url }: { url: URL }): Promise<void> {
  const connection = new MongoConnection({ url, prepare: () => Promise.resolve() });
  try {
    for (const name of COLLECTIONS) {
      await connection.run((db) => db.collection(name).deleteMany({}), { ms: SCAN_MS });
    }
  } finally {
    await connection.close();
  }
}
