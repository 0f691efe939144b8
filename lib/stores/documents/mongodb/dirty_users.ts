import type { Collection, Db } from "../../../../deps.ts";
import type { Abortable, DirtyUser } from "../../../core/types.ts";
import type { MongoConnection } from "./connection.ts";

/**
 * How long a write that has marked its users may still bring rows. The server stops it after the time of one call, so
 * that an older mark was left by a process that died.
 */
const WRITING_MS = 60_000;

/** `writing` holds marks of writes that have not said that they are done. */
interface StoredDirtyUser {
  readonly _id: string;
  readonly token: string;
  readonly writing?: readonly { readonly token: string; readonly at: Date }[];
}

/**
 * Users with writes that nothing was derived from yet, without transactions: a write marks its users, brings its rows,
 * and then seals its marks. A user who is listed while a mark is open gets a token that settles nothing, because rows
 * may become visible after they were derived from. A write that dies between leaves its users touched: one derivation
 * too many, never one too few.
 */
export class MongoDirtyUsers {
  constructor(private readonly connection: MongoConnection) {}

  /** Before the rows are written; returns the mark. */
  async begin(user_ids: ReadonlySet<string>, options: Abortable = {}): Promise<string> {
    const token = crypto.randomUUID();
    const update = { $set: { token }, $push: { writing: { token, at: new Date() } } };
    await this.write(
      [...user_ids].map((_id) => ({ updateOne: { filter: { _id }, update, upsert: true } })),
      options,
    );
    return token;
  }

  /** After the last row was written. */
  async commit(user_ids: ReadonlySet<string>, token: string, options: Abortable = {}): Promise<void> {
    const update = { $pull: { writing: { token } } };
    await this.connection.run((db) => users(db).updateMany({ _id: { $in: [...user_ids] } }, update), options);
  }

  /** In ascending id, after `after`. */
  async page(options: { after: string | null; limit: number } & Abortable): Promise<DirtyUser[]> {
    const filter = options.after === null ? {} : { _id: { $gt: options.after } };
    const found = await this.connection.run(
      (db, reading) => users(db).find(filter, reading).sort({ _id: 1 }).limit(options.limit).toArray(),
      options,
    );
    const since = Date.now() - WRITING_MS;
    return found.map(({ _id, token, writing = [] }) => ({
      user_id: _id,
      token: writing.some(({ at }) => at.getTime() > since) ? `${token} while writing` : token,
    }));
  }

  /** Forgets touches whose token is still the newest. */
  async clear(touched: readonly DirtyUser[], options: Abortable = {}): Promise<void> {
    await this.write(
      touched.map(({ user_id, token }) => ({ deleteOne: { filter: { _id: user_id, token } } })),
      options,
    );
  }

  /** Drops the touches of users who are erased. */
  async forget(user_ids: readonly string[], options: Abortable = {}): Promise<void> {
    await this.connection.run((db) => users(db).deleteMany({ _id: { $in: user_ids } }), options);
  }

  private async write(
    operations: Parameters<Collection<StoredDirtyUser>["bulkWrite"]>[0],
    { signal }: Abortable,
  ): Promise<void> {
    signal?.throwIfAborted();
    if (operations.length === 0) return;
    await this.connection.run((db) => users(db).bulkWrite(operations, { ordered: false }), { signal });
  }
}

function users(db: Db): Collection<StoredDirtyUser> {
  return db.collection("touched");
}
