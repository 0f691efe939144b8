import type { Collection, Db } from "../../../../deps.ts";
import type { Abortable, PageOptions } from "../../../core/types.ts";
import type { TombstoneStore } from "../../tombstones/port.ts";
import type { MongoConnection } from "./connection.ts";

type Hashes = { hashes: readonly string[] } & Abortable;

/** The erased users of whom there are no messages, by the hashes of their ids. */
export class MongoTombstones implements TombstoneStore {
  constructor(private readonly connection: MongoConnection) {}

  async add({ hashes, signal }: Hashes): Promise<void> {
    signal?.throwIfAborted();
    if (hashes.length === 0) return;
    const operations = hashes.map((_id) => ({
      updateOne: { filter: { _id }, update: { $setOnInsert: { _id } }, upsert: true },
    }));
    await this.connection.run((db) => hashesOf(db).bulkWrite(operations, { ordered: false }), { signal });
  }

  page({ after, limit, signal }: PageOptions): Promise<string[]> {
    return this.find(after === null ? {} : { _id: { $gt: after } }, { limit, signal });
  }

  among({ hashes, signal }: Hashes): Promise<string[]> {
    return this.find({ _id: { $in: [...hashes] } }, { limit: 0, signal });
  }

  async remove({ hashes, signal }: Hashes): Promise<void> {
    await this.connection.run((db) => hashesOf(db).deleteMany({ _id: { $in: [...hashes] } }), { signal });
  }

  private async find(
    filter: object,
    { limit, ...options }: { limit: number } & Abortable,
  ): Promise<string[]> {
    const rows = await this.connection.run(
      (db, reading) => hashesOf(db).find(filter, reading).sort({ _id: 1 }).limit(limit).toArray(),
      options,
    );
    return rows.map(({ _id }) => _id);
  }
}

function hashesOf(db: Db): Collection<{ readonly _id: string }> {
  return db.collection("tombstones");
}
