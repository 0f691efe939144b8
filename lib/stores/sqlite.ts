import { DatabaseSync, type SQLInputValue, type StatementSync } from "../../deps.ts";
import { ParleyError } from "../core/errors.ts";

/** One step of a schema: SQL that takes `user_version` from its index to its index + 1. */
export type Migration = string;

export interface SqliteOptions {
  /** A path, or `:memory:`. */
  readonly path: string;
  readonly migrations: readonly Migration[];
  /** How long one statement may wait for a lock, synchronously, stopping every timer. Default 20. */
  readonly busy_ms?: number;
  /** How long {@link Sqlite.write} waits for a lock in all, asynchronously. Default 30 s. */
  readonly patience_ms?: number;
  /** `FULL` survives a power cut at every commit; `NORMAL` survives every process death. */
  readonly synchronous?: "FULL" | "NORMAL";
}

/** Opens a database under Parley's rules: WAL, a bounded wait for locks, erased bytes overwritten, migrated. */
export function openSqlite(o: SqliteOptions): DatabaseSync {
  const db = open(o.path);
  try {
    // Opening may have to wait for another process that migrates or recovers; afterwards waits are short.
    db.exec("PRAGMA busy_timeout = 5000");
    db.exec("PRAGMA journal_mode = WAL");
    db.exec(`PRAGMA synchronous = ${o.synchronous ?? "NORMAL"}`);
    db.exec("PRAGMA secure_delete = ON");
    db.exec("PRAGMA foreign_keys = ON");
    migrate(db, o);
    db.exec(`PRAGMA busy_timeout = ${o.busy_ms ?? 20}`);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

function open(path: string): DatabaseSync {
  try {
    return new DatabaseSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) {
      throw new ParleyError("denied", `no permission to open ${path}: ${error.message}`, { cause: error });
    }
    throw new ParleyError("unavailable", `cannot open the database ${path}; does its folder exist?`, {
      cause: error,
    });
  }
}

function migrate(db: DatabaseSync, o: SqliteOptions): void {
  const version = userVersion(db);
  if (version > o.migrations.length) {
    throw new ParleyError(
      "mismatch",
      `${o.path} has schema version ${version}, and this Parley knows ${o.migrations.length}: use the newer Parley that wrote it`,
    );
  }
  if (version === o.migrations.length) return;
  transaction(db, () => {
    for (let next = userVersion(db); next < o.migrations.length; next++) {
      db.exec(o.migrations[next]!);
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

/** Whether an error says that another connection holds the lock (SQLITE_BUSY and its extended codes). */
function isBusy(error: unknown): boolean {
  const code = error instanceof Error && "errcode" in error ? error.errcode : null;
  return typeof code === "number" && (code & 0xff) === 5;
}

/** A database with its statements prepared once, by their text. */
export class Sqlite {
  readonly db: DatabaseSync;
  private readonly statements = new Map<string, StatementSync>();

  private readonly patience_ms: number;

  constructor(o: SqliteOptions) {
    this.db = openSqlite(o);
    this.patience_ms = o.patience_ms ?? 30_000;
  }

  private prepare(sql: string): StatementSync {
    let statement = this.statements.get(sql);
    if (statement === undefined) {
      statement = this.db.prepare(sql);
      this.statements.set(sql, statement);
    }
    return statement;
  }

  run(sql: string, ...values: SQLInputValue[]): number {
    return Number(this.prepare(sql).run(...values).changes);
  }

  all<Row>(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.prepare(sql).all(...values) as Row[];
  }

  get<Row>(sql: string, ...values: SQLInputValue[]): Row | null {
    return (this.prepare(sql).get(...values) as Row | undefined) ?? null;
  }

  /**
   * {@link transaction}, off the caller's turn, so that timers and signals get theirs between batches. A lock that
   * another process holds is waited for without blocking; `unavailable` when it lasts longer than the patience.
   */
  async write<T>(body: () => T): Promise<T> {
    await new Promise((resume) => setImmediate(resume));
    const until = performance.now() + this.patience_ms;
    while (true) {
      try {
        return transaction(this.db, body);
      } catch (error) {
        if (!isBusy(error)) throw error;
        if (performance.now() > until) {
          throw new ParleyError(
            "unavailable",
            `another process kept a database locked for ${this.patience_ms} ms`,
          );
        }
        await new Promise((resume) => setTimeout(resume, 2 + 20 * Math.random()));
      }
    }
  }

  close(): void {
    this.statements.clear();
    if (this.db.isOpen) this.db.close();
  }
}
