import { Postgres, type PostgresOptions } from "./postgres.ts";

const CLEAR_TIMEOUT_MS = 60_000;

/** Empties the tables of these migrations. Sequences stay, so that no token is used twice. */
export async function clearPostgres(options: PostgresOptions): Promise<void> {
  const db = new Postgres(options);
  const names = (statement: RegExp) =>
    options.migrations.flatMap((sql) => [...sql.matchAll(statement)].map(([, name]) => name!));
  const dropped = new Set(names(/DROP TABLE (\w+)/g));
  const tables = names(/CREATE TABLE (\w+)/g).filter((name) => !dropped.has(name));
  try {
    await db.write((session) => session.run(`TRUNCATE ${tables.join(", ")}`, []), {
      timeout_ms: CLEAR_TIMEOUT_MS,
    });
  } finally {
    await db.close();
  }
}
