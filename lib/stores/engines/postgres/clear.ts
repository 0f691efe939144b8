import { Postgres, type PostgresOptions } from "./postgres.ts";

/** For what grows with the tables. */
const CLEAR_MS = 60_000;

/** Empties the tables that these migrations make. Sequences stay, so that no token of a write comes again. */
export async function clearPostgres(options: PostgresOptions): Promise<void> {
  const db = new Postgres(options);
  const made = options.migrations.flatMap((sql) =>
    [...sql.matchAll(/CREATE TABLE (\w+)/g)].map(([, name]) => name!)
  );
  const dropped = new Set(
    options.migrations.flatMap((sql) => [...sql.matchAll(/DROP TABLE (\w+)/g)].map(([, name]) => name!)),
  );
  const tables = made.filter((name) => !dropped.has(name));
  try {
    await db.write((session) => session.run(`TRUNCATE ${tables.join(", ")}`, []), { timeout_ms: CLEAR_MS });
  } finally {
    await db.close();
  }
}
