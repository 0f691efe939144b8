import type { Abortable, PageOptions } from "../../core/types.ts";
import { type DirtyUsers } from "../engines/dirty_users.ts";
import {
  all,
  type Dialect,
  replacing,
  run,
  runRows,
  type SqlDatabase,
  storableJson,
} from "../engines/sql.ts";
import { SqlTombstones } from "../engines/tombstones.ts";
import type { PendingErasure, RightsStore, SetPersonalisationOptions } from "./port.ts";
import { TOMBSTONES } from "./schema.ts";

const PENDING = { user_id: "text", at: "text" } as const;

function statements(dialect: Dialect) {
  const isGiven = dialect.isIn("user_id", "$1");
  return {
    addPending: `${dialect.insertRows("pending_erasures", Object.keys(PENDING))} ${
      replacing(PENDING, ["user_id"])
    }`,
    pending: "SELECT user_id, at FROM pending_erasures WHERE user_id > $1 ORDER BY user_id LIMIT $2",
    endPending: `DELETE FROM pending_erasures WHERE ${isGiven} AND at <= $2`,
    optOut: `INSERT INTO opted_out (user_id) SELECT text FROM ${dialect.texts("$1")} AS input
      WHERE true ON CONFLICT DO NOTHING`,
    optIn: `DELETE FROM opted_out WHERE ${isGiven}`,
    optedOut: `SELECT user_id FROM opted_out WHERE ${isGiven} ORDER BY user_id`,
  };
}

interface SqlRightsOptions {
  readonly dirtyUsers: DirtyUsers;
  /** Raises the epochs of the users of the JSON array $1, after the counter of `dirtyUsers` was advanced. */
  readonly raiseEpochs: string;
}

export class SqlRights implements RightsStore {
  readonly tombstones: SqlTombstones;
  private readonly sql: ReturnType<typeof statements>;

  constructor(private readonly db: SqlDatabase, private readonly options: SqlRightsOptions) {
    this.tombstones = new SqlTombstones(db, TOMBSTONES);
    this.sql = statements(db.dialect);
  }

  pendingErasures({ after, limit, signal }: PageOptions): Promise<PendingErasure[]> {
    return this.db.query(() => all<PendingErasure>(this.sql.pending, after ?? "", limit), { signal });
  }

  async addPendingErasures(
    { users, signal }: { users: readonly PendingErasure[] } & Abortable,
  ): Promise<void> {
    const rows = [...new Map(users.map((user) => [user.user_id, user])).values()];
    await this.db.writeEach(rows, (group) => runRows(this.sql.addPending, [], PENDING, group), { signal });
  }

  async endErasures(
    { user_ids, until, signal }: { user_ids: readonly string[]; until: string } & Abortable,
  ): Promise<void> {
    await this.db.write(() => run(this.sql.endPending, storableJson(user_ids), until), { signal });
  }

  setPersonalisation(
    { user_id, personalisation, signal }: SetPersonalisationOptions,
  ): Promise<boolean> {
    const { optIn, optOut } = this.sql;
    const { dirtyUsers, raiseEpochs } = this.options;
    const user = storableJson([user_id]);
    return this.db.write(function* () {
      const changes = yield* run(personalisation ? optIn : optOut, user);
      if (changes === 0) return false;
      yield* dirtyUsers.mark([user_id]);
      yield* run(raiseEpochs, user);
      return true;
    }, { signal });
  }

  async optedOut({ user_ids, signal }: { user_ids: readonly string[] } & Abortable): Promise<string[]> {
    const read = () => all<{ user_id: string }>(this.sql.optedOut, storableJson(user_ids));
    return (await this.db.query(read, { signal })).map(({ user_id }) => user_id);
  }
}
