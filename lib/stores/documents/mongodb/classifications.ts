import type { Collection, Db, Filter } from "../../../../deps.ts";
import { batches, paged } from "../../../core/batches.ts";
import type { Abortable, Message, PageOptions } from "../../../core/types.ts";
import { type MongoConnection, SCAN_MS } from "./connection.ts";
import { fromStored, MESSAGE_ONLY, type MessageFields, messagesOf, type StoredMessage } from "./messages.ts";
import type { MongoDirtyUsers } from "./dirty_users.ts";
import type {
  Classification,
  ClassificationStore,
  ClassifierCount,
  LabelledMessage,
  StoredClassifier,
} from "../port.ts";

/** Rows that are read or written by one call. */
const BATCH = 500;
/** Characters of a classifier in one document: a document of MongoDB holds 16 MB. */
const CHUNK = 4_000_000;

type ClassifiedMessage = StoredMessage & MessageFields;

/** `parts` documents with ids `key/0`, `key/1` … hold the text of the classifier that the document `kept` names. */
interface StoredChunk {
  readonly _id: string;
  readonly key: string;
  readonly parts: number;
  readonly text: string;
}

export async function indexClassifications(db: Db): Promise<void> {
  await messagesOf(db).createIndexes([
    { key: { intent: 1, timestamp: -1 }, partialFilterExpression: { intent: { $type: "string" } } },
    { key: { example_of: 1 }, partialFilterExpression: { example_of: { $type: "string" } } },
  ]);
}

export class MongoClassifications implements ClassificationStore {
  constructor(private readonly connection: MongoConnection, private readonly dirtyUsers: MongoDirtyUsers) {}

  async classify(options: { rows: readonly Classification[] } & Abortable): Promise<number> {
    options.signal?.throwIfAborted();
    let changed = 0;
    for await (const batch of batches(options.rows, BATCH)) changed += await this.setBatch(batch, options);
    return changed;
  }

  unclassified(options: PageOptions & { classifier: string }): Promise<Message[]> {
    return this.pageOf({ "classified.classifier": { $ne: options.classifier } }, options);
  }

  unlabelled(options: PageOptions): Promise<Message[]> {
    return this.pageOf({ "classified.intent": null }, options);
  }

  classifications(options: { message_ids: readonly string[] } & Abortable): Promise<Classification[]> {
    return this.list({ _id: { $in: options.message_ids } }, { ...options, limit: 0 });
  }

  rows(options: Abortable): AsyncGenerator<Classification> {
    return paged(
      BATCH,
      (row) => row.message_id,
      (after, limit) => this.list(after === null ? {} : { _id: { $gt: after } }, { ...options, limit }),
    );
  }

  async classifierCounts({ signal }: Abortable = {}): Promise<ClassifierCount[]> {
    const found = await this.connection.run(
      (db, reading) =>
        messagesOf(db).aggregate<Omit<ClassifierCount, "classifier"> & { _id: string }>([
          { $match: { classified: { $exists: true } } },
          {
            $group: {
              _id: "$classified.classifier",
              messages: { $sum: 1 },
              out_of_scope: { $sum: { $cond: [{ $eq: ["$classified.intent", null] }, 1, 0] } },
            },
          },
          { $sort: { _id: 1 } },
        ], reading).toArray(),
      { ms: SCAN_MS, signal },
    );
    return found.map(({ _id, ...counts }) => ({ classifier: _id, ...counts }));
  }

  async labelled(options: { intent: string; limit: number } & Abortable): Promise<string[]> {
    const filter = { intent: options.intent, role: "user" as const };
    const found = await this.connection.run(
      (db, reading) =>
        messagesOf(db).find(filter, { projection: { _id: 1 }, ...reading })
          .sort({ timestamp: -1, _id: 1 }).limit(options.limit).toArray(),
      options,
    );
    return found.map(({ _id }) => _id);
  }

  /** The examples and the text are written first: a classifier that the document `kept` names is whole. */
  async saveClassifier(
    { classifier: { key, body }, examples, signal }:
      & { classifier: StoredClassifier; examples: readonly string[] }
      & Abortable,
  ): Promise<void> {
    const parts = Math.ceil(body.length / CHUNK);
    await this.connection.run(async (db) => {
      await messagesOf(db).updateMany({ _id: { $in: examples } }, { $set: { example_of: key } });
      const classifiers = classifiersOf(db);
      for (let n = 0; n < parts; n++) {
        const text = body.slice(n * CHUNK, (n + 1) * CHUNK);
        await classifiers.replaceOne({ _id: `${key}/${n}` }, { key, parts, text }, { upsert: true });
      }
      await classifiers.replaceOne({ _id: "kept" }, { key, parts, text: "" }, { upsert: true });
      await classifiers.deleteMany({ key: { $ne: key } });
    }, { ms: SCAN_MS, signal });
  }

  async classifier({ signal }: Abortable = {}): Promise<StoredClassifier | null> {
    const found = await this.connection.run(async (db, reading) => {
      const head = await classifiersOf(db).findOne({ _id: "kept" }, reading);
      if (head === null) return null;
      const ids = Array.from({ length: head.parts }, (_, n) => `${head.key}/${n}`);
      const parts = await classifiersOf(db).find({ _id: { $in: ids } }, reading).toArray();
      const texts = new Map(parts.map(({ _id, text }) => [_id, text]));
      return { key: head.key, texts: ids.map((id) => texts.get(id)) };
    }, { ms: SCAN_MS, signal });
    if (found === null) return null;
    // It was replaced while it was read.
    if (found.texts.includes(undefined)) return await this.classifier({ signal });
    return { key: found.key, body: found.texts.join("") };
  }

  async examples(options: { classifier: string } & Abortable): Promise<LabelledMessage[]> {
    const filter: Filter<ClassifiedMessage> = {
      example_of: options.classifier,
      role: "user",
      intent: { $ne: null },
    };
    const found = await this.connection.run(
      (db, reading) =>
        messagesOf(db).find(filter, { projection: { intent: 1 }, ...reading }).sort({ _id: 1 }).toArray(),
      options,
    );
    return found.map(({ _id, intent }) => ({ message_id: _id, intent: intent! }));
  }

  private async pageOf(
    filter: Filter<ClassifiedMessage>,
    { after, limit, signal }: PageOptions,
  ): Promise<Message[]> {
    const all: Filter<ClassifiedMessage> = {
      ...filter,
      role: "user",
      intent: null,
      ...(after !== null && { _id: { $gt: after } }),
    };
    const options = { hint: { _id: 1 }, projection: MESSAGE_ONLY };
    const rows = await this.connection.run(
      (db, reading) =>
        messagesOf(db).find(all, { ...options, ...reading }).sort({ _id: 1 }).limit(limit).toArray(),
      {
        ms: SCAN_MS,
        signal,
      },
    );
    return rows.map(fromStored);
  }

  private async list(
    filter: Filter<ClassifiedMessage>,
    { limit, signal }: { limit: number } & Abortable,
  ): Promise<Classification[]> {
    const all: Filter<ClassifiedMessage> = { ...filter, classified: { $exists: true } };
    const rows = await this.connection.run(
      (db, reading) =>
        messagesOf(db).find(all, { projection: { classified: 1 }, ...reading })
          .sort({ _id: 1 }).limit(limit).toArray(),
      { ms: SCAN_MS, signal },
    );
    return rows.map(({ _id, classified }) => ({ message_id: _id, ...classified! }));
  }

  private async setBatch(rows: readonly Classification[], options: Abortable): Promise<number> {
    const filter = { _id: { $in: rows.map(({ message_id }) => message_id) } };
    const found = await this.connection.run(
      (db, reading) =>
        messagesOf(db).find(filter, { projection: { user_id: 1, "classified.intent": 1 }, ...reading })
          .toArray(),
      options,
    );
    const before = new Map(found.map((row) => [row._id, row.classified?.intent ?? null]));
    const changed = rows.filter(({ message_id: id, intent }) => before.has(id) && before.get(id) !== intent);
    const ids = new Set(changed.map(({ message_id }) => message_id));
    const users = new Set(found.filter(({ _id }) => ids.has(_id)).map(({ user_id }) => user_id));
    const token = await this.dirtyUsers.begin(users, options);
    const operations = rows.map(({ message_id: _id, ...classified }) => ({
      updateOne: { filter: { _id }, update: { $set: { classified } } },
    }));
    await this.connection.run((db) => messagesOf(db).bulkWrite(operations, { ordered: false }), options);
    if (users.size > 0) await this.dirtyUsers.commit(users, token, options);
    return changed.length;
  }
}

function classifiersOf(db: Db): Collection<StoredChunk> {
  return db.collection("classifiers");
}
