import type { AnyBulkWriteOperation, Db, MongoBulkWriteError } from "../../../deps.ts";
import { batches, paged } from "../../core/batch.ts";
import { ParleyError } from "../../core/errors.ts";
import type { Health, Message, QuarantinedRow, Touched, WriteCounts } from "../../core/types.ts";
import { SetDigest } from "../digest.ts";
import { MongoConnection, SCAN_MS } from "./mongodb_connection.ts";
import { fromStored, isSame, messagesOf, type StoredMessage, toStored } from "./mongodb_messages.ts";
import { indexQuarantine, MongoQuarantine } from "./mongodb_quarantine.ts";
import { MongoTouches } from "./mongodb_touches.ts";
import type { DocumentCounts, DocumentStore, IntentCount, QuarantineFilter } from "./port.ts";

/** Rows that are written, read or deleted by one call. */
const BATCH = 500;
/** How often rows are compared and written again because another writer came between. */
const TRIES = 8;
const DUPLICATE_KEY = 11_000;

/** Of one user, so that neither a large collection nor the order of ids is walked to find a few users' rows. */
const BY_USER = { user_id: 1, timestamp: 1 } as const;

async function prepare(db: Db): Promise<void> {
  await messagesOf(db).createIndexes([{ key: BY_USER }, { key: { conversation_id: 1 } }]);
  await indexQuarantine(db);
}

type Operation = AnyBulkWriteOperation<StoredMessage>;
type Outcomes = Map<string, keyof WriteCounts>;

/**
 * {@link DocumentStore} in a MongoDB of version 4.4 or newer, standalone or not: it needs no transactions. The
 * database is the URL's path, `parley` where there is none. Lone surrogates in text become U+FFFD.
 */
export class MongoDocuments implements DocumentStore {
  private readonly connection: MongoConnection;
  private readonly touches: MongoTouches;
  private readonly refused: MongoQuarantine;

  /** `url` is `mongodb://user:password@host:port/database?authSource=admin`, or `mongodb+srv://`. */
  constructor(o: { url: URL; call_ms?: number }) {
    this.connection = new MongoConnection({ ...o, prepare });
    this.touches = new MongoTouches(this.connection);
    this.refused = new MongoQuarantine(this.connection);
  }

  async upsert(o: { messages: readonly Message[] }): Promise<WriteCounts> {
    const counts = { inserted: 0, changed: 0, same: 0 };
    for await (const batch of batches(o.messages, BATCH)) {
      for (const outcome of (await this.put(batch.map(toStored))).values()) counts[outcome]++;
    }
    return counts;
  }

  touched(o: { after: string | null; limit: number }): Promise<Touched[]> {
    return this.touches.page(o);
  }

  settle(o: { touched: readonly Touched[] }): Promise<void> {
    return this.touches.settle(o.touched);
  }

  async page(
    o: { after: string | null; limit: number; user_ids?: readonly string[] },
  ): Promise<Message[]> {
    const filter = {
      ...(o.after !== null && { _id: { $gt: o.after } }),
      ...(o.user_ids !== undefined && { user_id: { $in: o.user_ids } }),
    };
    const hint = o.user_ids === undefined ? { _id: 1 } : BY_USER;
    const rows = await this.connection.run((db) =>
      messagesOf(db).find(filter, { hint }).sort({ _id: 1 }).limit(o.limit).toArray()
    );
    return rows.map(fromStored);
  }

  async intentCounts(o: { user_ids: readonly string[] }): Promise<IntentCount[]> {
    const rows = await this.connection.run((db) =>
      messagesOf(db).aggregate<{ _id: { user_id: string; intent: string }; count: number; last: Date }>([
        { $match: { user_id: { $in: o.user_ids }, role: "user", intent: { $ne: null } } },
        {
          $group: {
            _id: { user_id: "$user_id", intent: "$intent" },
            count: { $sum: 1 },
            last: { $max: "$timestamp" },
          },
        },
        { $sort: { "_id.user_id": 1, "_id.intent": 1 } },
      ]).toArray()
    );
    return rows.map(({ _id, count, last }) => ({ ..._id, count, last: last.toISOString() }));
  }

  quarantine(o: { rows: readonly QuarantinedRow[] }): Promise<void> {
    return this.refused.add(o.rows);
  }

  quarantined(o: QuarantineFilter & { limit: number; offset: number }): Promise<QuarantinedRow[]> {
    return this.refused.list(o);
  }

  pruneQuarantine(o: { before: string }): Promise<number> {
    return this.refused.prune(o.before);
  }

  async deleteUsers(o: { user_ids: readonly string[] }): Promise<number> {
    const filter = { user_id: { $in: o.user_ids } };
    const { deletedCount } = await this.connection.run((db) => messagesOf(db).deleteMany(filter), SCAN_MS);
    await this.touches.forget(o.user_ids);
    return deletedCount;
  }

  async counts(): Promise<DocumentCounts> {
    const [messages, users] = await this.connection.run((db) =>
      Promise.all([
        messagesOf(db).countDocuments({}, { hint: { _id: 1 } }),
        messagesOf(db).aggregate<{ users: number }>([{ $group: { _id: "$user_id" } }, { $count: "users" }])
          .toArray(),
      ]), SCAN_MS);
    return { messages, users: users[0]?.users ?? 0, quarantined: await this.refused.count() };
  }

  async digest(): Promise<string> {
    const digest = new SetDigest();
    const rows = paged<Message>(
      BATCH,
      (row) => row.message_id,
      (after, limit) => this.page({ after, limit }),
    );
    for await (const message of rows) digest.add({ ...message });
    return digest.hex();
  }

  async health(): Promise<Health> {
    const { version } = await this.connection.run((db) => db.command({ buildInfo: 1 }));
    const start = performance.now();
    await this.connection.run((db) => db.command({ ping: 1 }));
    return { adapter: "mongodb", version: String(version), latency_ms: performance.now() - start };
  }

  close(): Promise<void> {
    return this.connection.close();
  }

  /**
   * Writes what is new or differs, and says which. A write applies only to what was compared with (no row, or the same
   * user's), since the users of both have been touched; otherwise another writer came between, and it tries again.
   */
  private async put(rows: readonly StoredMessage[]): Promise<Outcomes> {
    const outcomes: Outcomes = new Map(rows.map(({ _id }) => [_id, "same"]));
    let left = rows;
    for (let tries = 0; tries < TRIES; tries++) {
      const before = await this.stored(left);
      left = left.filter((row) => !isSame(row, before.get(row._id)));
      if (left.length === 0 || await this.replace({ rows: left, before, outcomes })) return outcomes;
    }
    throw new ParleyError("conflict", "other writers keep changing the same messages; try again");
  }

  private async stored(rows: readonly StoredMessage[]): Promise<Map<string, StoredMessage>> {
    const filter = { _id: { $in: rows.map(({ _id }) => _id) } };
    const found = await this.connection.run((db) => messagesOf(db).find(filter).toArray());
    return new Map(found.map((row) => [row._id, row]));
  }

  /** Whether every row was written. */
  private async replace(
    { rows, before, outcomes }: {
      rows: readonly StoredMessage[];
      before: ReadonlyMap<string, StoredMessage>;
      outcomes: Outcomes;
    },
  ): Promise<boolean> {
    const owners = new Set(rows.flatMap((row) => [row.user_id, before.get(row._id)?.user_id ?? row.user_id]));
    const mark = await this.touches.mark(owners);
    const { written, taken } = await this.write(rows.map((row) => operation(row, before.get(row._id))));
    await this.touches.seal(owners, mark);
    for (const [n, { _id }] of rows.entries()) {
      if (taken.has(n) || outcomes.get(_id) !== "same") continue;
      outcomes.set(_id, before.has(_id) ? "changed" : "inserted");
    }
    return written === rows.length;
  }

  /** How many operations found what they were for, and which inserts found their id taken. */
  private async write(operations: Operation[]): Promise<{ written: number; taken: ReadonlySet<number> }> {
    const options = { ordered: false, maxTimeMS: this.connection.call_ms };
    const result = await this.connection.run((db) =>
      messagesOf(db).bulkWrite(operations, options).catch(onlyDuplicates)
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
  return { replaceOne: { filter: { _id: row._id, user_id: before.user_id }, replacement: row } };
}

/** Takes a failed bulk write for a result where all that failed is inserts of ids that exist by now. */
function onlyDuplicates(error: unknown): MongoBulkWriteError {
  const { name, writeErrors = [] } = error as MongoBulkWriteError;
  const failed = [writeErrors].flat();
  const harmless = failed.length > 0 && failed.every(({ code }) => code === DUPLICATE_KEY);
  if (name !== "MongoBulkWriteError" || !harmless) throw error;
  return error as MongoBulkWriteError;
}
