import { DatabaseSync } from "../../../../deps.ts";
import { messageOf, ParleyError } from "../../../core/errors.ts";
import { FILE_MODE } from "../../../core/file_modes.ts";
import { diskError } from "../disk.ts";
import { type Migration, migrationSql, type SchemaDialect } from "../migration.ts";

export const SQLITE_SCHEMA: SchemaDialect = {
  engine: "sqlite",
  text: "TEXT",
  integer: "INTEGER",
  number: "INTEGER",
  real: "REAL",
  bytes: "BLOB",
  id: "INTEGER PRIMARY KEY",
  insertionOrder: "",
  strict: "STRICT",
  keyed: "WITHOUT ROWID",
  strictKeyed: "STRICT, WITHOUT ROWID",
};

export interface SqliteOptions {
  /** A path, or `:memory:`. */
  readonly path: string;
  /** `migrations[n]` takes `user_version` from n to n + 1. */
  readonly migrations: readonly Migration[];
  /** How long one statement may wait for a lock, synchronously, which stops every timer. Default 20. */
  readonly busy_ms?: number;
  /** `FULL` survives a power cut at every commit; `NORMAL` survives every process death. */
  readonly synchronous?: "FULL" | "NORMAL";
  /** Whether a file that does not exist, or has 0 bytes, becomes an empty database; else it is `unavailable`. Default true. */
  readonly create?: boolean;
  /** How to fill a new file once this one is moved away, as an instruction; without it only {@link RESTORE} helps. */
  readonly refill?: string;
}

export const MEMORY = ":memory:";
const BUSY_TIMEOUT_MS = 20;
/** Opening waits longer than serving may: two processes can meet at the first migration. */
const OPEN_TIMEOUT_MS = 5_000;

/** The page cache, four times SQLite's default. */
export const CACHE_KB = 8_000;

/**
 * A page cache and a write-ahead log four to eight times SQLite's defaults: keys arrive in random order, so a batch
 * dirties one index page a row, and each page is copied to the file less often. The log that a bulk load has made long is
 * cut when it is begun again.
 */
const TUNING =
  `PRAGMA cache_size = -${CACHE_KB}; PRAGMA wal_autocheckpoint = 8000; PRAGMA journal_size_limit = 64000000`;

/** Opens a database under Parley's rules: WAL, a bounded wait for locks, erased bytes overwritten, migrated. */
export function openSqlite(options: SqliteOptions): DatabaseSync {
  if (options.path !== MEMORY) prepareFile(options);
  const db = open(options);
  try {
    db.exec(`PRAGMA busy_timeout = ${OPEN_TIMEOUT_MS}`);
    db.exec("PRAGMA journal_mode = WAL");
    db.exec(`PRAGMA synchronous = ${options.synchronous ?? "NORMAL"}`);
    db.exec("PRAGMA secure_delete = ON");
    db.exec("PRAGMA foreign_keys = ON");
    db.exec(TUNING);
    migrate(db, options);
    db.exec(`PRAGMA busy_timeout = ${options.busy_ms ?? BUSY_TIMEOUT_MS}`);
    return db;
  } catch (error) {
    db.close();
    const known = fileError(error, options);
    if (known instanceof ParleyError) throw known;
    throw unavailable(`cannot use the database ${options.path}: ${messageOf(error)}`, error);
  }
}

/** Creates the file with its mode, which its `-wal` and `-shm` then have too. */
function prepareFile(options: SqliteOptions): void {
  const { path, create = true } = options;
  try {
    if ((fileAt(path)?.bytes ?? 0) > 0) return refuseDamagedLog(options);
    if (create) return createFile(path);
  } catch (error) {
    if (error instanceof ParleyError) throw error;
    throw cannotOpen(options, error);
  }
  const what = fileAt(path) === null ? "is not there" : "has no content (0 bytes)";
  throw unavailable(`${path} ${what}: ${remedyOf(options)}`);
}

/** Creates an empty file, and removes the log of an earlier one, which SQLite would apply to it. */
function createFile(path: string): void {
  try {
    Deno.openSync(path, { write: true, createNew: true, mode: FILE_MODE }).close();
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return;
    throw error;
  }
  removeLog(path);
}

/** Removes the log of a database that is no longer at this path: SQLite would apply it to the one that is there now. */
export function removeLog(path: string): void {
  for (const end of ["-wal", "-shm"]) if (fileAt(path + end) !== null) Deno.removeSync(path + end);
}

/** What a write-ahead log begins with. SQLite treats any other as empty, and so loses its content. */
const LOG_MAGIC = [0x377f0682, 0x377f0683];
const LOG_HEADER_BYTES = 32;

/** Throws `unavailable` if the log of a database is damaged; opening the database would drop the log. */
export function refuseDamagedLog(options: Pick<SqliteOptions, "path" | "refill">): void {
  const path = `${options.path}-wal`;
  if ((fileAt(path)?.bytes ?? 0) < LOG_HEADER_BYTES) return;
  const header = new Uint8Array(4);
  using file = Deno.openSync(path);
  file.readSync(header);
  if (LOG_MAGIC.includes(new DataView(header.buffer).getUint32(0))) return;
  throw unavailable(`${path} is damaged (it does not begin as a log): ${remedyOf(options)}`);
}

function open(options: SqliteOptions): DatabaseSync {
  try {
    return new DatabaseSync(options.path);
  } catch (error) {
    throw cannotOpen(options, error);
  }
}

function cannotOpen(options: Pick<SqliteOptions, "path" | "refill">, cause: unknown): ParleyError {
  const { path } = options;
  if (cause instanceof Deno.errors.NotCapable) return denied(path, cause);
  if (cause instanceof Deno.errors.NotFound) {
    return unavailable(`cannot open the database ${path}; does its folder exist?`, cause);
  }
  const message = fileAt(path)?.folder
    ? `${path} cannot be opened (a folder is in its place): ${remedyOf(options)}`
    : `${path} cannot be opened for reading and writing: give it to the user that Parley runs as`;
  return unavailable(message, cause);
}

function migrate(db: DatabaseSync, { path, migrations }: SqliteOptions): void {
  const version = userVersion(db);
  if (version > migrations.length) {
    throw new ParleyError(
      "mismatch",
      `${path} has schema version ${version}, and this Parley knows ${migrations.length}: use the newer Parley that wrote it`,
    );
  }
  if (version === migrations.length) return;
  transaction(db, () => {
    for (let next = userVersion(db); next < migrations.length; next++) {
      db.exec(migrationSql(migrations[next]!, SQLITE_SCHEMA));
      db.exec(`PRAGMA user_version = ${next + 1}`);
    }
  });
}

function userVersion(db: DatabaseSync): number {
  return (db.prepare("PRAGMA user_version").get() as { user_version: number }).user_version;
}

/** Runs `body` in a `BEGIN IMMEDIATE` transaction: whole, or not at all. `body` must not await. */
export function transaction<T>(db: DatabaseSync, body: () => T): T {
  db.exec("BEGIN IMMEDIATE");
  try {
    const result = body();
    db.exec("COMMIT");
    return result;
  } catch (error) {
    if (db.isTransaction) db.exec("ROLLBACK");
    throw error;
  }
}

/** SQLite's messages for a damaged file; `exec` gives no error code. */
const DAMAGED = /file is not a database|database disk image is malformed|malformed database schema/;
const CANNOT_OPEN = /unable to open database file|readonly database/;

/** SQLite's message for damaged pages. */
export const MALFORMED = "database disk image is malformed";

/** A file is damaged; the message names the file and what to do. */
export class DamagedFile extends ParleyError {}

/** {@link DamagedFile} if the content is at fault, `unavailable` if file or disk are; any other error as it is. */
export function fileError(error: unknown, options: Pick<SqliteOptions, "path" | "refill">): unknown {
  if (error instanceof ParleyError) return error;
  const reason = messageOf(error);
  if (CANNOT_OPEN.test(reason)) return cannotOpen(options, error);
  if (!DAMAGED.test(reason)) return diskError(error, options.path);
  const message = `${options.path} is damaged (${reason}): ${remedyOf(options)}`;
  return new DamagedFile("unavailable", message, { cause: error });
}

function unavailable(message: string, cause?: unknown): ParleyError {
  return new ParleyError("unavailable", message, cause === undefined ? {} : { cause });
}

/** How to restore a backup, as an instruction. A copy by hand would bring back users who were erased since it was made. */
export const RESTORE =
  "restore a backup: stop Parley, run `deno task restore --from FOLDER`, and start Parley";

/** What to do about a file that cannot be used, as an instruction. */
export function remedyOf({ path, refill }: Pick<SqliteOptions, "path" | "refill">): string {
  if (refill === undefined) return RESTORE;
  return fileAt(path) === null ? refill : `move ${path.replace(/.*\//, "")} away and ${refill}`;
}

/** Identifies a file: another one in its place has another `id`, other content another `changed`. */
export interface FileState {
  readonly id: string;
  readonly changed: number | null;
  readonly bytes: number;
  readonly folder: boolean;
}

function denied(path: string, cause: Error): ParleyError {
  return new ParleyError("denied", `no permission to open ${path}: ${cause.message}`, { cause });
}

/** Null if there is no file. Throws `denied` without Deno's permission, and `unavailable` without the system's. */
export function fileAt(path: string): FileState | null {
  try {
    const { dev, ino, mtime, size, isDirectory } = Deno.statSync(path);
    return { id: `${dev}:${ino}`, changed: mtime?.getTime() ?? null, bytes: size, folder: isDirectory };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return null;
    // Read permission for all paths is not enough for those below /dev, /proc and /sys.
    if (error instanceof Deno.errors.NotCapable) throw denied(path, error);
    if (!(error instanceof Deno.errors.PermissionDenied)) throw error;
    throw unavailable(`${path} cannot be opened: give its folder to the user that Parley runs as`, error);
  }
}
