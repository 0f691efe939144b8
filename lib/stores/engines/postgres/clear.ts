import { migrationSql } from "../migration.ts";
import { Postgres, type PostgresOptions } from "./postgres.ts";
import { POSTGRES_SCHEMA } from "./schema.ts";

const CLEAR_TIMEOUT_MS = 60_000;

/** Empties the tables of these migrations. Sequences stay, so that no token is used twice. */
export async function clearPostgres(options: PostgresOptions): Promise<void> {
  const db = new Postgres(options);
  const sql = options.migrations.map((migration) => migrationSql(migration, POSTGRES_SCHEMA)).join("\n");
  const tables = [...sql.matchAll(/CREATE TABLE (\w+)/g)].map(([, name]) => name!);
  try {
    await db.write((session) => session.run(`TRUNCATE ${tables.join(", ")}`, []), {
      timeout_ms: CLEAR_TIMEOUT_MS,
    });
  } finally {
    await db.close();
  }
}
