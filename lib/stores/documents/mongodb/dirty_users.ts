import type { Collection, Db } from "../../../../deps.ts";
import type { Abortable, DirtyUser, PageOptions } from "../../../core/types.ts";
import type { MongoConnection } from "./connection.ts";

/**
 * How long after it has marked its users a write may still write rows. The server stops it after the time of one call, so
 * that an older mark is that of a process that died.
 */
const MAX_WRITE_MS = 60_000;

/** `writing` has the marks of writes that are not committed yet. */
interface StoredDirtyUser {
  readonly _id: string;
  readonly token: string;
  readonly writing?: readonly { readonly token: string; readonly at: Date }[];
}

/**
 * Users with writes that nothing was derived from yet, without transactions: a write marks its users, writes its rows,
 * and then commits its marks. A user who is listed while a mark is not committed gets a token that clears nothing, because
 * rows may become visible after they were derived from. A write that dies in between leaves its users dirty: one
 * derivation too many, never one too few.
 */
export class MongoDirtyUsers {
  constructor(private readonly connection: MongoConnection) {}

  /** Marks users before their rows are written; returns the token of the marks. */
  async begin(user_ids: ReadonlySet<string>, options: Abortable = {}): Promise<string> {
    const token = crypto.randomUUID();
    const update = { $set: { token }, $push: { writing: { token, at: new Date() } } };
    await this.write(
      [...user_ids].map((_id) => ({ updateOne: { filter: { _id }, update, upsert: true } })),
      options,
    );
    return token;
  }

  /** Ends the marks after the last row was written. */
  async commit(user_ids: ReadonlySet<string>, token: string, options: Abortable = {}): Promise<void> {
    const update = { $pull: { writing: { token } } };
    await this.connection.run(
      (db) => usersOf(db).updateMany({ _id: { $in: [...user_ids] } }, update),
      options,
    );
  }

  /** In ascending id, after `after`. */
  async page(options: PageOptions): Promise<DirtyUser[]> {
    const filter = options.after === null ? {} : { _id: { $gt: options.after } };
    const found = await this.connection.run(
      (db, reading) => usersOf(db).find(filter, reading).sort({ _id: 1 }).limit(options.limit).toArray(),
      options,
    );
    return found.map(toDirtyUser);
  }

  /** Those of these users that are dirty. */
  async among(user_ids: readonly string[], options: Abortable): Promise<DirtyUser[]> {
    const found = await this.connection.run(
      (db, reading) => usersOf(db).find({ _id: { $in: user_ids } }, reading).toArray(),
      options,
    );
    return found.map(toDirtyUser);
  }

  /** Clears users whose token is still the newest. */
  async clear(dirty: readonly DirtyUser[], options: Abortable = {}): Promise<void> {
    await this.write(
      dirty.map(({ user_id, token }) => ({ deleteOne: { filter: { _id: user_id, token } } })),
      options,
    );
  }

  /** Clears users who are erased. */
  async forget(user_ids: readonly string[], options: Abortable = {}): Promise<void> {
    await this.connection.run((db) => usersOf(db).deleteMany({ _id: { $in: user_ids } }), options);
  }

  private async write(
    operations: Parameters<Collection<StoredDirtyUser>["bulkWrite"]>[0],
    { signal }: Abortable,
  ): Promise<void> {
    signal?.throwIfAborted();
    if (operations.length === 0) return;
    await this.connection.run((db) => usersOf(db).bulkWrite(operations, { ordered: false }), { signal });
  }
}

function toDirtyUser({ _id, token, writing = [] }: StoredDirtyUser): DirtyUser {
  const since = Date.now() - MAX_WRITE_MS;
  const isWriting = writing.some(({ at }) => at.getTime() > since);
  return { user_id: _id, token: isWriting ? `${token} while writing` : token };
}

function usersOf(db: Db): Collection<StoredDirtyUser> {
  return db.collection("touched");
}
