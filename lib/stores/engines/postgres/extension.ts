import { ParleyError } from "../../../core/errors.ts";
import { PostgresError } from "./errors.ts";
import type { PgSession } from "./session.ts";

/** An extension of PostgreSQL that a store's tables use. */
export interface Extension {
  /** Its name in `CREATE EXTENSION`. */
  readonly name: string;
  /** Its project's name, for messages. */
  readonly project: string;
  readonly min_version: string;
}

/** Whether the database has the extension. Throws `mismatch` if it is too old. */
export async function hasExtension(
  session: PgSession,
  extension: Extension,
  where: string,
): Promise<boolean> {
  const { name, project, min_version } = extension;
  const sql = `SELECT extversion AS version,
      string_to_array(extversion, '.')::int[] < string_to_array($2, '.')::int[] AS old
    FROM pg_extension WHERE extname = $1`;
  const found = await session.get<{ version: string; old: boolean }>(sql, [name, min_version]);
  if (found?.old !== true) return found !== null;
  throw new ParleyError(
    "mismatch",
    `PostgreSQL at ${where} has ${project} ${found.version}: install ${min_version} or newer on the server, then have ` +
      `an administrator run ALTER EXTENSION ${name} UPDATE in this database`,
  );
}

/**
 * Creates the extension in the caller's transaction, in `public`, where other users of the database look for it. Throws
 * `mismatch` if the server has no such extension, and `denied` if only an administrator may create it.
 */
export async function createExtension(
  session: PgSession,
  { name, project, min_version }: Extension,
  where: string,
): Promise<void> {
  await session.all("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", [`parley:extension ${name}`]);
  const available = await session.get("SELECT 1 FROM pg_available_extensions WHERE name = $1", [name]);
  if (available === null) {
    throw new ParleyError(
      "mismatch",
      `PostgreSQL at ${where} has no ${project}: install ${project} ${min_version} or newer on the server, then have an ` +
        `administrator run CREATE EXTENSION ${name} in this database`,
    );
  }
  try {
    await session.script(`CREATE EXTENSION IF NOT EXISTS ${name} SCHEMA public`);
  } catch (error) {
    if (!(error instanceof PostgresError) || error.broken) throw error;
    throw new ParleyError(
      "denied",
      `this user of PostgreSQL at ${where} may not create the extension ${name} (${project}): have an administrator run ` +
        `CREATE EXTENSION ${name} in this database`,
    );
  }
  await session.script(extendSearchPath({ name }));
}

/** A statement that has the connection find the extension's types and operators, in whichever schema it is. */
export function extendSearchPath({ name }: Pick<Extension, "name">): string {
  return `SELECT set_config('search_path', current_setting('search_path') || ', ' || quote_ident(nspname), false)
    FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace WHERE extname = '${name}'`;
}
