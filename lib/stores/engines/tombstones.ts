import type { Abortable, PageOptions } from "../../core/types.ts";
import type { SchemaDialect } from "./migration.ts";
import { all, type Dialect, run, runRows, type SqlDatabase, storableJson } from "./sql.ts";

const HASH = { user_hash: "text" } as const;

/** What {@link SqlTombstones} needs, as a migration. Stores may share a schema on PostgreSQL, so each names its table. */
export const tombstonesSchema = (table: string) => (sql: SchemaDialect) =>
  `CREATE TABLE ${table} (user_hash ${sql.text} PRIMARY KEY) ${sql.strictKeyed};`;

/** The erased users of whom a store has no rows. */
export class SqlTombstones {
  private readonly sql: ReturnType<typeof statements>;

  constructor(private readonly db: SqlDatabase, table: string) {
    this.sql = statements(db.dialect, table);
  }

  async add({ hashes, signal }: { hashes: readonly string[] } & Abortable): Promise<void> {
    const rows = [...new Set(hashes)].sort().map((user_hash) => ({ user_hash }));
    await this.db.writeEach(rows, (group) => runRows(this.sql.add, [], HASH, group), { signal });
  }

  async page({ after, limit, signal }: PageOptions): Promise<string[]> {
    const read = () => all<{ user_hash: string }>(this.sql.page, after ?? "", limit);
    return (await this.db.query(read, { signal })).map(({ user_hash }) => user_hash);
  }

  async among({ hashes, signal }: { hashes: readonly string[] } & Abortable): Promise<string[]> {
    const read = () => all<{ user_hash: string }>(this.sql.among, storableJson(hashes));
    return (await this.db.query(read, { signal })).map(({ user_hash }) => user_hash);
  }

  async remove({ hashes, signal }: { hashes: readonly string[] } & Abortable): Promise<void> {
    await this.db.write(() => run(this.sql.remove, storableJson(hashes)), { signal });
  }
}

function statements(dialect: Dialect, table: string) {
  const isGiven = dialect.isIn("user_hash", "$1");
  return {
    add: `${dialect.insertRows(table, Object.keys(HASH))} ON CONFLICT DO NOTHING`,
    page: `SELECT user_hash FROM ${table} WHERE user_hash > $1 ORDER BY user_hash LIMIT $2`,
    among: `SELECT user_hash FROM ${table} WHERE ${isGiven} ORDER BY user_hash`,
    remove: `DELETE FROM ${table} WHERE ${isGiven}`,
  };
}
